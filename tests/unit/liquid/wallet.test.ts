import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';

import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { ZERO_BLINDER, type Zkp } from '../../../src/core/blind.js';
import { walletKey } from '../../../src/core/keys.js';
import { decodeAddress, LIQUID_NETWORKS } from '../../../src/core/network.js';
import { parseTransaction, txidOf } from '../../../src/core/tx.js';
import { assetAmount, assetId, hex, outpoint, outpointKey, type Txid } from '../../../src/core/units.js';
import { startBlindingWorker, type BlindingWorker } from '../../../src/liquid/blinding.js';
import { runBuild } from '../../../src/liquid/blindingTasks.js';
import type { LiquidChain } from '../../../src/liquid/chain.js';
import { connectElectrum } from '../../../src/liquid/electrum.js';
import { scripthash } from '../../../src/liquid/electrumAnswers.js';
import { openWallet, type CachedOutput, type LiquidWallet, type OutputCache } from '../../../src/liquid/wallet.js';
import { createLogger } from '../../../src/log.js';
import { ServerFault, SILENCE, startHostileElectrum, type HostileElectrum } from '../../support/hostileElectrum.js';

const load = createRequire(import.meta.url)('@vulpemventures/secp256k1-zkp') as { default: () => Promise<Zkp> };
const log = createLogger('test', 'silent');
const SEED = Buffer.alloc(64, 3);
const LBTC = LIQUID_NETWORKS.regtest.policyAsset;
const TOKEN = assetId('cd'.repeat(32));

let zkp: Zkp;
let worker: BlindingWorker;
let server: HostileElectrum;
let chain: LiquidChain;
let stored: Map<string, CachedOutput>;
let cache: OutputCache;
/** What the server tells, by scripthash and by txid. */
let histories: Map<string, { tx_hash: string; height: number }[]>;
let transactions: Map<string, string>;

const key = (chainIndex: 0 | 1, index: number): ReturnType<typeof walletKey> =>
  walletKey(SEED, 'regtest', chainIndex, index);
const open = (): LiquidWallet => openWallet({ seed: SEED, network: 'regtest', chain, worker, cache, log });
const requestsFor = (method: string): number => server.requests.filter((request) => request.method === method).length;

beforeAll(async () => {
  zkp = await load.default();
  worker = startBlindingWorker();
  return () => {
    worker.close();
  };
});

beforeEach(async () => {
  histories = new Map();
  transactions = new Map();
  stored = new Map();
  cache = { get: (id) => stored.get(id), put: (id, output) => stored.set(id, output) };
  server = await startHostileElectrum();
  server.methods.set('blockchain.scripthash.get_history', ([id]) => histories.get(String(id)) ?? []);
  server.methods.set('blockchain.scripthash.subscribe', ([id]) => statusOf(String(id)));
  server.methods.set('blockchain.transaction.get', ([id]) => {
    const raw = transactions.get(String(id));
    if (raw === undefined) throw new ServerFault('missing transaction');
    return raw;
  });
  chain = connectElectrum({ servers: [server.url], log, timeouts: { retryMinMs: 10, retryMaxMs: 20 } });
  await chain.tip();
});
afterEach(async () => {
  chain.close();
  await server.close();
});

const statusOf = (id: string): string | null => (histories.has(id) ? JSON.stringify(histories.get(id)) : null);

/** Puts the transaction into the script's history, and tells the subscribers of it. */
function appear(scriptPubKey: Uint8Array, id: string, height: number): void {
  const name = scripthash(scriptPubKey);
  const others = (histories.get(name) ?? []).filter((entry) => entry.tx_hash !== id);
  histories.set(name, [...others, { tx_hash: id, height }]);
  if (!server.requests.some(({ method, params }) => method.endsWith('scripthash.subscribe') && params[0] === name))
    return;
  for (const connection of server.connections) {
    connection.notify('blockchain.scripthash.subscribe', [name, statusOf(name)]);
  }
}

