/** lnd as a backend of the port's contract, on btcd. */
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';

import {
  addPeer,
  createChainAddress,
  deleteForwardingReputations,
  getChainBalance,
  getChannel,
  getChannels,
  getWalletInfo,
  openChannel,
  probeForRoute,
  signBytes,
} from 'lightning';
import { recover } from 'tiny-secp256k1';

import { connectLnd } from '../../../src/lightning/lnd.js';
import type { LightningNode } from '../../../src/lightning/node.js';
import { createLogger } from '../../../src/log.js';
import type { Backend, ChannelOptions, PortNode, PortWorld, Traits } from '../../contract/port/portWorld.js';
import { unsignedInvoice } from '../../unit/core/rawInvoice.js';
import { amountOf, takeApart } from '../bolt11Parts.js';
import { eventually } from '../eventually.js';
import { makeTempDir } from '../tempDir.js';
import { bakeMacaroon, rightsOf } from './bakedMacaroon.js';
import { startBtcd } from './btcd.js';
import { tailOf } from './child.js';
import { startFeeServer } from './feeServer.js';
import { LndProcess } from './lnd.js';

const WAIT_MS = 60_000;
/** What the other side waits for before it has its coins of a closed channel; lnd's own default grows with the capacity. */
const CSV_BLOCKS = 144;
const FEE_COINS_SATS = 100_000n;
const BASE_FEE_MSAT = 1000n;
const FEE_PPM = 1n;
/** lnd's key of the node itself. */
const NODE_KEY = { key_family: 6, key_index: 0 };

const HELD_REASON = 'CANCELED with a payment held: by a caller, or by lnd 12 blocks before its timeout';

const LND: Traits = {
  backend: 'lnd',
  finalCltv: { taken: [24, 42, 144], refused: [17] },
  givesBackBlocksEarly: 12,
  leastCap: (finalCltv, hops) => finalCltv + Math.max(hops, 1) + 3,
  blocksAdded: 3,
  blocksOverCap: 0,
  hop: {
    cltvDelta: 80,
    baseFeeMsat: BASE_FEE_MSAT,
    feeMsat: (amountMsat) => BASE_FEE_MSAT + (amountMsat * FEE_PPM) / 1_000_000n,
  },
  belowFee: ['FAILED', 'IN_FLIGHT'],
  reasons: {
    rejected: 'RECIPIENT_REJECTED',
    afterTimeout: ['CANCELED', 'RECIPIENT_REJECTED'],
    afterRestart: 'RECIPIENT_REJECTED',
    noRoute: 'ROUTE_NOT_FOUND',
  },
  cancelReasons: { byUser: 'CANCELED_BY_USER', whileHeld: HELD_REASON, expired: 'EXPIRED', deadline: HELD_REASON },
  lateArrivals: ['CANCELED', 'HELD'],
  resolvedWithinBlocks: CSV_BLOCKS + 48,
  callMs: 10_000,
};

type Peer = { readonly process: LndProcess; readonly port: LightningNode };
type Channel = { readonly from: string; readonly to: string; readonly id: string };

/** R and S of a DER signature, 32 bytes each. */
function compact(der: Buffer): Buffer {
  const number = (at: number): Buffer => {
    const bytes = der.subarray(at + 2, at + 2 + (der[at + 1] ?? 0));
    return Buffer.concat([Buffer.alloc(32), bytes]).subarray(-32);
  };
  return Buffer.concat([number(2), number(4 + (der[3] ?? 0))]);
}

async function signAnew({ lnd, nodeId }: LndProcess, bolt11: string, amountMsat: bigint): Promise<string> {
  const { network, createdAt, fields } = takeApart(bolt11);
  const prefix = `${network}${amountOf(amountMsat)}`;
  const { message, withSignature } = unsignedInvoice({ prefix, createdAt, fields });
  const { signature: text } = await signBytes({ lnd, ...NODE_KEY, preimage: message.toString('hex') });
  const signature = compact(Buffer.from(text, 'hex'));
  const digest = createHash('sha256').update(message).digest();
  for (const recoveryId of [0, 1, 2, 3] as const) {
    const key = recover(digest, signature, recoveryId, true);
    if (key !== null && Buffer.from(key).toString('hex') === nodeId) return withSignature(signature, recoveryId);
  }
  throw new Error('lnd signed with another key');
}

