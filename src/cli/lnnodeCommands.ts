/** `swap lnnode ...`: the operator's commands for lnnoded, over gRPC. */
import type { Command } from 'commander';
import { z } from 'zod';

import { displayHex, hex } from '../core/units.js';
import { SwapError } from '../errors.js';
import { EXIT, type ExitCode } from './exit.js';
import { examples } from './help.js';
import { argument, channelIdArgument, nodeIdArgument, peerArgument, withLnnode } from './lnnodeClient.js';
import { addLnnodeMessageCommands } from './lnnodeMessageCommands.js';
import { addLnnodePaymentCommands } from './lnnodePaymentCommands.js';
import { channelView, describeChannels, describeInfo, infoView } from './lnnodeViews.js';
import { addLnnodeWalletCommands } from './lnnodeWalletCommands.js';
import { noOptions, satOption } from './options.js';
import { fields, table } from './output.js';
import { action, type Run } from './run.js';

/** Connecting and opening wait for the peer, and for its answers. */
const PEER_MS = 60_000;

const flag = z.boolean().default(false);
const openOptions = z.object({ pushSats: satOption.default(0n), announce: flag });
const forceOptions = z.object({ force: flag });

/** Adds `lnnode ...` to the program. */
export function addLnnodeCommands(program: Command): void {
  const node = examples(
    program.command('lnnode').description('the own Lightning node (lnnoded)'),
    'lnnode info --lightning-address 127.0.0.1:9009 --lightning-token-file lnnoded.token',
  );
  examples(
    node.command('info').description('who the node is and how far it is synced'),
    'lnnode info',
    'lnnode info --json',
  ).action(action(noOptions, info));
  addPeerCommands(node);
  addChannelCommands(node);
  addLnnodeWalletCommands(node);
  addLnnodePaymentCommands(node);
  addLnnodeMessageCommands(node);
}

function addPeerCommands(node: Command): void {
  examples(
    node
      .command('connect')
      .description('connect to a peer, now and after every restart')
      .argument('<peer>', 'NODE_ID@HOST:PORT'),
    'lnnode connect NODE_ID@HOST:9735',
  ).action(action(noOptions, connect));
  examples(
    node
      .command('disconnect')
      .description('leave a peer and forget its address')
      .argument('<node-id>', '66 hex digits')
      .option('--force', 'also when there are channels with it'),
    'lnnode disconnect NODE_ID',
  ).action(action(forceOptions, disconnect));
  examples(node.command('peers').description('who is connected, and whom the node dials'), 'lnnode peers').action(
    action(noOptions, peers),
  );
}

function addChannelCommands(node: Command): void {
  examples(
    node
      .command('open')
      .description('open a channel to a connected peer, paid from the wallet')
      .argument('<node-id>', '66 hex digits')
      .argument('<sats>', 'capacity')
      .option('--push-sats <sats>', 'given to the peer at once')
      .option('--announce', 'tell the network of the channel'),
    'lnnode open NODE_ID 1000000',
    'lnnode open NODE_ID 1000000 --announce',
  ).action(action(openOptions, open));
  examples(
    node
      .command('close')
      .description('close a channel together with the peer')
      .argument('<channel-id>', '64 hex digits')
      .option('--force', 'alone, if the peer does not answer: the coins come back after a delay'),
    'lnnode close CHANNEL_ID',
    'lnnode close CHANNEL_ID --force',
  ).action(action(forceOptions, close));
  examples(
    node.command('channels').description('all channels whose coins are not all back in the wallet'),
    'lnnode channels',
    'lnnode channels --json',
  ).action(action(noOptions, channels));
}

async function info(run: Run): Promise<ExitCode> {
  return await withLnnode(run, async (client) => {
    const answer = await client.getNodeInfo({});
    run.out.result(infoView(answer), () => describeInfo(answer));
    return EXIT.done;
  });
}

async function connect(run: Run, _options: object, [text]: readonly string[]): Promise<ExitCode> {
  const peer = peerArgument(text);
  return await withLnnode(run, async (client) => {
    await client.connectPeer(peer, { deadline: PEER_MS });
    run.out.result(peer, () => `connected to ${hex(peer.nodeId)}`);
    return EXIT.done;
  });
}

async function disconnect(run: Run, { force }: { force: boolean }, [text]: readonly string[]): Promise<ExitCode> {
  const nodeId = nodeIdArgument(text);
  return await withLnnode(run, async (client) => {
    await client.disconnectPeer({ nodeId, isForced: force });
    run.out.result({ nodeId }, () => `left ${hex(nodeId)}`);
    return EXIT.done;
  });
}

async function peers(run: Run): Promise<ExitCode> {
  return await withLnnode(run, async (client) => {
    const answer = await client.listPeers({});
    run.out.result(answer, () => {
      if (answer.peers.length === 0) return 'no peers';
      const rows = answer.peers.map(({ nodeId, address, isConnected }) => [
        hex(nodeId),
        isConnected ? 'connected' : 'away',
        address,
      ]);
      return table([['NODE ID', 'STATE', 'ADDRESS'], ...rows]);
    });
    return EXIT.done;
  });
}

async function open(
  run: Run,
  { pushSats, announce }: z.output<typeof openOptions>,
  [id, sats]: readonly string[],
): Promise<ExitCode> {
  const nodeId = nodeIdArgument(id);
  const capacitySats = argument('sats', satOption, sats);
  if (pushSats > capacitySats) {
    throw new SwapError('invalid_argument', `--push-sats: expected at most ${capacitySats}, found ${pushSats}`);
  }
  const request = { nodeId, capacitySats, pushMsat: pushSats * 1000n, isAnnounced: announce };
  return await withLnnode(run, async (client) => {
    const answer = await client.openChannel(request, { deadline: PEER_MS });
    run.out.result(answer, () =>
      fields([
        ['channel', hex(answer.channelId)],
        ['funding', `${displayHex(answer.fundingTxid)}:${answer.fundingVout}`],
        ['next', 'usable once the funding has its depth; see: swap lnnode channels'],
      ]),
    );
    return EXIT.done;
  });
}

async function close(run: Run, { force }: { force: boolean }, [text]: readonly string[]): Promise<ExitCode> {
  const channelId = channelIdArgument(text);
  return await withLnnode(run, async (client) => {
    await client.closeChannel({ channelId, isForced: force }, { deadline: PEER_MS });
    run.out.result({ channelId }, () => 'closing is under way; see: swap lnnode channels');
    return EXIT.done;
  });
}

async function channels(run: Run): Promise<ExitCode> {
  return await withLnnode(run, async (client) => {
    const answer = await client.listChannels({});
    run.out.result({ channels: answer.channels.map(channelView) }, () => describeChannels(answer.channels));
    return EXIT.done;
  });
}
