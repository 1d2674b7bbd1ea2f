/**
 * A chain server that lies or lags. A node with a channel and a held payment hears each lie; afterwards the channel and
 * the payment are as before, and when the server says the truth again the node goes on. No lie closes a channel or makes
 * one usable.
 */
import { createHash } from 'node:crypto';

import { Transaction } from 'bitcoinjs-lib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { displayHex, msat, reversedBytes } from '../../src/core/units.js';
import type { HoldInvoice, PaymentResult } from '../../src/lightning/node.js';
import {
  ask,
  json,
  startEsploraProxy,
  text,
  type Answer,
  type EsploraProxy,
  type Lie,
} from '../support/esploraProxy.js';
import { eventually } from '../support/eventually.js';
import {
  invoiceRequest,
  newSecret,
  startLightningWorld,
  type LightningWorld,
  type Peer,
} from '../support/lightningWorld.js';

let world: LightningWorld;
let proxy: EsploraProxy;
/** Hears the lies; the other one has an honest server. */
let victim: Peer;
let payer: Peer;
let secret: ReturnType<typeof newSecret>;
let payment: Promise<PaymentResult>;
let fundingTxid: string;
let server = '';
let channelCount = 1;

beforeAll(async () => {
  world = await startLightningWorld(['victim', 'payer'], {
    esplora: async (name, { esplora }) => {
      server = esplora;
      if (name !== 'victim') return esplora;
      proxy = await startEsploraProxy(esplora);
      return proxy.url;
    },
  });
  victim = world.peer('victim');
  payer = world.peer('payer');
  await world.openChannel({ from: 'payer', to: 'victim', capacitySats: 1_000_000n });
  const { channels } = await victim.client.listChannels({});
  fundingTxid = displayHex(channels[0]?.fundingTxid ?? Buffer.alloc(0));
  await victim.client.newAddress({});
  secret = newSecret();
  const request = invoiceRequest(secret.paymentHash, { minFinalCltvDelta: 144 });
  const { bolt11 } = await victim.port.createHoldInvoice(request);
  payment = payer.port.pay({ bolt11, maxFeeMsat: msat(0n), maxTotalCltvDelta: 300, timeoutSecs: 300 });
  payment.catch(() => undefined);
  await eventually('HELD', async () => (await held())?.state === 'HELD');
});

afterAll(async () => {
  await world.close();
  await proxy.close();
});

const held = (): Promise<HoldInvoice | undefined> => victim.port.lookupInvoice(secret.paymentHash);
const height = async (): Promise<number> => (await victim.client.getNodeInfo({})).blockHeight;

/** The channel is there and usable, the payment held, and nothing of ours waits to go on chain. */
async function assertUnharmed(): Promise<void> {
  expect(await held()).toMatchObject({ state: 'HELD', isHtlcPending: true });
  for (const { client } of [victim, payer]) {
    const { channels } = await client.listChannels({});
    expect(channels).toHaveLength(channelCount);
    expect(channels.every(({ isReady, isUsable }) => isReady && isUsable)).toBe(true);
  }
  expect(world.chain.mempoolTxids()).toEqual([]);
}

/** The lie was told and changed nothing about the tip, or it is told again and again. */
const heard = (): Promise<unknown> =>
  eventually('the lie', async () => proxy.told() >= ((await height()) === world.chain.tip.height ? 1 : 4));

async function hear(lies: readonly Lie[], blocks: number): Promise<void> {
  const before = await height();
  proxy.lie(lies);
  world.chain.mine(blocks);
  await heard();
  await assertUnharmed();
  expect(await height()).toBeGreaterThanOrEqual(before);
}

async function truth(): Promise<void> {
  proxy.lie([]);
  await world.caughtUp();
  await assertUnharmed();
}

const sha256d = (data: Uint8Array): Buffer =>
  createHash('sha256').update(createHash('sha256').update(data).digest()).digest();
const nameOf = (header: Uint8Array): string => displayHex(sha256d(header));