const portNode = ({ process, port }: Peer): PortNode => ({
  traits: LND,
  nodeId: process.nodeId,
  port,
  signAnew: (bolt11, amountMsat) => signAnew(process, bolt11, amountMsat),
  pendingHtlcs: async () => {
    const { channels } = await getChannels({ lnd: process.lnd });
    return channels.reduce((sum, { pending_payments: pending }) => sum + pending.length, 0);
  },
});

/** For conditions that lnd answers with errors until they are there; the last error is shown. */
async function until<T>(what: string, probe: () => Promise<T | undefined | false>): Promise<T> {
  let why: unknown;
  try {
    return await eventually(what, () => probe().catch((error: unknown) => void (why = error)), WAIT_MS);
  } catch (cause) {
    throw new Error(`not in time: ${what}: ${JSON.stringify(why)}`, { cause });
  }
}

async function startPeer(process: LndProcess): Promise<Peer> {
  await process.start();
  const rights = new Set([...rightsOf('swapd.macaroon'), ...rightsOf('swap.macaroon')]);
  const macaroonFile = await bakeMacaroon(process, 'swapd.macaroon', [...rights]);
  const { rpcAddress: address, tlsCertFile } = process;
  return { process, port: connectLnd({ address, tlsCertFile, macaroonFile, log: createLogger('test', 'silent') }) };
}

