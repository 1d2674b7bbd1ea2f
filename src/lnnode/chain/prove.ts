/**
 * What a chain server says about a transaction, against the node's own header chain. Nothing reaches LDK or the wallet
 * without it: an invented confirmation would make a channel usable, an invented spend would close one.
 */
import { createHash } from 'node:crypto';

import { Transaction } from 'bitcoinjs-lib';

import { displayHex, reversedBytes, type BlockHash, type Outpoint, type Txid } from '../../core/units.js';
import { checkedBlock } from './blocks.js';
import type { ClaimedTx, EsploraSource, MerkleProof } from './esplora.js';
import { parseHeader, type Network } from './headers.js';

/** A block of the own best chain. */
export type OwnBlock = { readonly hash: BlockHash; readonly height: number; readonly header: Buffer };

/** A transaction that is in a block of the own chain. */
export type ProvenTx = {
  readonly txid: Txid;
  readonly tx: Transaction;
  readonly position: number;
  readonly block: OwnBlock;
};

/** Blocks of the own best chain by hash. */
export type OwnChain = (hash: BlockHash) => OwnBlock | undefined;

/** A transaction of this size could be an inner node of a merkle tree. */
const INNER_NODE_BYTES = 64;
/** No block has room for more; LDK panics on a witness that is longer, and a txid does not cover witnesses. */
const MAX_WEIGHT = 4_000_000;
/** Positions are 24 bits in a short channel id. */
const MAX_POSITION = 0xff_ffff;

const sha256 = (data: Uint8Array): Buffer => createHash('sha256').update(data).digest();

/** Parses a transaction; LDK panics on bytes that are none. @throws Error unless it is the one asked for */
export function readTransaction(raw: Uint8Array, id: Txid): Transaction {
  const tx = Transaction.fromBuffer(raw);
  if (!Buffer.from(tx.toBuffer()).equals(raw)) throw new Error(`transaction ${id} is malformed`);
  if (tx.weight() > MAX_WEIGHT) throw new Error(`transaction ${id} has ${tx.weight()} weight units, more than a block`);
  if (tx.getId() !== id) throw new Error(`expected transaction ${id}, found ${tx.getId()}`);
  return tx;
}

/** @throws Error unless the proof leads from the transaction to the header's merkle root. */
export function assertInBlock(tx: Transaction, id: Txid, { merkle, position }: MerkleProof, header: Uint8Array): void {
  const refuse = (why: string): never => {
    throw new Error(`merkle proof of ${id}: ${why}`);
  };
  if (tx.byteLength(false) === INNER_NODE_BYTES) refuse(`a transaction of ${INNER_NODE_BYTES} bytes proves nothing`);
  if (merkle.length > 30 || !Number.isSafeInteger(position) || position < 0 || position > MAX_POSITION) {
    refuse(`position ${position} in ${merkle.length} levels`);
  }
  if (position >= 2 ** merkle.length) refuse(`position ${position} in ${merkle.length} levels`);
  let node = reversedBytes(id);
  merkle.forEach((text, level) => {
    if (!/^[0-9a-f]{64}$/.test(text)) refuse('a sibling is no hash');
    const sibling = reversedBytes(text);
    const isRight = Math.floor(position / 2 ** level) % 2 === 1;
    // an odd node is paired with itself, and is then the left one
    if (isRight && sibling.equals(node)) refuse('another position of the same transaction');
    node = sha256(sha256(Buffer.concat(isRight ? [sibling, node] : [node, sibling])));
  });
  if (!node.equals(Buffer.from(header.subarray(36, 68)))) refuse('another merkle root');
}

export type Prover = ReturnType<typeof makeProver>;

/** Questions with proven answers. Undefined: in no block that the own chain has; an exception: a lie, or no answer. */
export function makeProver(source: EsploraSource, network: Network) {
  const prove = async (claim: ClaimedTx, own: OwnChain): Promise<ProvenTx | undefined> => {
    const block = own(claim.blockHash);
    if (block === undefined) return undefined;
    const [raw, proof] = await Promise.all([source.rawTx(claim.txid), source.merkleProof(claim.txid)]);
    const tx = readTransaction(raw, claim.txid);
    assertInBlock(tx, claim.txid, proof, block.header);
    return { txid: claim.txid, tx, position: proof.position, block };
  };

  /** A txid does not cover witnesses, where LDK finds preimages: they count only as the whole block has them. */
  const withWitness = async (proven: ProvenTx): Promise<ProvenTx> => {
    const { hash, header } = proven.block;
    const block = checkedBlock(await source.block(hash), parseHeader(header, network));
    const tx = block.transactions?.[proven.position];
    if (tx?.getId() !== proven.txid) throw new Error(`block ${hash}: expected ${proven.txid} at ${proven.position}`);
    return { ...proven, tx };
  };

  return {
    prove,
    transaction: async (id: Txid, own: OwnChain): Promise<ProvenTx | undefined> => {
      const hash = await source.blockOf(id);
      return hash === undefined ? undefined : prove({ txid: id, blockHash: hash }, own);
    },
    /** The transaction that spends an output. Its witness is only proven if asked for: that takes the whole block. */
    spender: async (point: Outpoint, own: OwnChain, needsWitness: boolean): Promise<ProvenTx | undefined> => {
      const claim = await source.spenderOf(point);
      const proven = claim && (await prove(claim, own));
      if (proven === undefined) return undefined;
      const isSpent = proven.tx.ins.some(
        (input) => input.index === point.vout && displayHex(input.hash) === point.txid,
      );
      if (!isSpent) throw new Error(`${proven.txid} does not spend ${point.txid}:${point.vout}`);
      return needsWitness ? withWitness(proven) : proven;
    },
  };
}
