/** What the servers show of an HTLC that is being claimed: who spends it, and how deep. Believed are signatures only. */
import type { Transaction } from 'liquidjs-lib';

import { findPreimage, p2wshScriptPubKey, parseHtlcWitnessScript, pubkeyHash } from '../core/htlc.js';
import { explicitValueBytes, isHtlcSignature, parseTransaction, type HtlcOutpoint } from '../core/tx.js';
import {
  blockHeight,
  displayHex,
  pubkey,
  type BlockHeight,
  type Preimage,
  type Pubkey,
  type SatPerKvb,
  type Txid,
} from '../core/units.js';
import { SwapError } from '../errors.js';
import { confirmations, type HistoryEntry, type LiquidChain } from '../liquid/chain.js';
import { FINAL_CONFS } from '../core/timelock.js';
import type { ClaimSource } from './claim.js';
import type { NamedChain } from './observe.js';

/** Where the HTLC's asset output went, by one server. */
export type SpendStatus =
  | { readonly kind: 'unspent' }
  | {
      readonly kind: 'claimed' | 'refunded';
      readonly txid: Txid;
      readonly confirmations: number;
      readonly preimage?: Preimage;
    };

/** A transaction that spends outputs of the HTLC with a valid signature of claimer or refunder. */
export type HtlcSpend = {
  readonly kind: 'claimed' | 'refunded';
  readonly txid: Txid;
  readonly raw: Buffer;
  readonly confirmations: number;
  /** Positions in {@link ClaimSource.outpoints} of what it spends. */
  readonly spends: readonly number[];
  readonly preimage?: Preimage;
};

/** One server's view. */
export type ClaimView = {
  readonly tip: BlockHeight;
  /** Undefined if the server does not tell. */
  readonly feeRate: SatPerKvb | undefined;
  readonly spends: readonly HtlcSpend[];
};

/** What the spend of the asset output is; the asset's is the first outpoint. */
export function assetSpend({ spends }: Pick<ClaimView, 'spends'>): SpendStatus {
  const found = spends.find((spend) => spend.spends.includes(0));
  if (found === undefined) return { kind: 'unspent' };
  const { kind, txid, confirmations: confs, preimage } = found;
  return { kind, txid, confirmations: confs, ...(preimage === undefined ? {} : { preimage }) };
}

/** The spend that the most servers' word counts for: the one with the fewest confirmations, unspent before all. */
export function leastAdvanced(views: readonly ClaimView[]): SpendStatus {
  const depth = (state: SpendStatus): number => (state.kind === 'unspent' ? -1 : state.confirmations);
  return views.map(assetSpend).reduce((least, state) => (depth(state) < depth(least) ? state : least));
}

/** The final spend that all these views agree on; undefined while one of them shows another, or not enough blocks. */
export function agreedEnd(
  views: readonly ClaimView[],
): { readonly kind: 'claimed' | 'refunded'; readonly txid: Txid } | undefined {
  const [first, ...others] = views.map(assetSpend);
  if (first === undefined || first.kind === 'unspent' || first.confirmations < FINAL_CONFS) return undefined;
  const { kind, txid } = first;
  const isSame = (state: SpendStatus): boolean =>
    state.kind === kind && state.txid === txid && state.confirmations >= FINAL_CONFS;
  return others.every(isSame) ? { kind, txid } : undefined;
}

type Taken = { readonly kind: HtlcSpend['kind']; readonly position: number; readonly preimage: Preimage | undefined };

/** Reads off the witnesses which outputs of the HTLC a transaction spends, and by whose key. A txid says nothing of them. */
function takenBy(raw: Buffer, source: ClaimSource): Taken[] {
  const tx = parseTransaction(raw);
  const { claimPkh, refundPkh } = parseHtlcWitnessScript(source.witnessScript);
  return source.outpoints.flatMap((point, position): Taken[] => {
    const { txid, vout } = point.outpoint;
    const index = tx.ins.findIndex((input) => displayHex(input.hash) === txid && input.index === vout);
    const signer = index < 0 ? undefined : signerOf(tx, index, point, source);
    const preimage = findPreimage(tx.ins[index]?.witness ?? [], source.paymentHash);
    if (signer === claimPkh && preimage !== undefined) return [{ kind: 'claimed', position, preimage }];
    return signer === refundPkh ? [{ kind: 'refunded', position, preimage: undefined }] : [];
  });
}

