/** Histories that are answered from memory, and what a block costs with many scripts. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { LIQUID_NETWORKS } from '../../../src/core/network.js';
import { assetAmount, hex, txid, type Txid } from '../../../src/core/units.js';
import type { LiquidChain } from '../../../src/liquid/chain.js';
import { connectElectrum } from '../../../src/liquid/electrum.js';
import { historyDigest, scripthash } from '../../../src/liquid/electrumAnswers.js';
import { connectElectrumGroup } from '../../../src/liquid/electrumGroup.js';
import { createLogger } from '../../../src/log.js';
import { listenElectrum, openLiquidChain } from '../../../src/sandbox/liquid/world.js';
import { startCountingProxy } from '../../support/countingProxy.js';
import { eventually } from '../../support/eventually.js';
import { ServerFault, SILENCE, startHostileElectrum, type HostileElectrum } from '../../support/hostileElectrum.js';

const log = createLogger('test', 'silent');
const HISTORY = 'blockchain.scripthash.get_history';
const SUBSCRIBE = 'blockchain.scripthash.subscribe';
const scriptOf = (n: number): Buffer => Buffer.from(`0014${n.toString(16).padStart(40, '0')}`, 'hex');
const idOf = (n: number): Txid => txid(n.toString(16).padStart(64, '0'));
const SCRIPT = scriptOf(1);

type Entries = readonly { readonly txid: Txid; readonly height: number }[];

let server: HostileElectrum;
let chain: LiquidChain;
/** What the server shows, by scripthash. */
let shown: Map<string, Entries>;
let told: string[];

const timeouts = { requestMs: 1_000, retryMinMs: 10, retryMaxMs: 40 };
const asked = (method: string): number => server.requests.filter((request) => request.method === method).length;
const shownFor = (id: unknown): Entries => shown.get(String(id)) ?? [];
const show = (script: Buffer, entries: Entries): void => {
  shown.set(scripthash(script), entries);
};
const notify = (script: Buffer, status = historyDigest(shownFor(scripthash(script)))): void => {
  for (const connection of server.connections) connection.notify(SUBSCRIBE, [scripthash(script), status]);
};
/** Subscribed, with the answer behind it. */
async function subscribed(): Promise<void> {
  await chain.tip();
  chain.subscribe(SCRIPT);
  await chain.genesisHash();
}

beforeEach(async () => {
  server = await startHostileElectrum();
  shown = new Map();
  told = [];
  server.methods.set(HISTORY, ([id]) => shownFor(id).map(({ txid: hash, height }) => ({ tx_hash: hash, height })));
  server.methods.set(SUBSCRIBE, ([id]) => historyDigest(shownFor(id)));
  chain = connectElectrum({ servers: [server.url], log, timeouts });
  chain.onChange((change) => told.push(change.kind === 'script' ? change.scriptPubKeyHex : change.kind));
});
afterEach(async () => {
  vi.useRealTimers();
  chain.close();
  await server.close();
});

