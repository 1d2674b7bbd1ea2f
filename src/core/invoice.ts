/**
 * BOLT 11 invoices, read strictly. Pure.
 *
 * The library checks the checksum and recovers the payee; this guard adds what it lets through: a missing payment
 * secret, unknown required features, repeated fields, another network. An invoice without amount is refused: every
 * invoice here has a price.
 *
 * A refusal names the field, so that nobody has to read it out of a sentence.
 */
import { decode, type PaymentRequestObject, type TagsObject } from 'bolt11';

import { SwapError, type FieldViolation } from '../errors.js';
import type { BitcoinNetworkName } from './network.js';
import {
  msat,
  paymentHash,
  pubkey,
  unixSecs,
  type Msat,
  type PaymentHash,
  type Pubkey,
  type UnixSecs,
} from './units.js';

/** What an invoice says, after its signature was used to recover the payee. */
export type DecodedInvoice = {
  /** The text, in lower case. */
  readonly bolt11: string;
  readonly network: BitcoinNetworkName;
  /** Node that signed. A flipped bit in the signature shows as another key here: compare it with the expected one. */
  readonly payee: Pubkey;
  readonly paymentHash: PaymentHash;
  readonly amountMsat: Msat;
  readonly createdAt: UnixSecs;
  readonly expiresAt: UnixSecs;
  /** F: blocks that the last hop must leave, 18 if the invoice does not say. */
  readonly minFinalCltvDelta: number;
  /** 64 hex digits. */
  readonly descriptionHash: string | undefined;
  readonly description: string | undefined;
};

/** What an invoice says, and what of it keeps a payer from paying although it can be read. */
export type InvoiceReading = {
  /** `amountMsat` is 0 if the invoice has no amount. */
  readonly invoice: DecodedInvoice;
  /** Fields `amount` (there is none), `payment_secret` (none, or not 32 bytes), `features` (a required one is unknown). */
  readonly refusals: readonly FieldViolation[];
  /** Feature bits that are set, in order. */
  readonly features: readonly number[];
  /** Private ways to the payee that the invoice names. */
  readonly routeHints: number;
};

type Decoded = PaymentRequestObject & { tagsObject: TagsObject };

/** Longer than any invoice of a node; keeps hostile text cheap. */
const MAX_CHARACTERS = 4096;
const DEFAULT_EXPIRY_SECS = 3600;
const DEFAULT_MIN_FINAL_CLTV_DELTA = 18;

const BECH32_PREFIX: Readonly<Record<BitcoinNetworkName, string>> = { bitcoin: 'bc', testnet: 'tb', regtest: 'bcrt' };

/** The library's names of the feature bits from 0 on, two for each: required, then supported. */
const NAMED_FEATURES = [
  'option_data_loss_protect',
  'initial_routing_sync',
  'option_upfront_shutdown_script',
  'gossip_queries',
  'var_onion_optin',
  'gossip_queries_ex',
  'option_static_remotekey',
  'payment_secret',
  'basic_mpp',
  'option_support_large_channel',
] as const;

/** Required (even) features that any payer knows, by the library's name, and payment_metadata by its bit. */
const KNOWN_FEATURES = new Set(['var_onion_optin', 'payment_secret', 'basic_mpp']);
const PAYMENT_METADATA_BIT = 48;

/** Half the order of secp256k1: a greater s is the other, non-canonical form of a signature. */
const MAX_LOW_S = '7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0';

/** Fields that decide about money; BOLT 11 allows each once. */
const SINGLE_FIELDS = [
  'payment_hash',
  'payment_secret',
  'description',
  'purpose_commit_hash',
  'payee_node_key',
  'expire_time',
  'min_final_cltv_expiry',
  'feature_bits',
] as const;

const violation = (field: string, expected: string, found: string): FieldViolation => ({
  field,
  description: `expected ${expected}, found ${found}`,
});

function refuseFor(refusal: FieldViolation): never {
  const { field, description } = refusal;
  throw new SwapError('invalid_argument', `invoice ${field}: ${description}`, { violations: [refusal] });
}

const refuse = (what: string, expected: string, found: string): never => refuseFor(violation(what, expected, found));

/**
 * `ln`, the network, then nothing or an amount: digits without leading zero and at most one multiplier.
 *
 * @returns whether there is an amount.
 */
function checkPrefix(text: string, network: BitcoinNetworkName): boolean {
  const humanPart = text.slice(0, text.lastIndexOf('1'));
  const match = /^ln([a-z]+)([1-9][0-9]*[munp]?)?$/.exec(humanPart);
  const [, prefix = '', amount = ''] = match ?? [];
  if (match === null) refuse('prefix', `ln${BECH32_PREFIX[network]} and an amount`, 'neither');
  if (prefix !== BECH32_PREFIX[network]) refuse('network', `${network} (ln${BECH32_PREFIX[network]})`, `ln${prefix}`);
  return amount !== '';
}

function decodeText(text: string, network: BitcoinNetworkName): Decoded {
  // The hashes only matter for fallback addresses, which nobody here pays to; the library wants them.
  const parameters = { pubKeyHash: 0, scriptHash: 5, validWitnessVersions: [0, 1] };
  try {
    return decode(text, { bech32: BECH32_PREFIX[network], ...parameters });
  } catch (cause) {
    throw new SwapError('invalid_argument', 'invoice: expected a well-formed BOLT 11 text, found an error in it', {
      cause,
    });
  }
}

