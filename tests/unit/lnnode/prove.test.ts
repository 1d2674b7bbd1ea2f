import { Transaction } from 'bitcoinjs-lib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { displayHex, outpoint, reversedBytes, type Txid } from '../../../src/core/units.js';
import { connectEsplora, type EsploraSource } from '../../../src/lnnode/chain/esplora.js';
import { assertInBlock, makeProver, readTransaction, type OwnChain } from '../../../src/lnnode/chain/prove.js';
import { startRegtestServer, type RegtestServer } from '../../support/regtestServer.js';

const ADDRESS = 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080';

let server: RegtestServer;
let source: EsploraSource;

beforeEach(async () => {
  server = await startRegtestServer();
  source = connectEsplora({ url: server.esplora });
});

afterEach(async () => {
  source.close();
  await server.close();
});

/** The chain as the node's own, up to a height. */
const ownChain =
  (top = server.chain.tip.height): OwnChain =>
  (hash) => {
    const block = server.chain.blockByHash(hash);
    if (block === undefined || !server.chain.isActive(block) || block.height > top) return undefined;
    return { hash, height: block.height, header: Buffer.from(block.block.toBuffer(true)) };
  };

/** Payments in one block, so that their positions differ. */
function pay(count: number): Txid[] {
  const ids = Array.from({ length: count }, (_, index) => server.chain.faucet(ADDRESS, 10_000n + BigInt(index)));
  server.chain.mine(1);
  return ids;
}

const inputOf = (id: Txid) => {
  const input = server.chain.transaction(id)?.ins[0];
  return outpoint(displayHex(input?.hash ?? Buffer.alloc(32)), input?.index ?? 0);
};

describe('a transaction', () => {
  it.each([1, 2, 3, 4, 7])('among %i payments is proven with its position', async (count) => {
    const prover = makeProver(source, 'regtest');
    for (const id of pay(count)) {
      const proven = await prover.transaction(id, ownChain());
      expect(proven).toMatchObject({ txid: id, block: { hash: server.chain.tip.hash } });
      expect(server.chain.tip.txids[proven?.position ?? -1]).toBe(id);
    }
  });
  it('is in no block as long as the own chain has not the block', async () => {
    const [id] = pay(1);
    if (id === undefined) throw new Error('one payment');
    const prover = makeProver(source, 'regtest');
    expect(await prover.transaction(id, ownChain(server.chain.tip.height - 1))).toBeUndefined();
    expect(await prover.spender(inputOf(id), ownChain(server.chain.tip.height - 1), true)).toBeUndefined();
  });
  it('is refused at another position, also at that of its own copy', async () => {
    const ids = pay(2); // three with the coinbase: the last one is paired with itself
    const [, last] = ids;
    if (last === undefined) throw new Error('two payments');
    const proof = await source.merkleProof(last);
    const tx = readTransaction(await source.rawTx(last), last);
    const header = server.chain.tip.block.toBuffer(true);
    expect(proof.position).toBe(2);
    assertInBlock(tx, last, proof, header);
    for (const position of [0, 1, 3, 4, -2, 2.5, 2 ** 40]) {
      expect(() => {
        assertInBlock(tx, last, { ...proof, position }, header);
      }).toThrow('merkle proof');
    }
  });
  it('of 64 bytes is refused: it could be a node of the tree', () => {
    const tx = new Transaction();
    tx.addInput(Buffer.alloc(32, 1), 0);
    tx.addOutput(Buffer.from('51525354', 'hex'), 1n);
    expect(tx.byteLength(false)).toBe(64);
    const header = Buffer.alloc(80);
    reversedBytes(tx.getId()).copy(header, 36);
    expect(() => {
      assertInBlock(tx, tx.getId() as Txid, { merkle: [], position: 0 }, header);
    }).toThrow('64 bytes');
  });
});

it('a transaction with a witness that no block has room for is refused', async () => {
  const [id] = pay(1);
  if (id === undefined) throw new Error('one payment');
  const tx = Transaction.fromBuffer(await source.rawTx(id));
  tx.setWitness(0, [Buffer.alloc(4_000_000)]);
  const rawTx = () => Promise.resolve(Buffer.from(tx.toBuffer()));
  const prover = makeProver({ ...source, rawTx }, 'regtest');
  await expect(prover.transaction(id, ownChain())).rejects.toThrow('more than a block');
});

describe('the witness of a spend', () => {
  /** The same transaction with another witness: its txid does not change. */
  const changed = async (id: Txid): Promise<Buffer> => {
    const tx = Transaction.fromBuffer(await source.rawTx(id));
    tx.setWitness(0, [Buffer.alloc(32, 7), Buffer.from('51', 'hex')]);
    return Buffer.from(tx.toBuffer());
  };
  it('is that of the block, whatever the server says the transaction is', async () => {
    const [id] = pay(1);
    if (id === undefined) throw new Error('one payment');
    const prover = makeProver({ ...source, rawTx: changed }, 'regtest');
    const proven = await prover.spender(inputOf(id), ownChain(), true);
    expect(
      Buffer.from(proven?.tx.toBuffer() ?? []).equals(Buffer.from(server.chain.transaction(id)?.toBuffer() ?? [])),
    ).toBe(true);
  });
  it('is refused if the server changes it in the block too', async () => {
    const [id] = pay(1);
    if (id === undefined) throw new Error('one payment');
    const block: EsploraSource['block'] = async (hash) => {
      const whole = await source.block(hash);
      const raw = await source.rawTx(id);
      const at = whole.indexOf(raw);
      return Buffer.concat([whole.subarray(0, at), await changed(id), whole.subarray(at + raw.length)]);
    };
    const prover = makeProver({ ...source, rawTx: changed, block }, 'regtest');
    await expect(prover.spender(inputOf(id), ownChain(), true)).rejects.toThrow('other transactions');
  });
  it('that does not exist is refused: the output was spent by nobody', async () => {
    const [id, other] = pay(2);
    if (id === undefined || other === undefined) throw new Error('two payments');
    const claim = { txid: other, blockHash: server.chain.tip.hash };
    const prover = makeProver({ ...source, spenderOf: () => Promise.resolve(claim) }, 'regtest');
    await expect(prover.spender(outpoint(id, 0), ownChain(), true)).rejects.toThrow('does not spend');
  });
});

describe('a fee estimate of Esplora', () => {
  it.each<[object, number, bigint | undefined]>([
    [{ 1: 50, 6: 20.5, 144: 1.2 }, 12, 20_500n],
    [{ 1: 50, 6: 20.5, 144: 1.2 }, 1008, 1200n],
    [{ 6: 20.5 }, 2, 20_500n],
    [{}, 2, undefined],
    [{ x: 3 }, 2, undefined],
  ])('%j for %i blocks is %s', async (estimates, target, expected) => {
    expect(await withEstimates(JSON.stringify(estimates), (other) => other.feeRate(target))).toBe(expected);
  });
  it.each(['{"6":-1}', '{"6":"20"}', '{"6":1e300}', '{"6":null}', '[]x', ''])('%s is refused', async (text) => {
    await expect(withEstimates(text, (other) => other.feeRate(6))).rejects.toThrow();
  });
});

/** A server with these estimates. */
async function withEstimates<T>(text: string, body: (source: EsploraSource) => Promise<T>): Promise<T> {
  const { createServer } = await import('node:http');
  const http = createServer((_, response) => response.end(text));
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const address = http.address();
  const other = connectEsplora({ url: `http://127.0.0.1:${typeof address === 'object' ? (address?.port ?? 0) : 0}` });
  try {
    return await body(other);
  } finally {
    other.close();
    http.close();
  }
}
