/** Words of the seller: the HTLC and the invoice are the honest ones, what is said about them is not. */
import { LIQUID_NETWORKS } from '../../src/core/network.js';
import { reversedBytes } from '../../src/core/units.js';
import { PaymentStatus, SwapStatus, type Quote, type Swap } from '../../src/gen/ln_liquid_swap/v1/swap.js';
import { keyOf } from '../unit/core/zkp.js';
import type { Lie } from './lie.js';
import type { SellerLie } from '../support/lyingSeller.js';

const OTHER = Buffer.alloc(32, 7);
const { CREATED, FUNDED } = SwapStatus;

/** The seller tells this in place of the swap; first `before`, if there is one. */
const told =
  (now: Partial<Swap>, before?: Partial<Swap>): NonNullable<Lie['seller']> =>
  () => ({ swap: (swap) => [...(before === undefined ? [] : [{ ...swap, ...before }]), { ...swap, ...now }] });

const silent = { bolt11: '' };

export const ANSWER_LIES: readonly Lie[] = [
  { name: 'invoice shown before the funding', codes: ['invoice_before_funding'], seller: told({ status: CREATED }) },
  {
    name: 'invoice without a funding',
    codes: ['invoice_before_funding'],
    seller: told({ fundingTxid: Buffer.alloc(0) }),
  },
  {
    name: 'invoice without a script',
    codes: ['invoice_before_funding'],
    seller: told({ witnessScript: Buffer.alloc(0) }),
  },
  {
    name: 'txid of another transaction',
    codes: ['funding_missing_output', 'funding_height', 'funding_confirmations', 'merkle_proof'],
    seller: (scene) => told({ fundingTxid: reversedBytes(scene.strangersTxid) })(scene),
  },
  {
    name: 'txid of 31 bytes',
    codes: ['seller_answer_invalid'],
    seller: told({ fundingTxid: OTHER.subarray(1) }),
  },
  {
    name: 'funded, then not',
    codes: ['seller_state_backwards'],
    seller: told({ ...silent, status: CREATED }, { ...silent, status: FUNDED }),
  },
  {
    name: 'paid, then payable again',
    codes: ['seller_state_backwards'],
    seller: told({}, { ...silent, paymentStatus: PaymentStatus.HELD }),
  },
  {
    name: 'funding swapped between two answers',
    codes: ['seller_swap_changed'],
    seller: (scene) => told({}, { ...silent, fundingTxid: reversedBytes(scene.strangersTxid) })(scene),
  },
  {
    name: 'funding swapped after a restart',
    codes: ['seller_swap_changed'],
    heard: 'the truth',
    seller: (scene) => told({ fundingTxid: reversedBytes(scene.strangersTxid) })(scene),
  },
  {
    name: 'script swapped between two answers',
    codes: ['seller_swap_changed'],
    seller: told({}, { ...silent, witnessScript: OTHER }),
  },
  { name: 'answers about another swap', codes: ['seller_swap_changed'], seller: told({ swapId: OTHER.subarray(16) }) },
  {
    name: 'swap id of 15 bytes',
    codes: ['seller_answer_invalid'],
    heard: 'nothing',
    seller: () => ({ created: (swap) => ({ ...swap, swapId: swap.swapId.subarray(1) }) }),
  },
  { name: 'a later refund height in words', codes: [], seller: told({ refundHeight: 400_000_000 }) },
  {
    name: 'vouts swapped in words',
    codes: [],
    seller: () => ({ swap: (swap) => [{ ...swap, outpoints: swap.outpoints.toReversed() }] }),
  },
  {
    name: 'another asset, amount and price in words',
    codes: [],
    seller: told({ assetId: OTHER, assetAmount: 1n, priceMsat: 1n }),
  },
  { name: 'other terms in words', codes: [], seller: told({ terms: 'asset_amount=1\n', termsHash: OTHER }) },
  { name: 'another payment hash in words', codes: [], seller: told({ paymentHash: OTHER }) },
  { name: 'a preimage before the payment', codes: [], seller: told({ preimage: OTHER }) },
  { name: 'control characters in the reason', codes: [], seller: told({ reason: '\u001b[2J\u001b]0;paid\u0007' }) },
];

/** A lie about the quote. */
const quoted = (change: (quote: Quote) => Partial<Quote>): SellerLie => ({
  quote: ({ quote }) => ({ quote: quote && { ...quote, ...change(quote) } }),
});

/** Refused before anything is begun. */
const REFUSED_QUOTES: readonly Lie[] = [
  {
    name: 'quote of less',
    codes: ['seller_answer_invalid'],
    quote: quoted(({ assetAmount }) => ({ assetAmount: assetAmount - 1n })),
  },
  {
    name: 'quote of the byte-reversed asset',
    codes: ['seller_answer_invalid'],
    quote: quoted(({ assetId }) => ({ assetId: Buffer.from(assetId).reverse() })),
  },
  {
    name: 'quote of another asset',
    codes: ['seller_answer_invalid'],
    quote: quoted(() => ({ assetId: reversedBytes(LIQUID_NETWORKS.regtest.policyAsset) })),
  },
  { name: 'quote without a quote', codes: ['seller_answer_invalid'], quote: { quote: () => ({ quote: undefined }) } },
  {
    name: 'quote of an unknown profile',
    codes: ['seller_answer_invalid'],
    quote: quoted(() => ({ profile: 'instant' })),
  },
  {
    name: 'quote above the limit',
    codes: ['quote_refused'],
    quote: quoted(({ priceMsat }) => ({ priceMsat: priceMsat + 1_000n })),
  },
  { name: 'quote with a subsidy of 20 sat', codes: ['quote_refused'], quote: quoted(() => ({ feeSubsidySats: 20n })) },
  { name: 'quote with an early refund', codes: ['quote_refused'], quote: quoted(() => ({ refundDeltaBlocks: 54 })) },
  { name: 'quote of another chain', codes: ['quote_refused'], quote: quoted(() => ({ genesisHash: OTHER })) },
  {
    name: 'quote that has expired',
    codes: ['quote_refused'],
    quote: quoted(() => ({ expiresAtUnixSecs: 1_700_000_000n })),
  },
  {
    name: 'quote of another node',
    codes: ['seller_node_changed'],
    quote: quoted(() => ({ sellerNodeId: Buffer.from(keyOf('another node').pubkey, 'hex') })),
  },
];

export const QUOTE_LIES: readonly Lie[] = [
  ...REFUSED_QUOTES.map((lie): Lie => ({ ...lie, step: 'none' })),
  {
    name: 'quote below the price that is asked later',
    codes: ['failed_precondition'],
    quote: quoted(({ priceMsat }) => ({ priceMsat: priceMsat - 1_000n })),
  },
];
