/** Bitcoin's merkle tree over the txids of a block; an odd node is paired with itself. */
import { displayHex, reversedBytes } from '../../core/units.js';
import { hash256 } from './digests.js';

function levelAbove(level: readonly Buffer[]): Buffer[] {
  const above: Buffer[] = [];
  for (let index = 0; index < level.length; index += 2) {
    const pair = level.slice(index, index + 2);
    above.push(hash256(Buffer.concat(pair.length === 2 ? pair : [...pair, ...pair])));
  }
  return above;
}

/** Root of at least one txid, 64 hex digits, display order. */
export function merkleRoot(txids: readonly string[]): string {
  let level = txids.map(reversedBytes);
  while (level.length > 1) level = levelAbove(level);
  const [root] = level;
  if (root === undefined) throw new Error('a block has at least one transaction');
  return displayHex(root);
}

/** The siblings on the way from the txid at `position` to the root, lowest first, display order. */
export function merkleBranch(txids: readonly string[], position: number): string[] {
  const branch: string[] = [];
  let level = txids.map(reversedBytes);
  for (let index = position; level.length > 1; index >>= 1) {
    const sibling = level[index ^ 1] ?? level[index];
    if (sibling === undefined) throw new Error(`position ${position} of ${txids.length} transactions`);
    branch.push(displayHex(sibling));
    level = levelAbove(level);
  }
  return branch;
}
