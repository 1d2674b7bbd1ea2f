/** One finding of the buyer, and the stable names of all of them. */

/**
 * Every check a buyer makes before it pays, in the order of the report. The codes are stable: scripts may rely on them.
 * A code names what is wrong when the check fails.
 */
export const CHECK_CODES = {
  electrum_servers:
    'all servers of our own answer, and they are enough (two of different operators on mainnet, unless one is trusted by flag)',
  genesis: 'every server is on the chain of the deal: its block 0 hashes to the expected genesis',
  tip_rule: 'the tips are fresh, plausible and agree',
  invoice_unreadable: 'the invoice is valid BOLT 11',
  invoice_network: 'the invoice is for the Bitcoin network that belongs to this Liquid network',
  invoice_signature_payee: "the invoice's signature recovers to the pinned node of the seller",
  invoice_amountless: 'the invoice names an amount',
  invoice_amount: 'the invoice asks exactly the quoted price',
  invoice_payment_secret: 'the invoice has a payment secret of 32 bytes',
  invoice_features: 'the invoice requires no feature that we do not know',
  invoice_expired: 'the invoice has not expired',
  invoice_expiry_left: 'the invoice lives at least 120 seconds more',
  script_template: 'the witness script is the HTLC template, byte for byte',
  refund_height_time_based: 'the refund lock is a block height, not a time',
  script_claim_key: 'the HTLC pays our own claim key',
  payment_hash_mismatch: 'the invoice and the HTLC are locked by the same hash',
  terms_hash_mismatch: 'the invoice commits to the terms that we rebuilt from our own request',
  funding_txid: 'the bytes of the funding that every server has hash to its txid',
  funding_blinded: 'the HTLC outputs show asset and amount in the clear',
  funding_nonce: 'the HTLC outputs carry no nonce',
  funding_missing_output:
    'the HTLC has an output for the asset and one for the claim fee (one for both when L-BTC is sold)',
  funding_extra_output: 'the funding pays nothing else to the HTLC',
  funding_asset: 'the HTLC holds the asset we ordered',
  funding_amount: 'the HTLC holds the amount we ordered and the quoted L-BTC for the claim fee',
  funding_height: 'the funding is in a block no higher than the tip',
  funding_confirmations: 'the funding is as deep as we asked',
  merkle_proof: 'the funding is proven into a block that every server has',
  outpoint_spent: 'every HTLC output is unspent on every server',
  refund_broadcast: 'no server knows a transaction that spends the HTLC without the preimage',
  refund_height_too_low: 'the refund opens late enough for a payment sent now',
  final_cltv_too_high: "the invoice's final CLTV is at most 80 blocks",
  final_cltv_vs_cap: 'the final CLTV, plus 3 of padding, fits under our cap of the total CLTV',
  fee_subsidy_too_low:
    'the L-BTC in the HTLC, or that of our own wallet, pays the claim at 1.5 times the present fee rate',
} as const;

/** Code of a check. */
export type CheckCode = keyof typeof CHECK_CODES;

/** One check with its outcome; `sentence` says what holds when it is ok. */
export type Check = {
  readonly code: CheckCode;
  readonly ok: boolean;
  /** False when a failure before it made it impossible; it counts as failed then. */
  readonly isMade: boolean;
  readonly expected: string;
  readonly found: string;
  readonly sentence: string;
};

/** A check that was made. */
export function check(code: CheckCode, ok: boolean, expected: string, found: string): Check {
  return { code, ok, isMade: true, expected, found, sentence: CHECK_CODES[code] };
}

/** A check that could not be made. */
export function uncheckable(code: CheckCode, expected: string, missing: string): Check {
  return { code, ok: false, isMade: false, expected, found: `not checkable: ${missing}`, sentence: CHECK_CODES[code] };
}

/** What more blocks, or a server that catches up, may still put right. */
const CURED_BY_TIME: ReadonlySet<CheckCode> = new Set([
  'electrum_servers',
  'tip_rule',
  'funding_txid',
  'funding_height',
  'funding_confirmations',
  'merkle_proof',
  'outpoint_spent',
]);

/** True if waiting may turn every failed check around; a definite lie is never worth waiting for. */
export function isWorthWaiting(checks: readonly Check[]): boolean {
  const failed = checks.filter((item) => item.isMade && !item.ok);
  return failed.length > 0 && failed.every((item) => CURED_BY_TIME.has(item.code));
}