/** A transaction out of thin air (this server checks nothing) that pays the key, explicit or confidential. */
function pay(
  to: ReturnType<typeof walletKey>,
  options: { height: number; isExplicit?: boolean; spends?: string },
): { id: Txid; raw: string } {
  const value = assetAmount(5_000n);
  const [from, vout] = (options.spends ?? `${hex(randomBytes(32))}:0`).split(':');
  const blinding = options.isExplicit === true ? {} : { blindingPubkey: to.blindingPubkey };
  const raw = runBuild(
    zkp,
    {
      inputs: [
        {
          outpoint: outpoint(from ?? '', Number(vout)),
          sequence: 0,
          assetId: TOKEN,
          value,
          // A confidential input, so that one confidential output suffices.
          assetBlinder: options.isExplicit === true ? ZERO_BLINDER : randomBytes(32),
          valueBlinder: options.isExplicit === true ? ZERO_BLINDER : randomBytes(32),
        },
      ],
      outputs: [{ scriptPubKey: to.scriptPubKey, assetId: TOKEN, value, ...blinding }],
      locktime: 0,
    },
    randomBytes,
  );
  const id = txidOf(parseTransaction(raw));
  transactions.set(id, hex(raw));
  appear(to.scriptPubKey, id, options.height);
  return { id, raw: hex(raw) };
}

describe('a scan', () => {
  it('finds confidential and explicit coins on both chains, with signed heights', async () => {
    pay(key(0, 0), { height: 7 });
    pay(key(0, 1), { height: 0, isExplicit: true });
    pay(key(1, 3), { height: -1 });
    const wallet = open();
    await wallet.sync();
    const seen = wallet.coins().map(({ keyChain, keyIndex, height, isConfidential, value, valueBytes }) => {
      expect(value).toBe(5_000n);
      expect(valueBytes).toHaveLength(isConfidential ? 33 : 9);
      return [keyChain, keyIndex, height, isConfidential];
    });
    expect(seen.toSorted()).toEqual([
      [0, 0, 7, true],
      [0, 1, 0, false],
      [1, 3, -1, true],
    ]);
  });

  it('goes on to 20 unused keys behind the last used one, and no further', async () => {
    pay(key(0, 19), { height: 1, isExplicit: true });
    pay(key(0, 39), { height: 1, isExplicit: true });
    pay(key(0, 60), { height: 1, isExplicit: true });
    const wallet = open();
    await wallet.sync();
    expect(wallet.coins().map((coin) => coin.keyIndex)).toEqual([19, 39]);
    expect(requestsFor('blockchain.scripthash.get_history')).toBe(60 + 20);
  });

  it('leaves out what another transaction spends, even one in the mempool', async () => {
    const { id } = pay(key(0, 0), { height: 7, isExplicit: true });
    const spender = pay(key(1, 0), { height: 0, isExplicit: true, spends: `${id}:0` });
    appear(key(0, 0).scriptPubKey, spender.id, 0);
    const wallet = open();
    await wallet.sync();
    expect(wallet.coins().map((coin) => coin.outpoint.txid)).toEqual([spender.id]);
  });

  it('ignores junk that does not open, and still finds the rest', async () => {
    const stranger = walletKey(Buffer.alloc(64, 9), 'regtest', 0, 0);
    pay({ ...key(0, 0), blindingPubkey: stranger.blindingPubkey }, { height: 3 });
    pay(key(0, 1), { height: 3 });
    const wallet = open();
    await wallet.sync();
    expect(wallet.coins().map((coin) => coin.keyIndex)).toEqual([1]);
  });

  it('opens no output twice, not even in the next process', async () => {
    const { id } = pay(key(0, 0), { height: 7 });
    await open().sync();
    expect([...stored.keys()]).toEqual([`${id}:0`]);
    const closed = startBlindingWorker();
    closed.close(); // a wallet that asks it fails
    const again = openWallet({ seed: SEED, network: 'regtest', chain, worker: closed, cache, log });
    await again.sync();
    expect(again.coins()).toHaveLength(1);
  });
});

