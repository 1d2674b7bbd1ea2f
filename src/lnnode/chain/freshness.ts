/** Whether the view of the chain is fresh enough to move money on it. */
import type { StoredHeader } from '../store/headers.js';
import type { Network } from './headers.js';

/** A round that worked counts for this long. */
const ROUND_MS = 60_000;
/**
 * A server whose index stands still says the same tip for ever, without a lie in it. Mainnet has a pause of three hours
 * once in a thousand years; the test networks have longer ones.
 */
const MAX_TIP_AGE_SECS: Record<Network, number> = { bitcoin: 3 * 3600, testnet: Infinity, regtest: Infinity };

/** Why money does not move now; empty while it may. `roundAgeMs` is the age of the last round that worked. */
export function freshnessProblem(tip: Pick<StoredHeader, 'header'>, network: Network, roundAgeMs: number): string {
  if (roundAgeMs >= ROUND_MS) return 'the chain source was not reached for a minute, or is behind our own chain';
  const minedAt = tip.header.readUInt32LE(68);
  if (Date.now() / 1000 - minedAt <= MAX_TIP_AGE_SECS[network]) return '';
  return `the chain source has no block since ${new Date(minedAt * 1000).toISOString()}`;
}