/** A header that claims a block after `parent`, with or without work. */
function invented(parent: string, hasWork: boolean, root: Uint8Array = Buffer.alloc(32, 7)): Buffer {
  const header = Buffer.alloc(80);
  header.writeUInt32LE(0x20000000, 0);
  reversedBytes(parent).copy(header, 4);
  Buffer.from(root).copy(header, 36);
  header.writeUInt32LE(Math.floor(Date.now() / 1000), 68);
  header.writeUInt32LE(0x207fffff, 72);
  for (let nonce = 0; (sha256d(header)[31] ?? 0) < 0x80 !== hasWork; nonce++) header.writeUInt32LE(nonce, 76);
  return header;
}

/** Lies of a server whose tip is this header. */
const tipIs = (header: Buffer): Lie[] => [
  { path: /^\/blocks\/tip\/hash$/, tell: () => text(nameOf(header)) },
  { path: new RegExp(`^/block/${nameOf(header)}/header$`), tell: () => text(header.toString('hex')) },
  { path: new RegExp(`^/block/${nameOf(header)}/status$`), tell: () => json({ in_best_chain: true, height: 5000 }) },
];

/** Lies of a server that stopped at a height. */
const stoppedAt = (at: number): Lie[] => {
  const hash = world.chain.blockAt(at)?.hash ?? '';
  const isLater = (blockHeight: unknown): boolean => typeof blockHeight === 'number' && blockHeight > at;
  const status = (body: Buffer): { confirmed?: boolean; block_height?: number } =>
    JSON.parse(body.toString()) as { confirmed?: boolean; block_height?: number };
  return [
    { path: /^\/blocks\/tip\/hash$/, tell: () => text(hash) },
    {
      path: /^\/tx\/[0-9a-f]+\/status$/,
      tell: (answer) =>
        answer.status === 200 && isLater(status(answer.body).block_height) ? json({ confirmed: false }) : answer,
    },
    { path: /outspend/, tell: () => json({ spent: false }) },
    { path: /^\/scripthash/, tell: () => json([]) },
  ];
};

/** Lies that a transaction of ours spends the funding output in a block. */
function spendOfFunding(blockHash: string): { tx: Transaction; lies: Lie[] } {
  const tx = new Transaction();
  tx.version = 2;
  tx.addInput(reversedBytes(fundingTxid), 0);
  tx.addOutput(Buffer.from(`0014${'11'.repeat(20)}`, 'hex'), 900_000n);
  tx.setWitness(0, [Buffer.alloc(0), Buffer.alloc(71), Buffer.alloc(71), Buffer.alloc(71)]);
  const id = tx.getId();
  const status = { confirmed: true, block_height: world.chain.tip.height, block_hash: blockHash };
  return {
    tx,
    lies: [
      { path: new RegExp(`${fundingTxid}/outspend/`), tell: () => json({ spent: true, txid: id, vin: 0, status }) },
      { path: new RegExp(`${id}/status$`), tell: () => json(status) },
      { path: new RegExp(`${id}/raw$`), tell: () => ({ status: 200, body: Buffer.from(tx.toBuffer()) }) },
      { path: new RegExp(`${id}/merkle-proof$`), tell: () => json({ block_height: 1, merkle: [], pos: 0 }) },
    ],
  };
}