describe('a further sync', () => {
  it('asks nothing while nothing changed', async () => {
    const wallet = open();
    pay(key(0, 0), { height: 7, isExplicit: true });
    await wallet.sync();
    const before = server.requests.length;
    await wallet.sync();
    expect(server.requests).toHaveLength(before);
  });

  it('asks only about what was announced', async () => {
    const wallet = open();
    const { id } = pay(key(0, 0), { height: 0, isExplicit: true });
    await wallet.sync();
    const before = server.requests.length;
    appear(key(0, 0).scriptPubKey, id, 12);
    await chain.feeRate(); // answered behind the announcement
    await wallet.sync();
    expect(wallet.coins().map((coin) => coin.height)).toEqual([12]);
    const asked = server.requests.slice(before).filter(({ method }) => method.startsWith('blockchain.scripthash'));
    expect(asked.map(({ method }) => method)).toEqual(['blockchain.scripthash.get_history']);
  });

  it('asks about everything after a reconnect', async () => {
    const wallet = open();
    await wallet.sync();
    expect(requestsFor('blockchain.scripthash.get_history')).toBe(40);
    const isBack = new Promise<void>((resolve) => {
      chain.onChange(({ kind }) => {
        if (kind === 'connected') resolve();
      });
    });
    server.dropAll();
    await isBack;
    await wallet.sync();
    expect(requestsFor('blockchain.scripthash.get_history')).toBe(80);
  });

  it('goes on where a lost connection ended it: connections that never last are enough', async () => {
    const wallet = open();
    const honest = server.methods.get('blockchain.scripthash.get_history');
    let left = 25;
    server.methods.set('blockchain.scripthash.get_history', (params, connection) => {
      left -= 1;
      if (left > 0) return honest?.(params, connection) ?? [];
      left = 25;
      connection.socket.destroy();
      return SILENCE;
    });
    const syncs = async (): Promise<boolean> =>
      await wallet.sync().then(
        () => true,
        () => false,
      );
    for (let tries = 0; !(await syncs()); tries += 1) expect(tries).toBeLessThan(10);
  });

  it('that fails leaves the coins as they were and is made up for by the next', async () => {
    const wallet = open();
    pay(key(0, 0), { height: 7, isExplicit: true });
    await wallet.sync();
    const { id, raw } = pay(key(0, 1), { height: 8, isExplicit: true });
    transactions.set(id, raw.slice(0, 40));
    await chain.feeRate();
    await expect(wallet.sync()).rejects.toMatchObject({ code: 'chain_unavailable' });
    expect(wallet.coins()).toHaveLength(1);
    transactions.set(id, raw);
    await wallet.sync();
    expect(wallet.coins()).toHaveLength(2);
  });

  it('during another one runs after it, once for all who asked', async () => {
    const wallet = open();
    await Promise.all([wallet.sync(), wallet.sync(), wallet.sync()]);
    expect(requestsFor('blockchain.scripthash.get_history')).toBe(40);
  });

  it('forgets a transaction that left the mempool', async () => {
    const wallet = open();
    pay(key(0, 0), { height: 0, isExplicit: true });
    await wallet.sync();
    expect(wallet.coins()).toHaveLength(1);
    histories.clear();
    for (const connection of server.connections) {
      connection.notify('blockchain.scripthash.subscribe', [scripthash(key(0, 0).scriptPubKey), null]);
    }
    await chain.feeRate();
    await wallet.sync();
    expect(wallet.coins()).toEqual([]);
  });
});

describe('a server that lies', () => {
  it('cannot make a scan endless by calling every key used', async () => {
    server.methods.set('blockchain.scripthash.get_history', () => [{ tx_hash: hex(randomBytes(32)), height: 1 }]);
    const wallet = open();
    await wallet.sync();
    expect(requestsFor('blockchain.scripthash.get_history')).toBe(40);
    expect(wallet.coins()).toEqual([]);
  });

  it('cannot pass a transaction of ours off as paying a key it does not pay', async () => {
    const { id } = pay(key(0, 5), { height: 1, isExplicit: true });
    histories.clear();
    appear(key(0, 2).scriptPubKey, id, 1);
    const wallet = open();
    await wallet.sync();
    expect(wallet.coins()).toEqual([]);
    expect(wallet.receiveAddress().scriptPubKey).toEqual(key(0, 0).scriptPubKey);
  });

  it('or a flood of dust on one script costs that script only', async () => {
    const flooded = scripthash(key(0, 0).scriptPubKey);
    pay(key(0, 1), { height: 1, isExplicit: true });
    server.methods.set('blockchain.scripthash.get_history', ([id]) => {
      if (id === flooded) throw new ServerFault('Too many history entries');
      return histories.get(String(id)) ?? [];
    });
    const wallet = open();
    await wallet.sync();
    expect(wallet.coins().map((coin) => coin.keyIndex)).toEqual([1]);
  });

  it.each(['before the wallet saw it', 'after it'])(
    'or a flood on the script of change, %s, hides it not',
    async (when) => {
      const flooded = new Set<string>();
      server.methods.set('blockchain.scripthash.get_history', ([id]) => {
        if (flooded.has(String(id))) throw new ServerFault('Too many history entries');
        return histories.get(String(id)) ?? [];
      });
      const deposit = pay(key(0, 1), { height: 1, isExplicit: true });
      const wallet = open();
      await wallet.sync();
      const { id } = pay(key(1, 0), { height: 0, isExplicit: true, spends: `${deposit.id}:0` });
      appear(key(0, 1).scriptPubKey, id, 0);
      const isSeen = when === 'after it';
      if (isSeen) {
        await chain.feeRate(); // what was announced has come
        await wallet.sync();
      }
      flooded.add(scripthash(key(1, 0).scriptPubKey));
      appear(key(1, 0).scriptPubKey, hex(randomBytes(32)), 0);
      appear(key(0, 1).scriptPubKey, id, 5);
      await chain.feeRate();
      await wallet.sync();
      expect(wallet.coins().map((coin) => [coin.keyChain, coin.keyIndex, coin.height])).toEqual([[1, 0, 5]]);
      expect(wallet.spenderOf(outpoint(deposit.id, 0))).toEqual({ txid: id, height: 5, spends: [`${deposit.id}:0`] });
      expect(wallet.changeKey().index).toBe(1);
    },
  );
});

