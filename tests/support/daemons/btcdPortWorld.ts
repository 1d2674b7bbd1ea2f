/** Nodes of any kinds as a world of the port's contract, on btcd or another full node. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import type { ChannelOptions, PortWorld } from '../../contract/port/portWorld.js';
import { eventually } from '../eventually.js';
import { makeTempDir } from '../tempDir.js';
import { startBtcd } from './btcd.js';
import type { FullNode, FullNodePlace } from './fullNode.js';
import type { PortProgram, PortStarter } from './portProgram.js';

const WAIT_MS = 60_000;
const TAIL_LINES = 20;
const CHANNEL_DEPTH = 6;
/** What a channel costs to open, and more. */
const OPENING_SATS = 100_000n;
/** Coins of every node, for the fees of its claims. */
const FEE_COINS_SATS = 100_000n;
const NOBODY = 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080';
const DUST_SATS = 1_000n;

type Stop = () => Promise<void>;
type Logs = Map<string, () => string>;

/** For conditions that nodes answer with errors until they are there; the last error is shown. */
async function until<T>(what: string, probe: () => Promise<T | undefined | false>): Promise<T> {
  let why: unknown;
  try {
    return await eventually(what, () => probe().catch((error: unknown) => void (why = error)), WAIT_MS);
  } catch (cause) {
    throw new Error(`not in time: ${what}: ${why instanceof Error ? why.message : JSON.stringify(why)}`, { cause });
  }
}

/** Starts the named nodes at once; `close` must be called. */
export async function startBtcdPortWorld(
  kinds: Readonly<Record<string, PortStarter>>,
  startChain: (place: FullNodePlace) => Promise<FullNode> = startBtcd,
): Promise<PortWorld> {
  const dir = makeTempDir('port-world-');
  const stops: Stop[] = [];
  const logs: Logs = new Map();
  const close = async (): Promise<void> => {
    for (const stop of stops.splice(0).reverse()) await stop();
    if (process.env['KEEP_E2E'] === '1') process.stdout.write(`kept: ${dir}\n`);
    else rmSync(dir, { recursive: true, force: true });
  };
  try {
    const chain = await startChain({ dir: join(dir, 'chain') });
    stops.push(() => chain.stop());
    const started = await Promise.allSettled(
      Object.entries(kinds).map(async ([name, start]) => {
        const place = join(dir, name);
        mkdirSync(place);
        const node = await start(
          {
            name,
            dir: place,
            started: ({ log, stop }) => {
              logs.set(name, log);
              stops.push(stop);
            },
          },
          chain,
        );
        return [name, node] as const;
      }),
    );
    const nodes = new Map(
      started.map((each) => {
        if (each.status === 'rejected') throw each.reason;
        return each.value;
      }),
    );
    const world = worldOf(chain, nodes, { logs, close });
    for (const node of nodes.values()) await chain.fund(await node.newAddress(), FEE_COINS_SATS);
    await world.mine(1);
    return world;
  } catch (error) {
    await close();
    throw error;
  }
}

function worldOf(
  chain: FullNode,
  nodes: ReadonlyMap<string, PortProgram>,
  { logs, close }: { readonly logs: Logs; readonly close: Stop },
): PortWorld {
  const halted = new Set<string>();
  const channels: ChannelOptions[] = [];
  const node = (name: string): PortProgram => {
    const found = nodes.get(name);
    if (found === undefined) throw new Error(`no node ${name}`);
    return found;
  };
  const running = (): [string, PortProgram][] => [...nodes].filter(([name]) => !halted.has(name));
  const isUp = ({ from, to }: ChannelOptions): boolean => !halted.has(from) && !halted.has(to);
  const caughtUp = async (): Promise<void> => {
    const tip = await chain.tipHeight();
    await Promise.all(
      running().map(([name, { port }]) =>
        until(`${name} at the tip`, async () => {
          const { blockHeight, isSynced } = await port.getInfo();
          return isSynced && blockHeight === tip;
        }),
      ),
    );
  };
  const mine = async (blocks: number): Promise<void> => {
    await chain.mine(blocks);
    await caughtUp();
  };
  /** A channel that is called active refuses payments for a second more. */
  const usable = ({ from, to }: ChannelOptions): Promise<unknown> =>
    until(`the channel from ${from} to ${to}`, async () => {
      if (await node(from).canReach(node(to))) return true;
      await node(from).forgetFailures();
      await node(from).connect(node(to));
      return false;
    });
  const allUsable = async (): Promise<void> => {
    await Promise.all(channels.filter(isUp).map(usable));
    await Promise.all(running().map(([, each]) => each.forgetFailures()));
  };
  const halt = async (name: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<unknown> => {
    halted.add(name);
    return node(name).halt(signal);
  };
  const resume = async (name: string): Promise<void> => {
    await node(name).resume();
    halted.delete(name);
    // Maybe they were quicker.
    const mine = channels.filter(({ from, to }) => [from, to].includes(name)).filter(isUp);
    await Promise.all(
      mine.map(({ from, to }) =>
        node(from)
          .connect(node(to))
          .catch(() => undefined),
      ),
    );
  };
  const openChannels = async (wanted: readonly ChannelOptions[]): Promise<void> => {
    const largest = wanted.reduce((most, { capacitySats }) => (capacitySats > most ? capacitySats : most), 0n);
    for (const { from } of wanted) await chain.fund(await node(from).newAddress(), largest + OPENING_SATS);
    await mine(1);
    for (const { from, to, capacitySats, pushMsat = 0n } of wanted) {
      const waiting = await chain.waiting();
      await until(`the channel from ${from} to ${to} opened`, async () => {
        await node(from).connect(node(to));
        if ((await node(from).confirmedSats()) < capacitySats) return false;
        await node(from).openChannel(node(to), capacitySats, pushMsat);
        return true;
      });
      await until('the funding', async () => (await chain.waiting()) > waiting);
    }
    await mine(CHANNEL_DEPTH);
    channels.push(...wanted);
    await allUsable();
    await Promise.all(
      running().flatMap(([name, each]) =>
        channels.map(({ from, to }) =>
          until(`the channel from ${from} to ${to} known to ${name}`, () =>
            each.knowsChannel(node(from).nodeId, node(to).nodeId),
          ),
        ),
      ),
    );
  };
  return {
    software: () => Promise.resolve([...chain.software, ...[...nodes.values()].flatMap(({ software }) => software)]),
    node,
    tipHeight: () => chain.tipHeight(),
    mempoolSize: () => chain.waiting(),
    openChannels,
    mine,
    reorg: async (depth) => {
      const first = (await chain.tipHeight()) - depth + 1;
      await chain.call('invalidateblock', await chain.call('getblockhash', first));
      await chain.fund(NOBODY, DUST_SATS); // a block that was taken back must not be made once more
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
      node(name).freeze(isFrozen);
    },
    tails: () =>
      [...logs]
        .map(([name, log]) => {
          const lines = log().trimEnd().split('\n').slice(-TAIL_LINES);
          return `--- the end of the log of ${name} ---\n${lines.join('\n')}`;
        })
        .join('\n'),
    close,
  };
}
