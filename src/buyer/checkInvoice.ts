/** Checks on the invoice and on what it commits to. Pure. */
import { decodeInvoice, type DecodedInvoice } from '../core/invoice.js';
import type { HtlcTerms } from '../core/htlc.js';
import { pubkeyHash } from '../core/htlc.js';
import { LIQUID_NETWORKS } from '../core/network.js';
import { termsHash } from '../core/terms.js';
import type { UnixSecs } from '../core/units.js';
import { errorChain } from '../errors.js';
import { check, uncheckable, type Check } from './check.js';
import type { Deal, Handover } from './deal.js';

/** A payment needs this much of the invoice's life. */
const MIN_EXPIRY_LEFT_SECS = 120;

/** The longest prefix first: `lnbcrt` starts like `lnbc`. */
const PREFIXES = [
  ['lnbcrt', 'regtest'],
  ['lntb', 'testnet'],
  ['lnbc', 'bitcoin'],
] as const;

/** The invoice as it decodes under the network of its own prefix; which network that may be is a check of its own. */
export function readInvoice(bolt11: string): { invoice: DecodedInvoice } | { problem: string } {
  const prefix = PREFIXES.find(([text]) => bolt11.toLowerCase().startsWith(text));
  if (prefix === undefined) return { problem: bolt11 === '' ? 'no invoice' : 'another prefix' };
  try {
    return { invoice: decodeInvoice(bolt11, prefix[1]) };
  } catch (error) {
    return { problem: errorChain(error) };
  }
}

/** Signature, network, price and life of the invoice. */
export function checkInvoice(deal: Deal, bolt11: string, now: UnixSecs): Check[] {
  const network = LIQUID_NETWORKS[deal.network].bitcoinNetwork;
  const price = `${deal.priceMsat} msat`;
  const life = `${MIN_EXPIRY_LEFT_SECS} s left`;
  const read = readInvoice(bolt11);
  if ('problem' in read) {
    return [
      check('invoice_unreadable', false, 'a BOLT 11 invoice', read.problem),
      uncheckable('invoice_network', network, 'no invoice'),
      uncheckable('invoice_signature_payee', deal.sellerNodeId, 'no invoice'),
      uncheckable('invoice_amount', price, 'no invoice'),
      uncheckable('invoice_expired', 'in the future', 'no invoice'),
      uncheckable('invoice_expiry_left', life, 'no invoice'),
    ];
  }
  const { invoice } = read;
  const left = invoice.expiresAt - now;
  return [
    check('invoice_unreadable', true, 'a BOLT 11 invoice', 'a BOLT 11 invoice'),
    check('invoice_network', invoice.network === network, network, invoice.network),
    check('invoice_signature_payee', invoice.payee === deal.sellerNodeId, deal.sellerNodeId, invoice.payee),
    check('invoice_amount', invoice.amountMsat === deal.priceMsat, price, `${invoice.amountMsat} msat`),
    check('invoice_expired', left > 0, 'an expiry in the future', left > 0 ? `in ${left} s` : `${-left} s ago`),
    check('invoice_expiry_left', left >= MIN_EXPIRY_LEFT_SECS, life, `${left} s left`),
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
