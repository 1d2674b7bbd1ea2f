/** Signing a claim: what it takes, which fee it pays and out of what. Used by the purchase and by claim kits alike. */
import { randomBytes } from 'node:crypto';

import type { Transaction } from 'liquidjs-lib';

import type { Zkp } from '../core/blind.js';
import { buildClaim } from '../core/htlcSpend.js';
import { LIQUID_NETWORKS, type LiquidNetworkName } from '../core/network.js';
import { replacedOf, type Replaced } from '../core/replacement.js';
import { FINAL_CLAIM_BLOCKS } from '../core/timelock.js';
import {
  feeFor,
  fullVsize,
  parseTransaction,
  rawOf,
  SEQUENCE_REPLACEABLE,
  txidOf,
  type HtlcOutpoint,
} from '../core/tx.js';
import {
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
import type { Coin } from '../liquid/wallet.js';
import type { BuyerWallet } from './wallet.js';

/** Everything but the preimage. */
export type ClaimSource = {
  readonly network: LiquidNetworkName;
  readonly paymentHash: PaymentHash;
  readonly witnessScript: Uint8Array;
  readonly refundHeight: BlockHeight;
  /** The asset's first. */
  readonly outpoints: readonly HtlcOutpoint[];
  /** Raw funding, rebroadcast if a reorganisation dropped it. */
  readonly fundingTx: Uint8Array;
  readonly privateKey: Uint8Array;
  readonly payoutScript: Uint8Array;
  /** Blinds the payout for a confidential address. */
  readonly blindingPubkey?: Pubkey | undefined;
  /** Where the L-BTC that is left goes; to the payout script if undefined. */
  readonly changeScript?: Uint8Array | undefined;
};

/** A signed claim. */
export type SignedClaim = { readonly txid: Txid; readonly raw: Buffer; readonly feeSat: Sat };

/** When and against what a claim is signed. */
export type ClaimConditions = {
  readonly preimage: Preimage;
  readonly tipHeight: BlockHeight;
  readonly feeRate: SatPerKvb;
  /** The HTLC's outputs that are still there; all of them if undefined. */
  readonly outpoints?: readonly HtlcOutpoint[];
  /** Raw transactions that the claim has to replace: its earlier versions, and whatever else spends the HTLC. */
  readonly replaces?: readonly Uint8Array[];
  /** A refund by the seller waits for a block: then the fee has no ceiling but what there is. */
  readonly isContested?: boolean;
};

/** Coins of the buyer's wallet that pay a fee, and where their change goes. */
export type FeeHelp = {
  readonly coins: readonly Coin[];
  readonly change: { readonly scriptPubKey: Buffer; readonly blindingPubkey: Pubkey };
  readonly sign: BuyerWallet['sign'];
};

const SEQUENCE_FINAL = 0xffff_ffff;
/** Fee rate is raised this much when the refund is near. */
const URGENT_FACTOR = 10n;
/** Whatever servers say or swallow, no more than this is paid, and ten times as much when the refund is near: 10 sat/vB. */
const MAX_FEE_RATE = 10_000n;
/** Where no change is worth an output, its size and what it would hold go into the fee: vB and satoshi. */
const NO_CHANGE_VSIZE = 80;
const NO_CHANGE_SAT = 500n;
/** Of L-BTC that was bought, at most this part goes into the fee. */
const GOODS_PART = 2n;

/** Whether the refund is so near that a claim must be urgent and final. */
export const isUrgent = (refundHeight: BlockHeight, tipHeight: BlockHeight): boolean =>
  refundHeight - tipHeight <= FINAL_CLAIM_BLOCKS;

/** The rate that a claim should pay at that tip: the servers' rate within bounds, ten times as much near the refund. */
export function wantedRate(source: Pick<ClaimSource, 'refundHeight'>, tip: BlockHeight, feeRate: SatPerKvb): SatPerKvb {
  const rate = feeRate < MAX_FEE_RATE ? feeRate : MAX_FEE_RATE;
  return satPerKvb(isUrgent(source.refundHeight, tip) ? rate * URGENT_FACTOR : rate);
}

/** A server that swallows every version must not raise the fee for ever. @throws SwapError `feerate_too_high`. */
function requireModerate(tx: Transaction, feeSat: Sat, ceiling: SatPerKvb): void {
  const most = feeFor(fullVsize(tx) + NO_CHANGE_VSIZE, ceiling) + NO_CHANGE_SAT;
  if (feeSat <= most) return;
  throw new SwapError(
    'feerate_too_high',
    `claim: expected a fee of at most ${most.toString()} sat, found ${feeSat.toString()}`,
  );
}

/** Whether nothing may replace the transaction (BIP125). */
export const isFinalClaim = (raw: Uint8Array): boolean =>
  parseTransaction(raw).ins.every(({ sequence }) => sequence > SEQUENCE_REPLACEABLE);

/** Whether the asset sold is L-BTC; then it pays its own fee. */
export const isLbtcSale = ({ network, outpoints }: ClaimSource): boolean =>
  outpoints.every((output) => output.assetId === LIQUID_NETWORKS[network].policyAsset);

/** L-BTC among outputs, satoshi. */
export function lbtcOf(network: LiquidNetworkName, outputs: readonly Pick<HtlcOutpoint, 'assetId' | 'value'>[]): Sat {
  const lbtc = outputs.filter((output) => output.assetId === LIQUID_NETWORKS[network].policyAsset);
  return sat(lbtc.reduce((sum, output) => sum + output.value, 0n));
}

/** Most that may go into the fee: all L-BTC beside an asset, a part of L-BTC that was bought. */
function mostOf(source: ClaimSource, outpoints: readonly HtlcOutpoint[], help: FeeHelp | undefined): Sat {
  const total = lbtcOf(source.network, [...outpoints, ...(help?.coins ?? [])]);
  return isLbtcSale(source) ? sat(total / GOODS_PART) : total;
}

/** What replacing those transactions means for the fee. */
const replacedBy = (replaces: readonly Uint8Array[] | undefined): Replaced[] =>
  (replaces ?? []).map((raw) => replacedOf(parseTransaction(raw)));

/** Coins of the wallet leave their change there, wherever the asset goes. */
function changeOptions(
  source: ClaimSource,
  help: FeeHelp | undefined,
): { readonly changeScript?: Uint8Array; readonly changeBlindingPubkey?: Pubkey } {
  if (help === undefined) return source.changeScript === undefined ? {} : { changeScript: source.changeScript };
  return { changeScript: help.change.scriptPubKey, changeBlindingPubkey: help.change.blindingPubkey };
}

/**
 * Signs the claim. At T - h <= 60 it is final (a refund cannot replace it) and pays ten times the rate.
 *
 * @param options.help coins that pay beside the HTLC's L-BTC.
 * @param options.isBestEffort a rate that cannot be paid is lowered to what can: a slow claim beats none.
 * @throws SwapError `feerate_too_high` if there is not L-BTC enough.
 */
export function signClaim(
  zkp: Zkp,
  source: ClaimSource,
  now: ClaimConditions,
  { help, isBestEffort = true }: { readonly help?: FeeHelp | undefined; readonly isBestEffort?: boolean } = {},
): SignedClaim {
  const outpoints = now.outpoints ?? source.outpoints;
  const sequence = isUrgent(source.refundHeight, now.tipHeight) ? SEQUENCE_FINAL : SEQUENCE_REPLACEABLE;
  const { tx, feeSat } = buildClaim({
    zkp,
    outpoints,
    witnessScript: source.witnessScript,
    privateKey: source.privateKey,
    preimage: now.preimage,
    payoutScript: source.payoutScript,
    ...(source.blindingPubkey === undefined ? {} : { blindingPubkey: source.blindingPubkey }),
    ...changeOptions(source, help),
    policyAsset: LIQUID_NETWORKS[source.network].policyAsset,
    feeRate: wantedRate(source, now.tipHeight, now.feeRate),
    maxFeeSat: mostOf(source, outpoints, help),
    replaces: replacedBy(now.replaces),
    isBestEffort,
    feeInputs: (help?.coins ?? []).map((coin) => ({ ...coin, sequence })),
    sequence,
    randomBytes,
  });
  if (now.isContested !== true) requireModerate(tx, feeSat, wantedRate(source, now.tipHeight, satPerKvb(MAX_FEE_RATE)));
  if (help !== undefined) help.sign(tx, help.coins, outpoints.length);
  return { txid: txidOf(tx), raw: rawOf(tx), feeSat };
}
