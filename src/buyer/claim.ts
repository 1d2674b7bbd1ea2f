/** The claim: from a verified HTLC and its preimage to a confirmed payout. Used by the purchase and by claim kits alike. */
import { randomBytes } from 'node:crypto';

import type { Zkp } from '../core/blind.js';
import { findPreimage, p2wshScriptPubKey } from '../core/htlc.js';
import { buildClaim } from '../core/htlcSpend.js';
import { LIQUID_NETWORKS, type LiquidNetworkName } from '../core/network.js';
import { FINAL_CONFS } from '../core/timelock.js';
import { parseTransaction, rawOf, SEQUENCE_REPLACEABLE, txidOf, type HtlcOutpoint } from '../core/tx.js';
import {
  displayHex,
  sat,
  satPerKvb,
  type BlockHeight,
  type PaymentHash,
  type Preimage,
  type Pubkey,
  type Sat,
  type SatPerKvb,
  type Txid,
} from '../core/units.js';
import { SwapError } from '../errors.js';
import { confirmations } from '../liquid/chain.js';
import { askAll, type NamedChain } from './observe.js';
import { watchChains } from './wait.js';

/** Everything but the preimage. */
export type ClaimSource = {
  readonly network: LiquidNetworkName;
  readonly paymentHash: PaymentHash;
  readonly witnessScript: Uint8Array;
  readonly refundHeight: BlockHeight;
  readonly outpoints: readonly HtlcOutpoint[];
  /** Raw funding, rebroadcast if a reorganisation dropped it. */
  readonly fundingTx: Uint8Array;
  readonly privateKey: Uint8Array;
  readonly payoutScript: Uint8Array;
  /** Blinds the payout for a confidential address. */
  readonly blindingPubkey?: Pubkey | undefined;
};

/** A signed claim. */
export type SignedClaim = { readonly txid: Txid; readonly raw: Buffer; readonly feeSat: Sat };

/** When the refund is this near, the claim must not be replaceable by it. */
const FINAL_BELOW_BLOCKS = 60;
const SEQUENCE_FINAL = 0xffff_ffff;
/** Fee rate is raised this much when the refund is near. */
const URGENT_FACTOR = 10n;
/** The wait for a block ends after this long, for servers that forget to tell. */
const POLL_MS = 5_000;

/** Most L-BTC that may go into the fee: what the HTLC holds of it beyond the asset sold. */
const subsidyOf = (source: ClaimSource): Sat => {
  const { policyAsset } = LIQUID_NETWORKS[source.network];
  const lbtc = source.outpoints.filter((output) => output.assetId === policyAsset);
  return sat(lbtc.reduce((sum, output) => sum + output.value, 0n));
};

/**
 * Signs the claim. At T - h <= 60 it is final (a refund cannot replace it) and pays ten times the rate.
 *
 * A rate that the HTLC's L-BTC cannot pay is lowered to what it can: a slow claim beats none.
 */
export function signClaim(
  zkp: Zkp,
  source: ClaimSource,
  now: { readonly preimage: Preimage; readonly tipHeight: BlockHeight; readonly feeRate: SatPerKvb },
): SignedClaim {
  const isUrgent = source.refundHeight - now.tipHeight <= FINAL_BELOW_BLOCKS;
  const build = (feeRate: SatPerKvb): SignedClaim => {
    const { tx, feeSat } = buildClaim({
      zkp,
      outpoints: source.outpoints,
      witnessScript: source.witnessScript,
      privateKey: source.privateKey,
      preimage: now.preimage,
      payoutScript: source.payoutScript,
      ...(source.blindingPubkey === undefined ? {} : { blindingPubkey: source.blindingPubkey }),
      policyAsset: LIQUID_NETWORKS[source.network].policyAsset,
      feeRate,
      maxFeeSat: subsidyOf(source),
      sequence: isUrgent ? SEQUENCE_FINAL : SEQUENCE_REPLACEABLE,
      randomBytes,
    });
    return { txid: txidOf(tx), raw: rawOf(tx), feeSat };
  };
  const wanted = isUrgent ? now.feeRate * URGENT_FACTOR : now.feeRate;
  for (let feeRate = wanted; ; feeRate /= 2n) {
    try {
      return build(satPerKvb(feeRate));
    } catch (error) {
      const isTooHigh = error instanceof SwapError && error.code === 'feerate_too_high';
      if (!isTooHigh || feeRate < 100n) throw error;
    }
  }
}

