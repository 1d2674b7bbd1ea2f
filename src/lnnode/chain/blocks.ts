/** Whole blocks of a server, checked before anything reads them. */
import { Block, script } from 'bitcoinjs-lib';

import type { Header } from './headers.js';

/**
 * The block of a header. LDK panics on bytes that are no block, so they are parsed and compared here first, witnesses
 * too. @throws Error
 */
export function checkedBlock(raw: Buffer, header: Header): Block {
  if (!raw.subarray(0, 80).equals(header.bytes))
    throw new Error(`chain source: block ${header.hash} has another header`);
  const block = Block.fromBuffer(raw);
  const transactions = block.transactions ?? [];
  if (transactions.length === 0 || !Buffer.from(block.toBuffer()).equals(raw)) {
    throw new Error(`chain source: block ${header.hash} is malformed`);
  }
  if (!block.checkTxRoots()) throw new Error(`chain source: block ${header.hash} has other transactions`);
  return block;
}

/**
 * BIP 34: "the first item" of the coinbase's script is "the height of the block": so the work of the block covers it.
 * @throws Error unless the block is of this height
 */
export function assertHeight({ prevHash, transactions }: Block, height: number): void {
  const found = Buffer.from(transactions?.[0]?.ins[0]?.script ?? []);
  const expected = height <= 16 ? Buffer.from([0x50 + height]) : script.compile([script.number.encode(height)]);
  const isGenesis = height === 0 && prevHash?.every((byte) => byte === 0) === true;
  if (isGenesis || found.subarray(0, expected.length).equals(expected)) return;
  throw new Error(`chain source: expected a block of height ${height}, found another in its coinbase`);
}