describe('the history of a subscribed script', () => {
  const ENTRIES: Entries = [
    { txid: idOf(7), height: 432 },
    { txid: idOf(8), height: 0 },
  ];

  it.each([
    ['with transactions', ENTRIES],
    ['that is empty', []],
  ])('%s is asked for once while nothing changes', async (_what, entries) => {
    show(SCRIPT, entries);
    await subscribed();
    for (let i = 0; i < 5; i += 1) expect(await chain.history(SCRIPT)).toEqual(entries);
    expect(asked(HISTORY)).toBe(1);
  });

  it('is asked for each time if the caller wants it fresh', async () => {
    await subscribed();
    await chain.history(SCRIPT);
    for (let i = 0; i < 3; i += 1) await chain.history(SCRIPT, { isFresh: true });
    expect(asked(HISTORY)).toBe(4);
  });

  it('is asked for each time without a subscription', async () => {
    await chain.history(SCRIPT);
    await chain.history(SCRIPT);
    await subscribed();
    chain.unsubscribe(SCRIPT);
    await chain.history(SCRIPT);
    await chain.history(SCRIPT);
    expect(asked(HISTORY)).toBe(4);
  });

  it('is asked for again once the server announced a change', async () => {
    await subscribed();
    expect(await chain.history(SCRIPT)).toEqual([]);
    show(SCRIPT, ENTRIES);
    notify(SCRIPT);
    await eventually('the change is told', () => told.includes(hex(SCRIPT)));
    expect(await chain.history(SCRIPT)).toEqual(ENTRIES);
    await chain.history(SCRIPT);
    expect(asked(HISTORY)).toBe(2);
  });

  it('is not kept when a notification overtook the answer', async () => {
    await subscribed();
    server.methods.set(HISTORY, () => {
      notify(SCRIPT, historyDigest(ENTRIES)); // goes out before the old answer
      return [];
    });
    expect(await chain.history(SCRIPT)).toEqual([]);
    server.methods.set(HISTORY, () => ENTRIES.map((entry) => ({ tx_hash: entry.txid, height: entry.height })));
    expect(await chain.history(SCRIPT)).toEqual(ENTRIES);
  });

  it('is not kept when it is not what the status stands for', async () => {
    server.methods.set(SUBSCRIBE, () => 'ab');
    await subscribed();
    await chain.history(SCRIPT);
    await chain.history(SCRIPT);
    expect(asked(HISTORY)).toBe(2);
  });

  it('is asked for again after a reconnect at which the server shows another status', async () => {
    await subscribed();
    await chain.history(SCRIPT);
    show(SCRIPT, ENTRIES);
    server.dropAll();
    await eventually('the change is told', () => told.includes(hex(SCRIPT)));
    expect(await chain.history(SCRIPT)).toEqual(ENTRIES);
  });

  it('is asked for each time when the subscription was not renewed after a reconnect', async () => {
    await subscribed();
    await chain.history(SCRIPT);
    server.methods.set(SUBSCRIBE, () => {
      throw new ServerFault('server busy');
    });
    server.dropAll();
    await eventually('it is back', () => told.filter((kind) => kind === 'connected').length === 2);
    await chain.history(SCRIPT);
    await chain.history(SCRIPT);
    expect(asked(HISTORY)).toBe(3);
  });

  it('is asked for while a fresh connection has not come to its subscription', async () => {
    for (let n = 100; n < 200; n += 1) chain.subscribe(scriptOf(n)); // more than are sent at once
    await subscribed();
    await chain.history(SCRIPT);
    server.methods.set(SUBSCRIBE, () => SILENCE);
    server.dropAll();
    await eventually('it is back', () => told.filter((kind) => kind === 'connected').length === 2);
    await chain.history(SCRIPT);
    expect(asked(HISTORY)).toBe(2);
  });

  it('is asked for again after ten minutes, in case a notification was lost', async () => {
    await subscribed();
    vi.useFakeTimers({ toFake: ['performance'] });
    await chain.history(SCRIPT);
    vi.advanceTimersByTime(599_000);
    await chain.history(SCRIPT);
    expect(asked(HISTORY)).toBe(1);
    vi.advanceTimersByTime(2_000);
    await chain.history(SCRIPT);
    expect(asked(HISTORY)).toBe(2);
  });
});

describe('with 1,000 subscribed scripts', () => {
  const scripts = Array.from({ length: 1_000 }, (_, n) => scriptOf(n));
  const readAll = async (): Promise<void> => {
    await Promise.all(scripts.map(async (script) => await chain.history(script)));
  };

  it('a change of three of them costs three requests', async () => {
    scripts.forEach((script, n) => {
      show(script, [{ txid: idOf(n), height: 432 }]);
      chain.subscribe(script);
    });
    await chain.tip();
    await eventually('all are subscribed', () => asked(SUBSCRIBE) === 1_000);
    await chain.genesisHash();
    await readAll();
    const before = server.requests.length;
    await readAll();
    expect(server.requests).toHaveLength(before);
    told.length = 0;
    const changed = scripts.slice(500, 503);
    for (const script of changed) {
      show(script, [...shownFor(scripthash(script)), { txid: idOf(5_000), height: 0 }]);
      notify(script);
    }
    await eventually('the changes are told', () => changed.every((script) => told.includes(hex(script))));
    await readAll();
    expect(server.requests).toHaveLength(before + 3);
  });

  it("a block of the sandbox's chain that touches three of them costs each of two servers three requests", async () => {
    const sandbox = await openLiquidChain();
    const electrum = await listenElectrum(sandbox, { host: '127.0.0.1', port: 0 });
    const proxies = [await startCountingProxy(electrum.port), await startCountingProxy(electrum.port)];
    chain.close();
    chain = connectElectrumGroup({
      servers: proxies.map(({ port }) => `tcp://127.0.0.1:${port}`),
      log,
      expectedGenesis: LIQUID_NETWORKS.regtest.genesis,
      timeouts,
    });
    const counts = (): number[] => proxies.map(({ lines }) => lines());
    let changes = 0;
    chain.onChange((change) => {
      if (change.kind === 'script') changes += 1;
    });
    try {
      await chain.tips();
      for (const script of scripts) chain.subscribe(script);
      await chain.genesisHash(); // answered behind the subscriptions
      for (const script of scripts.slice(0, 3)) {
        sandbox.faucet({ scriptPubKey: script, amount: assetAmount(1_000n) });
      }
      await eventually('the payments are told', () => changes === 6);
      await readAll();
      const before = counts();
      changes = 0;
      sandbox.mine(1);
      await eventually('the block is told', () => changes === 6);
      await chain.tips();
      await readAll();
      expect(counts().map((count, i) => count - (before[i] ?? 0))).toEqual([3, 3]);
      expect((await chain.history(scriptOf(2)))[0]?.height).toBe(sandbox.tip().height);
    } finally {
      chain.close();
      await Promise.all(
        proxies.map(async (proxy) => {
          await proxy.close();
        }),
      );
      await electrum.close();
      sandbox.close();
    }
  });
});
