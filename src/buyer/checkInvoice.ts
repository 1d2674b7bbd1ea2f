/** Checks on the invoice and on what it commits to. Pure. */
import { inspectInvoice, type DecodedInvoice, type InvoiceReading } from '../core/invoice.js';
import type { HtlcTerms } from '../core/htlc.js';
import { pubkeyHash } from '../core/htlc.js';
import { LIQUID_NETWORKS } from '../core/network.js';
import { termsHash } from '../core/terms.js';
import type { UnixSecs } from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import { check, uncheckable, type Check } from './check.js';
import type { Deal, Handover } from './deal.js';
import { printable } from './printable.js';

/** A payment needs this much of the invoice's life. */
export const MIN_EXPIRY_LEFT_SECS = 120;
const LIFE = `${MIN_EXPIRY_LEFT_SECS} s left`;
const KNOWN_FEATURES = 'no unknown required feature';

/** The longest prefix first: `lnbcrt` starts like `lnbc`. */
const PREFIXES = [
  ['lnbcrt', 'regtest'],
  ['lntb', 'testnet'],
  ['lnbc', 'bitcoin'],
] as const;

/** An invoice that can be read, or why it cannot. */
type ReadInvoice = InvoiceReading | { readonly problem: string; readonly isForeign: boolean };

/** The invoice under the network of its own prefix; which network that may be is a check of its own. */
export function readInvoice(bolt11: string): ReadInvoice {
  if (bolt11 === '') return { problem: 'no invoice', isForeign: false };
  const [, network] = PREFIXES.find(([text]) => bolt11.toLowerCase().startsWith(text)) ?? ['', 'bitcoin'];
  try {
    return inspectInvoice(bolt11, network);
  } catch (error) {
    const isForeign = error instanceof SwapError && error.violations.some(({ field }) => field === 'network');
    return { problem: printable(errorChain(error)), isForeign };
  }
}

/** Nothing else can be said about an invoice that cannot be read. */
function unreadable(deal: Deal, { problem, isForeign }: { problem: string; isForeign: boolean }): Check[] {
  const readable = 'a BOLT 11 invoice';
  const network = LIQUID_NETWORKS[deal.network].bitcoinNetwork;
  const price = `${deal.priceMsat} msat`;
  return [
    isForeign
      ? uncheckable('invoice_unreadable', readable, 'another network')
      : check('invoice_unreadable', false, readable, problem),
    isForeign
      ? check('invoice_network', false, network, problem)
      : uncheckable('invoice_network', network, 'no invoice'),
    uncheckable('invoice_signature_payee', deal.sellerNodeId, 'no invoice'),
    uncheckable('invoice_amountless', 'an amount', 'no invoice'),
    uncheckable('invoice_amount', price, 'no invoice'),
    uncheckable('invoice_payment_secret', '32 bytes', 'no invoice'),
    uncheckable('invoice_features', KNOWN_FEATURES, 'no invoice'),
    uncheckable('invoice_expired', 'in the future', 'no invoice'),
    uncheckable('invoice_expiry_left', LIFE, 'no invoice'),
  ];
}

/** Signature, network, price and life of the invoice. */
export function checkInvoice(deal: Deal, bolt11: string, now: UnixSecs): Check[] {
  const read = readInvoice(bolt11);
  if ('problem' in read) return unreadable(deal, read);
  const { invoice, refusals } = read;
  const network = LIQUID_NETWORKS[deal.network].bitcoinNetwork;
  const price = `${deal.priceMsat} msat`;
  const left = invoice.expiresAt - now;
  const refusal = (field: string): string | undefined => refusals.find((each) => each.field === field)?.description;
  const amountless = refusal('amount');
  const secret = refusal('payment_secret');
  const features = refusal('features');
  return [
    check('invoice_unreadable', true, 'a BOLT 11 invoice', 'a BOLT 11 invoice'),
    check('invoice_network', invoice.network === network, network, invoice.network),
    check('invoice_signature_payee', invoice.payee === deal.sellerNodeId, deal.sellerNodeId, invoice.payee),
    check('invoice_amountless', amountless === undefined, 'an amount', amountless ?? `${invoice.amountMsat} msat`),
    amountless === undefined
      ? check('invoice_amount', invoice.amountMsat === deal.priceMsat, price, `${invoice.amountMsat} msat`)
      : uncheckable('invoice_amount', price, 'no amount'),
    check('invoice_payment_secret', secret === undefined, '32 bytes', secret ?? '32 bytes'),
    check('invoice_features', features === undefined, KNOWN_FEATURES, features ?? KNOWN_FEATURES),
    check('invoice_expired', left > 0, 'an expiry in the future', left > 0 ? `in ${left} s` : `${-left} s ago`),
    check('invoice_expiry_left', left >= MIN_EXPIRY_LEFT_SECS, LIFE, `${left} s left`),
  ];
}

/** Invoice and HTLC belong together, and to the terms rebuilt from the buyer's own request. */
export function checkBinding(
  deal: Deal,
  handover: Handover,
  htlc: HtlcTerms | undefined,
  invoice: DecodedInvoice | undefined,
): Check[] {
  const missing = invoice === undefined ? 'no invoice' : 'no HTLC script';
  if (invoice === undefined || htlc === undefined) {
    return [
      uncheckable('payment_hash_mismatch', htlc?.paymentHash ?? 'the hash in the script', missing),
      uncheckable('terms_hash_mismatch', 'the hash of the rebuilt terms', missing),
    ];
  }
  const rebuilt = termsHash({
    genesis: deal.genesis,
    sellerNodeId: deal.sellerNodeId,
    swapId: handover.swapId,
    quoteId: deal.quoteId,
    paymentHash: invoice.paymentHash,
    assetId: deal.assetId,
    assetAmount: deal.assetAmount,
    feeSubsidySat: deal.feeSubsidySat,
    priceMsat: deal.priceMsat,
    claimPkh: pubkeyHash(deal.claimPubkey),
    refundPkh: htlc.refundPkh,
    profile: deal.profile,
    refundDeltaBlocks: deal.refundDeltaBlocks,
    minFundingConfs: deal.minFundingConfs,
    invoiceExpirySecs: deal.invoiceExpirySecs,
  });
  const committed = invoice.descriptionHash ?? 'no description_hash';
  return [
    check('payment_hash_mismatch', invoice.paymentHash === htlc.paymentHash, htlc.paymentHash, invoice.paymentHash),
    check('terms_hash_mismatch', committed === rebuilt, rebuilt, committed),
  ];
}