describe('a lie about headers', () => {
  it('a tip at height 5000 moves no height and fails no held payment', async () => {
    await hear([{ path: /\/status$/, tell: (answer) => ({ ...answer, body: claimHeight(answer.body, 5000) }) }], 1);
    await eventually('the block', async () => (await height()) === world.chain.tip.height);
    await truth();
  });
  it.each<[string, unknown]>([
    ['text', '7'],
    ['negative', -1],
    ['no number', null],
    ['a fraction', 1.5],
    ['of 900000', 900_000],
  ])('a height that is %s is refused or ignored', async (_, value) => {
    await hear([{ path: /\/status$/, tell: (answer) => ({ ...answer, body: claimHeight(answer.body, value) }) }], 1);
    await truth();
  });
  it('a tip without work is refused', async () => {
    await hear(tipIs(invented(world.chain.tip.hash, false)), 0);
    await truth();
  });
  it('a tip that links to nothing is refused', async () => {
    await hear(tipIs(invented('ab'.repeat(32), true)), 0);
    await truth();
  });
  it('a header under another name is refused', async () => {
    const other = invented(world.chain.tip.hash, true).toString('hex');
    await hear([{ path: /\/header$/, tell: () => text(other) }], 1);
    await truth();
  });
  it.each(['', '00'.repeat(10), '00'.repeat(81), 'zz', '<html>'])('a header of %o is refused', async (body) => {
    await hear([{ path: /\/header$/, tell: () => text(body) }], 1);
    await truth();
  });
  it('a server 4 blocks behind changes nothing', async () => {
    await world.mine(4);
    const before = await height();
    await hear(stoppedAt(world.chain.tip.height - 4), 0);
    expect(await height()).toBe(before);
    await truth();
  });
  it('a server behind the funding block closes nothing, also after a restart of the node', async () => {
    const { block_height: fundedAt } = JSON.parse((await ask(server, `/tx/${fundingTxid}/status`)).body.toString()) as {
      block_height: number;
    };
    const before = await height();
    await hear(stoppedAt(fundedAt - 1), 0);
    expect(await height()).toBe(before);
    proxy.lie([]);
    await world.restart('victim', 'SIGKILL');
    await world.allUsable();
    await hear(stoppedAt(fundedAt - 1), 0);
    await truth();
  });
});

describe('a lie about the spend of the funding output', () => {
  it('in an invented block is not believed', async () => {
    const { tx } = spendOfFunding('');
    const header = invented(world.chain.tip.hash, true, reversedBytes(tx.getId()));
    const name = nameOf(header);
    const lies = [
      ...spendOfFunding(name).lies,
      { path: new RegExp(`^/block/${name}/header$`), tell: () => text(header.toString('hex')) },
      { path: new RegExp(`^/block/${name}/status$`), tell: () => json({ in_best_chain: true, height: 5 }) },
    ];
    await hear(lies, 1);
    await truth();
  });
  it('in a block of the chain is not believed', async () => {
    await hear(spendOfFunding(world.chain.tip.hash).lies, 1);
    await truth();
  });
  it('by a transaction that spends something else is not believed', async () => {
    const block = world.chain.tip;
    const status = { confirmed: true, block_height: block.height, block_hash: block.hash };
    const answer = json({ spent: true, txid: block.txids[0], vin: 0, status });
    await hear([{ path: new RegExp(`${fundingTxid}/outspend/`), tell: () => answer }], 1);
    await truth();
  });
});

describe('answers that are no answers', () => {
  const lies: [string, RegExp, string][] = [
    ['status', /^\/tx\/[0-9a-f]+\/status$/, '{"confirmed":true}'],
    ['status', /^\/tx\/[0-9a-f]+\/status$/, 'null'],
    ['spend', /outspend/, '{"spent":"yes"}'],
    ['spend', /outspend/, '{"spent":true,"txid":"ab","status":{"confirmed":true,"block_hash":"cd"}}'],
    ['history', /scripthash/, '[{"txid":7}]'],
    ['history', /scripthash/, '{'],
    ['tip', /tip\/hash/, 'x'.repeat(64)],
    ['tip', /tip\/hash/, ''],
  ];
  it.each(lies)('%s: %s as %s stops nothing for good', async (_, path, body) => {
    await hear([{ path, tell: () => text(body) }], 1);
    await truth();
  });
  it('a failing server stops nothing for good', async () => {
    await hear([{ path: /^/, tell: () => text('busy', 503) }], 1);
    await truth();
  });
});

