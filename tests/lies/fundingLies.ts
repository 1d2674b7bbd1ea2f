/** Another funding: the script is right, the outputs on the chain are not. */
import { p2wpkhScriptPubKey, hashPreimage } from '../../src/core/htlc.js';
import { assetAmount, blockHeight } from '../../src/core/units.js';
import { keyOf } from '../unit/core/zkp.js';
import type { Lie } from './lie.js';
import { NO_TIME_LEFT } from './scriptLies.js';
import { CLAIMED_PREIMAGE } from './spends.js';

const SELLER = keyOf('forge wallet');
const SELLER_SCRIPT = p2wpkhScriptPubKey(SELLER.pubkey);
/** What follows from a transaction that the script's history does not hold. */
export const NOT_THERE = ['funding_height', 'funding_confirmations', 'merkle_proof'] as const;

export const FUNDING_LIES: readonly Lie[] = [
  { name: 'forged without a lie', codes: [], forgery: {} },
  { name: 'outputs in the other order', codes: [], forgery: { outputs: (agreed) => agreed.toReversed() } },
  {
    name: 'change to the seller before the outputs',
    codes: [],
    forgery: {
      outputs: ([asset, ...rest]) =>
        asset === undefined ? [] : [{ ...asset, scriptPubKey: SELLER_SCRIPT, value: assetAmount(1n) }, asset, ...rest],
    },
  },
  {
    name: 'another asset',
    codes: ['funding_asset'],
    forgery: {
      outputs: ([asset, ...rest], other) => (asset === undefined ? [] : [{ ...asset, assetId: other }, ...rest]),
    },
  },
  {
    name: 'amount minus one',
    codes: ['funding_amount'],
    forgery: {
      outputs: ([asset, ...rest]) =>
        asset === undefined ? [] : [{ ...asset, value: assetAmount(asset.value - 1n) }, ...rest],
    },
  },
  {
    name: 'amount plus one',
    codes: ['funding_amount'],
    forgery: {
      outputs: ([asset, ...rest]) =>
        asset === undefined ? [] : [{ ...asset, value: assetAmount(asset.value + 1n) }, ...rest],
    },
  },
  {
    name: 'amounts of asset and L-BTC swapped',
    codes: ['funding_amount'],
    forgery: {
      outputs: ([asset, lbtc]) =>
        asset === undefined || lbtc === undefined
          ? []
          : [
              { ...asset, value: lbtc.value },
              { ...lbtc, value: asset.value },
            ],
    },
  },
  {
    name: 'L-BTC for the fee minus one',
    codes: ['funding_amount'],
    forgery: {
      outputs: ([asset, lbtc]) =>
        asset === undefined || lbtc === undefined ? [] : [asset, { ...lbtc, value: assetAmount(lbtc.value - 1n) }],
    },
  },
  {
    name: 'no L-BTC for the fee',
    codes: ['funding_missing_output'],
    forgery: { outputs: (agreed) => agreed.slice(0, 1) },
  },
  {
    name: 'amount in two outputs',
    codes: ['funding_extra_output'],
    forgery: {
      outputs: ([asset, ...rest]) =>
        asset === undefined
          ? []
          : [{ ...asset, value: assetAmount(asset.value - 1n) }, { ...asset, value: assetAmount(1n) }, ...rest],
    },
  },
  {
    name: 'an output more to the same script',
    codes: ['funding_extra_output'],
    forgery: { outputs: (agreed) => [...agreed, ...agreed.slice(1)] },
  },
  {
    name: 'blinded outputs',
    codes: ['funding_blinded'],
    forgery: { outputs: (agreed) => agreed.map((output) => ({ ...output, blindingPubkey: keyOf('buyer').pubkey })) },
  },
  {
    name: 'asset output blinded alone',
    codes: ['funding_blinded'],
    forgery: {
      outputs: ([asset, ...rest]) =>
        asset === undefined
          ? []
          : [
              { ...asset, blindingPubkey: keyOf('buyer').pubkey },
              ...rest,
              { ...asset, value: assetAmount(7n), scriptPubKey: SELLER_SCRIPT, blindingPubkey: SELLER.pubkey },
            ],
    },
  },
  {
    name: 'explicit output with a nonce',
    codes: ['funding_nonce'],
    forgery: {
      edit: (tx) => {
        const [first] = tx.outs;
        if (first !== undefined) first.nonce = Buffer.from(keyOf('nonce').pubkey, 'hex');
      },
    },
  },
  {
    name: 'decoy that pays the same to the seller',
    codes: ['funding_missing_output', ...NOT_THERE],
    forgery: { outputs: (agreed) => agreed.map((output) => ({ ...output, scriptPubKey: SELLER_SCRIPT })) },
  },
  {
    name: 'unconfirmed, shown as confirmed',
    codes: [...NOT_THERE],
    forgery: {},
    fate: 'unconfirmed',
    seller: () => ({ swap: (swap) => [{ ...swap, fundingConfs: 6 }] }),
  },
  { name: 'one confirmation of two', codes: ['funding_confirmations'], forgery: {}, fate: 'shallow' },
  {
    name: 'signed and never sent',
    codes: ['funding_txid', ...NOT_THERE],
    forgery: {},
    fate: 'never sent',
  },
  {
    name: 'claimed before',
    codes: ['outpoint_spent'],
    forgery: { htlc: (htlc) => ({ ...htlc, paymentHash: hashPreimage(CLAIMED_PREIMAGE) }) },
    fate: 'claimed',
  },
  {
    name: 'refund broadcast already',
    codes: ['outpoint_spent', 'refund_broadcast', ...NO_TIME_LEFT],
    forgery: { htlc: (htlc) => ({ ...htlc, refundHeight: blockHeight(htlc.refundHeight - 60) }) },
    fate: 'refunded',
  },
];
