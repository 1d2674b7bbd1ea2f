/** Checks on the HTLC script and on the funding transaction's bytes. Pure. */
import type { Transaction } from 'liquidjs-lib';

import { parseHtlcWitnessScript, p2wshScriptPubKey, pubkeyHash, type HtlcTerms } from '../core/htlc.js';
import { LIQUID_NETWORKS } from '../core/network.js';
import { findFundingOutputs, fundingOutputs, type FundingProblem } from '../core/funding.js';
import { parseTransaction, txidOf, type HtlcOutpoint } from '../core/tx.js';
import { errorChain } from '../errors.js';
import { check, uncheckable, type Check, type CheckCode } from './check.js';
import type { Deal, Handover } from './deal.js';

/** Where the template pushes T, and from which number on a lock time is a time. */
const REFUND_HEIGHT_AT = 66;
const FIRST_TIME_LOCK = 500_000_000;

/** The HTLC's terms if the script is the template. */
export function readScript(witnessScript: Uint8Array): HtlcTerms | undefined {
  try {
    return parseHtlcWitnessScript(witnessScript);
  } catch {
    return undefined;
  }
}

/** The number that stands where the template has T, also if it is a time. */
function lockNumber(witnessScript: Uint8Array): number | undefined {
  const bytes = Buffer.from(witnessScript);
  const length = bytes[REFUND_HEIGHT_AT] ?? 0;
  if (length >= 0x51 && length <= 0x60) return length - 0x50;
  if (length < 1 || length > 5 || bytes.length < REFUND_HEIGHT_AT + 1 + length) return undefined;
  return bytes.readUIntLE(REFUND_HEIGHT_AT + 1, length);
}

/** The script is the template, with a block height and the buyer's own key. */
export function checkScript(deal: Deal, handover: Handover, htlc: HtlcTerms | undefined): Check[] {
  const ownPkh = pubkeyHash(deal.claimPubkey);
  const lock = lockNumber(handover.witnessScript);
  const isHeight = lock !== undefined && lock < FIRST_TIME_LOCK;
  return [
    check(
      'script_template',
      htlc !== undefined,
      'the HTLC template',
      htlc === undefined ? `${handover.witnessScript.length} other bytes` : 'the HTLC template',
    ),
    check('refund_height_time_based', isHeight, `below ${FIRST_TIME_LOCK}`, lock === undefined ? 'none' : String(lock)),
    htlc === undefined
      ? uncheckable('script_claim_key', ownPkh, 'no HTLC script')
      : check('script_claim_key', htlc.claimPkh === ownPkh, ownPkh, htlc.claimPkh),
  ];
}

/** In the order in which core looks; what comes after the first problem was not looked at. */
const FUNDING_CODES = [
  'funding_blinded',
  'funding_nonce',
  'funding_missing_output',
  'funding_extra_output',
  'funding_asset',
  'funding_amount',
] as const satisfies readonly (FundingProblem['code'] & CheckCode)[];

/**
 * The funding's bytes hash to its txid on every server and hold what was ordered. The txid covers every output, so that
 * one server's bytes tell what all of them hold.
 */
export function checkFunding(
  deal: Deal,
  handover: Handover,
  raws: readonly (Uint8Array | undefined)[],
): { checks: Check[]; funding: { raw: Buffer; outpoints: readonly HtlcOutpoint[] } | undefined } {
  const { policyAsset } = LIQUID_NETWORKS[deal.network];
  const scriptPubKey = p2wshScriptPubKey(handover.witnessScript);
  const expected = fundingOutputs({ ...deal, policyAsset, scriptPubKey });
  const ordered = expected.map((output) => `${output.value} of asset ${output.assetId}`).join(' and ');
  const all = raws.map(readTransaction);
  const shown = all.length === 0 ? ['no server answered'] : all.map((read) => read.problem ?? txidOf(read.tx));
  const isSame = shown.every((found) => found === handover.fundingTxid);
  const sameTxid = check('funding_txid', isSame, handover.fundingTxid, [...new Set(shown)].join(', '));
  const readable = all.filter((read) => read.problem === undefined);
  // The one that is asked about before any other, so that the findings are about it if a server has it.
  const read = readable.find(({ tx }) => txidOf(tx) === handover.fundingTxid) ?? readable[0];
  if (read === undefined) {
    const missing = FUNDING_CODES.map((code) => uncheckable(code, ordered, 'no funding transaction'));
    return { checks: [sameTxid, ...missing], funding: undefined };
  }
  const found = findFundingOutputs(read.tx, { scriptPubKey, expected });
  return {
    checks: [sameTxid, ...fundingFindings(ordered, found.ok ? undefined : found.problem)],
    funding: isSame && found.ok ? { raw: read.raw, outpoints: found.outpoints } : undefined,
  };
}

/** A transaction, or why the bytes are none. */
type ReadTransaction =
  { readonly tx: Transaction; readonly raw: Buffer; readonly problem?: undefined } | { readonly problem: string };

/** A server's bytes, read without trusting them. */
export function readTransaction(raw: Uint8Array | undefined): ReadTransaction {
  if (raw === undefined) return { problem: 'no such transaction' };
  try {
    return { tx: parseTransaction(raw), raw: Buffer.from(raw) };
  } catch (error) {
    return { problem: errorChain(error) };
  }
}

function fundingFindings(ordered: string, problem: FundingProblem | undefined): Check[] {
  const failedAt = problem === undefined ? FUNDING_CODES.length : FUNDING_CODES.indexOf(problem.code);
  return FUNDING_CODES.map((code, i) => {
    if (i < failedAt) return check(code, true, ordered, 'as ordered');
    return i === failedAt && problem !== undefined
      ? check(code, false, ordered, problem.message)
      : uncheckable(code, ordered, problem?.code ?? 'the check before');
  });
}