describe('addresses and change', () => {
  it('are refused before the first scan: they could be used ones', () => {
    const wallet = open();
    expect(() => wallet.receiveAddress()).toThrow('not been scanned');
    expect(() => wallet.changeKey()).toThrow('not been scanned');
  });

  it('are the next unused ones; change is another one each time', async () => {
    pay(key(0, 2), { height: 1, isExplicit: true });
    pay(key(1, 4), { height: 1, isExplicit: true });
    const wallet = open();
    await wallet.sync();
    const { address, scriptPubKey } = wallet.receiveAddress();
    const { blindingPubkey } = key(0, 3);
    expect(decodeAddress(address, 'regtest')).toEqual({ scriptPubKey: key(0, 3).scriptPubKey, blindingPubkey });
    expect(wallet.receiveAddress()).toEqual({ address, scriptPubKey });
    expect([wallet.changeKey(), wallet.changeKey()].map((change) => change.index)).toEqual([5, 6]);
    expect(wallet.ownsScript(key(1, 6).scriptPubKey)).toBe(true);
    expect(wallet.ownsScript(key(1, 500).scriptPubKey)).toBe(false);
  });

  it('given out never leave the reach of a scan, even if no transaction takes them', async () => {
    const wallet = open();
    await wallet.sync();
    const given = Array.from({ length: 21 }, () => wallet.changeKey().index);
    expect(given).toEqual([...Array(20).keys(), 0]);
    pay(key(1, 19), { height: 0, isExplicit: true });
    await chain.feeRate();
    await wallet.sync();
    expect(wallet.changeKey().index).toBe(20);
    const restored = open();
    await restored.sync();
    expect(restored.coins()).toHaveLength(1);
  });
});

describe('signing', () => {
  it('refuses a transaction that does not spend the coins in their order', async () => {
    pay(key(0, 0), { height: 1, isExplicit: true });
    const wallet = open();
    await wallet.sync();
    const [coin] = wallet.coins();
    if (coin === undefined) throw new Error('no coin');
    const other = parseTransaction(
      Buffer.from(pay(key(0, 1), { height: 0, isExplicit: true, spends: outpointKey(coin.outpoint) }).raw, 'hex'),
    );
    wallet.sign(other, [coin]);
    expect(other.ins[0]?.witness).toHaveLength(2);
    expect(() => {
      wallet.sign(other, [{ ...coin, outpoint: outpoint('ee'.repeat(32), 0) }]);
    }).toThrow('was to spend');
    expect(() => {
      wallet.sign(other, [coin], 1);
    }).toThrow('it spends nothing');
  });

  it('has refund keys of their own', () => {
    const wallet = open();
    expect(wallet.refundKey(0).pubkey).not.toBe(key(0, 0).pubkey);
    expect(wallet.refundKey(1).pubkey).not.toBe(wallet.refundKey(0).pubkey);
    expect(LBTC).not.toBe(TOKEN);
  });
});