/** Where the HTLC's asset output went, by one server. */
export type SpendStatus =
  | { readonly kind: 'unspent' }
  | {
      readonly kind: 'claimed' | 'refunded';
      readonly txid: Txid;
      readonly confirmations: number;
      readonly preimage?: Preimage;
    };

/** Finds the spend of the asset output in the script's history and reads off its witness whether it is a claim. */
export async function findSpend({ chain }: NamedChain, source: ClaimSource): Promise<SpendStatus> {
  const [asset] = source.outpoints;
  const history = await chain.history(p2wshScriptPubKey(source.witnessScript));
  const tip = await chain.tip();
  for (const entry of history) {
    const raw = await chain.transaction(entry.txid);
    if (raw === undefined || asset === undefined) continue;
    const spend = parseTransaction(raw).ins.find(
      (input) => displayHex(input.hash) === asset.outpoint.txid && input.index === asset.outpoint.vout,
    );
    if (spend === undefined) continue;
    const found = { txid: entry.txid, confirmations: confirmations(entry.height, tip.height) };
    const preimage = findPreimage(spend.witness, source.paymentHash);
    return preimage === undefined ? { kind: 'refunded', ...found } : { kind: 'claimed', ...found, preimage };
  }
  return { kind: 'unspent' };
}

/** What happened to a broadcast, for people. */
export type ClaimNews =
  | { readonly kind: 'broadcast'; readonly server: string; readonly outcome: string }
  | { readonly kind: 'seen'; readonly txid: Txid; readonly confirmations: number };

/** How it ended; `pending` when the signal was aborted first. */
export type ClaimEnd = { readonly kind: 'claimed' | 'refunded'; readonly txid: Txid } | { readonly kind: 'pending' };

async function broadcastEverywhere(
  chains: readonly NamedChain[],
  source: ClaimSource,
  raw: Uint8Array,
  onNews: (news: ClaimNews) => void,
): Promise<void> {
  for (const { name, chain } of chains) {
    const outcome = await chain.broadcast(raw);
    if (outcome.kind === 'rejected' && outcome.reason === 'missing_inputs') await chain.broadcast(source.fundingTx);
    const text = outcome.kind === 'rejected' ? `rejected: ${outcome.text}` : outcome.kind;
    onNews({ kind: 'broadcast', server: name, outcome: text });
  }
}

/** The spend that the most servers' word counts for: the one with the fewest confirmations, unspent before all. */
function leastAdvanced(states: readonly SpendStatus[]): SpendStatus {
  const depth = (state: SpendStatus): number => (state.kind === 'unspent' ? -1 : state.confirmations);
  return states.reduce((least, state) => (depth(state) < depth(least) ? state : least));
}

/**
 * Broadcasts a signed claim again and again until a spend of the asset has two confirmations on every server that
 * answers. Safe to run again after a crash: the same bytes.
 */
export async function followClaim(
  chains: readonly NamedChain[],
  source: ClaimSource,
  options: {
    readonly raw: Uint8Array;
    readonly signal: AbortSignal;
    readonly onNews: (news: ClaimNews) => void;
    readonly onTrouble: (error: SwapError) => void;
  },
): Promise<ClaimEnd> {
  const { raw, signal, onNews, onTrouble } = options;
  const watch = watchChains(chains, p2wshScriptPubKey(source.witnessScript));
  let lastSeen = '';
  try {
    while (!signal.aborted) {
      try {
        const { answers, failures } = await askAll(chains, async (named) => await findSpend(named, source));
        failures.forEach(onTrouble);
        const state = leastAdvanced(answers);
        if (state.kind !== 'unspent') {
          const seen = `${state.txid} ${state.confirmations}`;
          if (seen !== lastSeen) onNews({ kind: 'seen', txid: state.txid, confirmations: state.confirmations });
          lastSeen = seen;
          if (state.confirmations >= FINAL_CONFS) return { kind: state.kind, txid: state.txid };
        }
        if (state.kind !== 'claimed') await broadcastEverywhere(chains, source, raw, onNews);
      } catch (error) {
        if (!(error instanceof SwapError)) throw error;
        onTrouble(error);
      }
      await watch.next(POLL_MS, signal);
    }
    return { kind: 'pending' };
  } finally {
    watch.close();
  }
}