function checkFields(decoded: Decoded): void {
  for (const name of SINGLE_FIELDS) {
    const found = decoded.tags.filter((tag) => tag.tagName === name).length;
    if (found > 1) refuse(name, 'at most once', `${found} times`);
  }
  // BOLT 11: with an `n` field the signature is validated, not recovered from, and must then be canonical.
  const isHighS = (decoded.signature ?? '').slice(64) > MAX_LOW_S;
  if (isHighS && decoded.tagsObject.payee_node_key !== undefined) refuse('signature', 'low S', 'high S');
}

function secretRefusals({ tagsObject }: Decoded): FieldViolation[] {
  const secret = tagsObject.payment_secret ?? '';
  return /^[0-9a-f]{64}$/.test(secret) ? [] : [violation('payment_secret', '32 bytes', `${secret.length / 2} bytes`)];
}

/** Bits 0..19 have names in the library, those above come as a list. Odd bits may be ignored. */
function featureRefusals({ tagsObject }: Decoded): FieldViolation[] {
  const refused = (feature: string): FieldViolation[] => [
    violation('features', 'no unknown required feature', feature),
  ];
  for (const [name, feature] of Object.entries(tagsObject.feature_bits ?? {})) {
    if (typeof feature !== 'object') continue; // the field's length
    if ('required' in feature && feature.required && !KNOWN_FEATURES.has(name)) {
      return refused(name);
    }
  }
  const { bits = [], start_bit: firstBit = 0 } = tagsObject.feature_bits?.extra_bits ?? {};
  const unknown = bits.findIndex((isSet, i) => isSet && i % 2 === 0 && firstBit + i !== PAYMENT_METADATA_BIT);
  return unknown < 0 ? [] : refused(`feature ${firstBit + unknown}`);
}

function featuresOf({ tagsObject: { feature_bits: found } }: Decoded): readonly number[] {
  const named = NAMED_FEATURES.flatMap((name, i) => [
    ...(found?.[name]?.required === true ? [2 * i] : []),
    ...(found?.[name]?.supported === true ? [2 * i + 1] : []),
  ]);
  const { bits = [], start_bit: firstBit = 0 } = found?.extra_bits ?? {};
  return [...named, ...bits.flatMap((isSet, i) => (isSet ? [firstBit + i] : []))];
}

/** A count of the invoice that must be an exact, plausible integer. */
function integerField(what: string, value: number | undefined, fallback: number, max: number): number {
  const found = value ?? fallback;
  if (!Number.isSafeInteger(found) || found > max) refuse(what, `an integer up to ${max}`, found.toString());
  return found;
}

function hash32(what: string, value: string | undefined): string | undefined {
  if (value !== undefined && !/^[0-9a-f]{64}$/.test(value)) refuse(what, '32 bytes', `${value.length / 2} bytes`);
  return value;
}

function assemble(text: string, network: BitcoinNetworkName, decoded: Decoded): DecodedInvoice {
  const { tagsObject: tags } = decoded;
  const createdAt = unixSecs(decoded.timestamp ?? -1);
  const expirySecs = integerField('expiry', tags.expire_time, DEFAULT_EXPIRY_SECS, 0xffff_ffff);
  const descriptionHash = hash32('description_hash', tags.purpose_commit_hash);
  if ((tags.description === undefined) === (descriptionHash === undefined)) {
    refuse('description', 'a text or a hash', descriptionHash === undefined ? 'neither' : 'both');
  }
  return {
    bolt11: text,
    network,
    payee: pubkey(decoded.payeeNodeKey ?? ''),
    paymentHash: paymentHash(tags.payment_hash ?? ''),
    amountMsat: msat(BigInt(decoded.millisatoshis ?? 0)),
    createdAt,
    expiresAt: unixSecs(createdAt + expirySecs),
    minFinalCltvDelta: integerField('final CLTV', tags.min_final_cltv_expiry, DEFAULT_MIN_FINAL_CLTV_DELTA, 0xffff),
    descriptionHash,
    description: tags.description,
  };
}

/**
 * Reads an invoice, also one that nobody should pay for want of an amount, a payment secret or a known feature.
 *
 * @param network whose invoices alone are accepted.
 * @throws SwapError `invalid_argument`, and nothing else, for anything else that BOLT 11 tells a payer to refuse, for
 *   another network (violation `network`) and for more than 4096 characters.
 */
export function inspectInvoice(text: string, network: BitcoinNetworkName): InvoiceReading {
  if (text.length > MAX_CHARACTERS) refuse('length', `at most ${MAX_CHARACTERS} characters`, text.length.toString());
  const lower = text.toLowerCase();
  if (text !== lower && text !== text.toUpperCase()) refuse('text', 'one letter case', 'mixed case');
  const hasAmount = checkPrefix(lower, network);
  const decoded = decodeText(lower, network);
  checkFields(decoded);
  const refusals = [
    ...(hasAmount ? [] : [violation('amount', 'an amount', 'none')]),
    ...secretRefusals(decoded),
    ...featureRefusals(decoded),
  ];
  return {
    invoice: assemble(lower, network, decoded),
    refusals,
    features: featuresOf(decoded),
    routeHints: decoded.tags.filter(({ tagName }) => tagName === 'routing_info').length,
  };
}

/**
 * Reads an invoice that can be paid.
 *
 * @param network whose invoices alone are accepted.
 * @throws SwapError `invalid_argument`, and nothing else, for anything that BOLT 11 tells a payer to refuse, for another
 *   network, for more than 4096 characters, and for an invoice without amount. The violation names the field.
 */
export function decodeInvoice(text: string, network: BitcoinNetworkName): DecodedInvoice {
  const { invoice, refusals } = inspectInvoice(text, network);
  const [refusal] = refusals;
  if (refusal !== undefined) refuseFor(refusal);
  return invoice;
}