/** Starts the named nodes; `close` must be called. */
async function startLndWorld(names: readonly string[]): Promise<PortWorld> {
  const dir = makeTempDir('lnd-world-');
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.reverse()) await closer();
    if (process.env['KEEP_E2E'] === '1') process.stdout.write(`kept: ${dir}\n`);
    else rmSync(dir, { recursive: true, force: true });
  };
  try {
    return await openWorld(dir, names, closers, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function openWorld(
  dir: string,
  names: readonly string[],
  closers: (() => Promise<void>)[],
  close: () => Promise<void>,
): Promise<PortWorld> {
  const chain = await startBtcd({ dir: join(dir, 'btcd') });
  closers.push(() => chain.stop());
  const fees = await startFeeServer();
  closers.push(() => fees.close());
  const peers = new Map<string, Peer>();
  const halted = new Set<string>();
  const channels: Channel[] = [];
  const isRunning = (name: string): boolean => !halted.has(name);
  const isUp = ({ from, to }: Channel): boolean => isRunning(from) && isRunning(to);

  await Promise.all(
    names.map(async (name) => {
      const process = new LndProcess({
        dir,
        name,
        chain,
        feeUrl: fees.url,
        more: [`--bitcoin.defaultremotedelay=${CSV_BLOCKS}`],
      });
      closers.push(async () => {
        peers.get(name)?.port.close();
        await process.stop('SIGKILL');
      });
      peers.set(name, await startPeer(process));
    }),
  );
  const peer = (name: string): Peer => {
    const found = peers.get(name);
    if (found === undefined) throw new Error(`no node ${name}`);
    return found;
  };
  const lndOf = (name: string) => peer(name).process.lnd;
  const caughtUp = async (): Promise<void> => {
    const best = await chain.call('getbestblockhash');
    for (const name of names.filter(isRunning)) {
      await until(`${name} at the tip`, async () => {
        const { current_block_hash: hash, is_synced_to_chain: isSynced } = await getWalletInfo({ lnd: lndOf(name) });
        return isSynced && hash === best;
      });
    }
  };
  const mine = async (blocks: number): Promise<void> => {
    await chain.mine(blocks);
    await caughtUp();
  };
  const connect = async ({ from, to }: Pick<Channel, 'from' | 'to'>): Promise<void> => {
    const { nodeId, peerAddress } = peer(to).process;
    await addPeer({ lnd: lndOf(from), public_key: nodeId, socket: peerAddress });
  };
  /** An active channel refuses payments for a second more: only one that reaches the peer shows that it can be used. */
  const usable = async ({ from, to, id }: Channel): Promise<void> => {
    const lnd = lndOf(from);
    const { nodeId: destination } = peer(to).process;
    await until(`the channel from ${from} to ${to}`, async () => {
      for (const name of [from, to]) {
        const found = (await getChannels({ lnd: lndOf(name) })).channels.find((channel) => channel.id === id);
        if (found?.is_active !== true) {
          await connect({ from, to }).catch(() => undefined);
          return false;
        }
      }
      await deleteForwardingReputations({ lnd });
      const { route } = await probeForRoute({ lnd, destination, mtokens: '1000', outgoing_channel: id });
      return route !== undefined;
    });
  };
  const allUsable = async (): Promise<void> => {
    for (const channel of channels.filter(isUp)) await usable(channel);
    for (const name of names.filter(isRunning)) await deleteForwardingReputations({ lnd: lndOf(name) });
  };
  const inGraph = (name: string, { from, to, id }: Channel): Promise<unknown> =>
    until(`the channel from ${from} to ${to} in the graph of ${name}`, async () =>
      (await getChannel({ lnd: lndOf(name), id })).policies.every(({ cltv_delta: delta }) => delta !== undefined),
    );
  /** Without a coin of its own lnd cannot pay the fee with which it would take an HTLC on the chain. */
  const giveCoins = async (): Promise<void> => {
    for (const name of names) {
      const { address } = await createChainAddress({ lnd: lndOf(name), format: 'p2wpkh' });
      await chain.fund(address, FEE_COINS_SATS);
    }
    await mine(1);
  };
  const open = async ({ from, to, capacitySats, pushMsat = 0n }: ChannelOptions): Promise<void> => {
    const lnd = lndOf(from);
    const { address } = await createChainAddress({ lnd, format: 'p2wpkh' });
    await chain.fund(address, capacitySats + 100_000n);
    await mine(1);
    await until('coins', async () => BigInt((await getChainBalance({ lnd })).chain_balance) > capacitySats);
    const { transaction_id: txid, transaction_vout: vout } = await until('the opening of a channel', async () => {
      await connect({ from, to });
      return openChannel({
        lnd,
        partner_public_key: peer(to).process.nodeId,
        local_tokens: Number(capacitySats),
        give_tokens: Number(pushMsat / 1000n),
        base_fee_mtokens: BASE_FEE_MSAT.toString(),
        fee_rate: Number(FEE_PPM),
      });
    });
    await until('the funding', async () => (await chain.waiting()) > 0);
    await mine(6);
    const { id } = await until('the channel', async () =>
      (await getChannels({ lnd })).channels.find(
        (channel) => channel.transaction_id === txid && channel.transaction_vout === vout && channel,
      ),
    );
    channels.push({ from, to, id });
    for (const name of new Set(channels.flatMap((channel) => [channel.from, channel.to]))) {
      for (const known of channels) await inGraph(name, known);
    }
    await usable({ from, to, id });
  };
  const halt = async (name: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<unknown> => {
    halted.add(name);
    return peer(name).process.stop(signal);
  };
  const resume = async (name: string): Promise<void> => {
    await peer(name).process.start();
    halted.delete(name);
    for (const channel of channels.filter(isUp)) await connect(channel).catch(() => undefined); // maybe they were quicker
  };
  await giveCoins();
  return {
    software: () => Promise.resolve([...chain.software, ...names.map((name) => peer(name).process.software)]),
    node: (name) => portNode(peer(name)),
    tipHeight: () => chain.tipHeight(),
    mempoolSize: () => chain.waiting(),
    openChannel: open,
    mine,
    reorg: async (depth) => {
      const first = (await chain.tipHeight()) - depth + 1;
      await chain.call('invalidateblock', await chain.call('getblockhash', first));
      await mine(depth + 1);
    },
    caughtUp,
    allUsable,
    halt,
    resume,
    restart: async (name, signal) => {
      await halt(name, signal);
      await resume(name);
    },
    freeze: (name, isFrozen) => {
      peer(name).process.freeze(isFrozen);
    },
    tails: () =>
      names.map((name) => `--- the end of the log of ${name} ---\n${tailOf(peer(name).process.logFile)}`).join('\n'),
    close,
  };
}

/** lnd pays lnd. */
export const LND_BACKEND: Backend = { payer: LND, payee: LND, start: startLndWorld };