/** Hash of the public key that signed the input; undefined if its signature does not hold. */
function signerOf(tx: Transaction, index: number, point: HtlcOutpoint, source: ClaimSource): string | undefined {
  const [signature, key] = tx.ins[index]?.witness ?? [];
  if (signature === undefined || key?.length !== 33) return undefined;
  const signer = readPubkey(key);
  if (signer === undefined) return undefined;
  const { witnessScript } = source;
  const prevoutValue = explicitValueBytes(point.value);
  const isSigned = isHtlcSignature(tx, index, { witnessScript, pubkey: signer, prevoutValue, signature });
  return isSigned ? pubkeyHash(signer) : undefined;
}

function readPubkey(bytes: Buffer): Pubkey | undefined {
  try {
    return pubkey(bytes.toString('hex'));
  } catch {
    return undefined;
  }
}

/**
 * Transactions that may spend the HTLC. Strangers can pay its script so often that a server does not list them any more;
 * then the payout's script still tells of our own claim.
 */
async function candidates(chain: LiquidChain, source: ClaimSource): Promise<readonly HistoryEntry[]> {
  for (const script of [p2wshScriptPubKey(source.witnessScript), source.payoutScript]) {
    try {
      return await chain.history(script);
    } catch (error) {
      if (!(error instanceof SwapError && error.code === 'history_too_long')) throw error;
    }
  }
  return [];
}

/** Depth of a spend; one that would be final must have its proof. */
async function depthOf(chain: LiquidChain, { txid, height }: HistoryEntry, tip: BlockHeight): Promise<number> {
  const depth = confirmations(height, tip);
  if (depth >= FINAL_CONFS) await chain.proveInclusion(txid, blockHeight(height));
  return depth;
}

/** Claims of ours by txid: of those no server has to show the witnesses. */
type OwnClaims = ReadonlyMap<Txid, Buffer>;

/** Looks up all spends of the HTLC at one server. @throws SwapError `chain_unavailable`. */
async function findSpends(
  chain: LiquidChain,
  source: ClaimSource,
  own: OwnClaims = new Map(),
): Promise<{ tip: BlockHeight; spends: HtlcSpend[] }> {
  const history = await candidates(chain, source);
  const tip = (await chain.tip()).height;
  const spends: HtlcSpend[] = [];
  for (const entry of history) {
    const raw = own.get(entry.txid) ?? (await chain.transaction(entry.txid));
    const taken = raw === undefined ? [] : takenBy(raw, source);
    const [first] = taken;
    if (raw === undefined || first === undefined) continue;
    const { kind, preimage } = first;
    spends.push({
      kind,
      txid: entry.txid,
      raw,
      confirmations: await depthOf(chain, entry, tip),
      spends: taken.map(({ position }) => position),
      ...(preimage === undefined ? {} : { preimage }),
    });
  }
  return { tip, spends };
}

/** Where the asset went, by one server. @throws SwapError `chain_unavailable`. */
export async function findSpend({ chain }: NamedChain, source: ClaimSource): Promise<SpendStatus> {
  return assetSpend(await findSpends(chain, source));
}

/** All that following a claim takes, by one server. @throws SwapError `chain_unavailable`. */
export async function lookAtClaim({ chain }: NamedChain, source: ClaimSource, own: OwnClaims): Promise<ClaimView> {
  const [found, feeRate] = await Promise.all([findSpends(chain, source, own), feeRateOf(chain)]);
  return { ...found, feeRate };
}

async function feeRateOf(chain: LiquidChain): Promise<SatPerKvb | undefined> {
  try {
    return await chain.feeRate();
  } catch (error) {
    if (!(error instanceof SwapError)) throw error;
    return undefined;
  }
}