describe('a lie about a new channel', () => {
  /** Starts to open a second channel whose funding confirms while the victim hears lies; it must not become ready. */
  async function opening(lies: (id: string) => Lie[]): Promise<void> {
    const { address } = await payer.client.newAddress({});
    world.chain.faucet(address, 300_000n);
    await world.mine(1);
    await eventually('coins', async () => (await payer.client.walletBalance({})).confirmedSats >= 250_000n);
    const nodeId = Buffer.from(victim.process.ready.node_id, 'hex');
    const { fundingTxid: id } = await payer.client.openChannel({ nodeId, capacitySats: 200_000n, pushMsat: 0n });
    const name = displayHex(id);
    proxy.lie(lies(name));
    world.chain.mine(2);
    await heard();
    const victims = async () =>
      (await victim.client.listChannels({})).channels.find((channel) => channel.fundingTxid.equals(id));
    expect(await victims()).toMatchObject({ isReady: false, confirmations: 0 });
    proxy.lie([]);
    world.chain.mine(2);
    await world.caughtUp();
    await eventually('the channel after the truth', async () => (await victims())?.isReady);
    await world.allUsable();
    channelCount += 1;
  }

  it.each<[string, object]>([
    ['of another transaction', { block_height: 1, merkle: ['ab'.repeat(32)], pos: 1 }],
    ['with a position of 2^40', { block_height: 1, merkle: ['ab'.repeat(32)], pos: 2 ** 40 }],
    ['with a negative position', { block_height: 1, merkle: ['ab'.repeat(32)], pos: -1 }],
    ['with a short entry', { block_height: 1, merkle: ['ab'], pos: 1 }],
    ['with a hundred levels', { block_height: 1, merkle: Array.from({ length: 100 }, () => 'ab'.repeat(32)), pos: 1 }],
  ])('a merkle proof %s makes no channel usable', async (_, proof) => {
    await opening((id) => [{ path: new RegExp(`${id}/merkle-proof`), tell: () => json(proof) }]);
  });
  it('an invented block that "confirms" the funding makes no channel usable', async () => {
    await opening((id) => {
      const header = invented(world.chain.tip.hash, true, reversedBytes(id));
      const name = nameOf(header);
      const status = { confirmed: true, block_height: 122, block_hash: name };
      return [
        { path: new RegExp(`${id}/status`), tell: () => json(status) },
        { path: new RegExp(`${id}/merkle-proof`), tell: () => json({ block_height: 122, merkle: [], pos: 0 }) },
        { path: new RegExp(`^/block/${name}/header$`), tell: () => text(header.toString('hex')) },
        { path: new RegExp(`^/block/${name}/status$`), tell: () => json({ in_best_chain: true, height: 122 }) },
      ];
    });
  });
  it.each(['', '00', 'ff'.repeat(200)])('raw bytes %o make no channel usable and stop nothing', async (body) => {
    const answer = { status: 200, body: Buffer.from(body, 'hex') };
    await opening((id) => [{ path: new RegExp(`${id}/raw`), tell: () => answer }]);
  });
  it('a witness that no block has room for makes no channel usable and stops nothing', async () => {
    const swollen = ({ body }: Answer): Answer => {
      const tx = Transaction.fromBuffer(body);
      tx.setWitness(0, [Buffer.alloc(4_100_000)]); // the txid stays as it was
      return { status: 200, body: Buffer.from(tx.toBuffer()) };
    };
    await opening((id) => [{ path: new RegExp(`${id}/raw`), tell: swollen }]);
  });
});

describe('after all lies', () => {
  it('a real reorg is followed, and the held payment is settled', async () => {
    await world.mine(3);
    world.chain.reorg(3);
    await truth();
    await victim.port.settleInvoice(secret.preimage);
    expect(await payment).toMatchObject({ state: 'SUCCEEDED' });
  });
});

function claimHeight(body: Buffer, value: unknown): Buffer {
  const { height: own, block_height: ofTx, ...rest } = JSON.parse(body.toString()) as Record<string, unknown>;
  const claimed = {
    ...rest,
    ...(own !== undefined && { height: value }),
    ...(ofTx !== undefined && { block_height: value }),
  };
  return Buffer.from(JSON.stringify(claimed));
}
