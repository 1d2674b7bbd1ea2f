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

/** The funding's bytes from one of the buyer's servers hash to its txid and hold what was ordered. */
export function checkFunding(
  deal: Deal,
  handover: Handover,
  raw: Uint8Array | undefined,
): { checks: Check[]; outpoints: readonly HtlcOutpoint[] | undefined } {
  const { policyAsset } = LIQUID_NETWORKS[deal.network];
  const scriptPubKey = p2wshScriptPubKey(handover.witnessScript);
  const expected = fundingOutputs({ ...deal, policyAsset, scriptPubKey });
  const ordered = expected.map((output) => `${output.value} of asset ${output.assetId}`).join(' and ');
  const read = readTransaction(raw);
  if ('problem' in read) {
    const missing = FUNDING_CODES.map((code) => uncheckable(code, ordered, 'no funding transaction'));
    return {
      checks: [check('funding_txid', false, handover.fundingTxid, read.problem), ...missing],
      outpoints: undefined,
    };
  }
  const id = txidOf(read.tx);
  const found = findFundingOutputs(read.tx, { scriptPubKey, expected });
  const isPayingUs = id === handover.fundingTxid && found.ok;
  return {
    checks: [
      check('funding_txid', id === handover.fundingTxid, handover.fundingTxid, id),
      ...fundingFindings(ordered, found.ok ? undefined : found.problem),
    ],
    outpoints: isPayingUs ? found.outpoints : undefined,
  };
}

function readTransaction(raw: Uint8Array | undefined): { tx: Transaction } | { problem: string } {
  if (raw === undefined) return { problem: 'no such transaction on our servers' };
  try {
    return { tx: parseTransaction(raw) };
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
