/** Whole blocks of a server, checked before anything reads them. */
import { Block } from 'bitcoinjs-lib';

import type { Header } from './headers.js';

/**
 * The block of a header. LDK panics on bytes that are no block, so they are parsed and compared here first, witnesses
 * too. @throws Error
 */
export function checkedBlock(raw: Buffer, header: Header): Block {
  if (!raw.subarray(0, 80).equals(header.bytes)) throw new Error(`full node: block ${header.hash} has another header`);
  const block = Block.fromBuffer(raw);
  const transactions = block.transactions ?? [];
  if (transactions.length === 0 || !Buffer.from(block.toBuffer()).equals(raw)) {
    throw new Error(`full node: block ${header.hash} is malformed`);
  }
  if (!block.checkTxRoots()) throw new Error(`full node: block ${header.hash} has other transactions`);
  return block;
}
