/**
 * The faucet: gives away L-BTC and the assets it issued. Its stock lies in explicit OP_TRUE outputs, so the chain itself
 * is its only memory.
 */
import { newIssuance, generateEntropy, calculateAsset, type Issuance } from 'liquidjs-lib/src/issuance.js';

import {
  assetAmount,
  assetId as toAssetId,
  displayHex,
  MAX_MONEY,
  reversedBytes,
  type AssetAmount,
  type AssetId,
  type Pubkey,
  type Txid,
} from '../../core/units.js';
import { SwapError } from '../../errors.js';
import { blindOutput } from './blind.js';
import type { Chain } from './chain.js';
import { sha256 } from './digests.js';
import { unspentOf } from './history.js';
import { feeAt } from './policy.js';
import { POLICY_ASSET } from './regtest.js';
import { OP_TRUE_SCRIPT } from './spend.js';
import { scripthashOf } from './state.js';
import { assetBytes, explicitValue, Transaction, valueBytes, vsizeOf } from './transaction.js';

/** A gift: L-BTC unless an asset is named; blinded if a key is given. */
export type Gift = {
  readonly scriptPubKey: Uint8Array;
  readonly blindingPubkey?: Pubkey;
  /** Smallest units. */
  readonly amount: bigint;
  readonly assetId?: AssetId;
};

/** `amount` in smallest units; `precision` is how many of its digits stand behind the point when shown. */
export type IssueRequest = { readonly ticker: string; readonly precision: number; readonly amount: bigint };

type StockCoin = { readonly txid: Txid; readonly vout: number; readonly assetId: AssetId; readonly value: bigint };
type Payment = {
  readonly scriptPubKey: Buffer;
  readonly assetId: AssetId;
  readonly value: bigint;
  readonly blindingPubkey?: Buffer;
};

const REPLACEABLE = 0xffff_fffd;
const NO_NONCE = Buffer.of(0);
const FEE_SCRIPT = Buffer.alloc(0);
/** Virtual bytes that commitments and proofs add to one output, rounded up. */
const BLINDING_VSIZE = 1_200;
/** Virtual bytes of a fee output, two changes and an input more than counted. */
const SPARE_VSIZE = 400;
/** L-BTC that a change output is worth keeping for. */
const MIN_CHANGE = 1_000n;
/** Satoshi per 1000 virtual bytes, also where the floor is lower. */
const MIN_RATE = 100n;
/** Issued stock is split so that many gifts can be given between two blocks. */
const STOCK_COINS = 16n;
const MAX_PRECISION = 8;
/** Leaves room for one L-BTC coin beside it: all explicit outputs of a transaction together may not exceed MAX_MONEY. */
const MAX_ISSUE = MAX_MONEY - 200_000_000_000_000n;

const tagOf = (assetId: AssetId): Buffer => reversedBytes(assetId);
const sumOf = (coins: readonly StockCoin[]): bigint => coins.reduce((sum, { value }) => sum + value, 0n);

/** What the faucet has of an asset: confirmed before unconfirmed, largest first. */
function stockOf({ state }: Chain, assetId: AssetId): StockCoin[] {
  const asset = assetBytes(assetId);
  const coins = unspentOf(state, scripthashOf(OP_TRUE_SCRIPT))
    .filter(({ output }) => output.asset.equals(asset))
    .flatMap(({ txid, vout, height, output }) => {
      const value = explicitValue(output.value);
      return value === undefined ? [] : [{ txid, vout, assetId, value, isConfirmed: height > 0 }];
    });
  return coins.toSorted((a, b) => {
    if (a.isConfirmed !== b.isConfirmed) return a.isConfirmed ? -1 : 1;
    return a.value > b.value ? -1 : 1;
  });
}

function selectStock(chain: Chain, assetId: AssetId, amount: bigint): StockCoin[] {
  const selected: StockCoin[] = [];
  for (const coin of stockOf(chain, assetId)) {
    if (sumOf(selected) >= amount) break;
    selected.push(coin);
  }
  const found = sumOf(selected);
  if (found >= amount) return selected;
  throw new SwapError(
    'insufficient_inventory',
    `faucet: needs ${amount.toString()} of asset ${assetId}, has ${found.toString()}`,
  );
}

function unsigned(coins: readonly StockCoin[], issuance?: Issuance): Transaction {
  const tx = new Transaction();
  tx.version = 2;
  for (const [index, { txid, vout }] of coins.entries()) {
    tx.addInput(reversedBytes(txid), vout, REPLACEABLE, Buffer.alloc(0), index === 0 ? issuance : undefined);
  }
  return tx;
}

/**
 * Elements refuses an issuance in a transaction without any witness. The faucet's coins need none, so a satoshi is burnt
 * whose output has proofs.
 */
const BURNT: Payment = {
  scriptPubKey: Buffer.of(0x6a),
  assetId: POLICY_ASSET,
  value: 1n,
  blindingPubkey: Buffer.from('0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798', 'hex'),
};

function addPayment(chain: Chain, tx: Transaction, payment: Payment, inputTags: readonly Buffer[]): void {
  const { scriptPubKey: script, assetId, value, blindingPubkey } = payment;
  if (blindingPubkey === undefined) {
    tx.addOutput(script, valueBytes(value), assetBytes(assetId), NO_NONCE);
    return;
  }
  tx.outs.push(
    blindOutput(chain.state.ledger.zkp, { script, assetTag: tagOf(assetId), value, blindingPubkey, inputTags }),
  );
}

const changeOf = (assetId: AssetId, value: bigint): Payment => ({ scriptPubKey: OP_TRUE_SCRIPT, assetId, value });

/** Pays out of the faucet's coins, returns the change to OP_TRUE, and broadcasts. */
function pay(
  chain: Chain,
  payments: readonly Payment[],
  spent: {
    readonly coins: readonly StockCoin[];
    readonly feeSat: bigint;
    /** Of the first input. */
    readonly issued?: { readonly issuance: Issuance; readonly assetId: AssetId };
  },
): Txid {
  const { coins, issued } = spent;
  const tx = unsigned(coins, issued?.issuance);
  const inputTags = coins.map(({ assetId }) => tagOf(assetId));
  if (issued !== undefined) inputTags.splice(1, 0, tagOf(issued.assetId));
  for (const payment of payments) addPayment(chain, tx, payment, inputTags);
  addPayment(chain, tx, { scriptPubKey: FEE_SCRIPT, assetId: POLICY_ASSET, value: spent.feeSat }, inputTags);
  return chain.broadcast(tx.toHex());
}

function feeFor(chain: Chain, inputs: number, payments: readonly Payment[]): bigint {
  const tx = new Transaction();
  for (let index = 0; index < inputs; index += 1) tx.addInput(Buffer.alloc(32), index);
  for (const { scriptPubKey, assetId, value } of payments) {
    tx.addOutput(scriptPubKey, valueBytes(value), assetBytes(assetId), NO_NONCE);
  }
  const blinded = payments.filter(({ blindingPubkey }) => blindingPubkey !== undefined).length;
  const { relayFloor } = chain.state.ledger.policy;
  return feeAt(vsizeOf(tx) + blinded * BLINDING_VSIZE + SPARE_VSIZE, relayFloor > MIN_RATE ? relayFloor : MIN_RATE);
}

/**
 * Pays a gift.
 *
 * @throws SwapError `insufficient_inventory` if the faucet has less, `invalid_argument` for an amount of nothing.
 */
export function payGift(chain: Chain, gift: Gift): Txid {
  const amount = positive(gift.amount);
  const assetId = gift.assetId ?? POLICY_ASSET;
  const payment: Payment = {
    scriptPubKey: Buffer.from(gift.scriptPubKey),
    assetId,
    value: amount,
    ...(gift.blindingPubkey === undefined ? {} : { blindingPubkey: Buffer.from(gift.blindingPubkey, 'hex') }),
  };
  if (assetId === POLICY_ASSET) return payLbtc(chain, payment);
  const assetCoins = selectStock(chain, assetId, amount);
  const feeSat = feeFor(chain, assetCoins.length + 1, [payment]);
  const feeCoins = selectStock(chain, POLICY_ASSET, feeSat + MIN_CHANGE);
  const assetChange = sumOf(assetCoins) - amount;
  const payments = [
    payment,
    ...(assetChange > 0n ? [changeOf(assetId, assetChange)] : []),
    changeOf(POLICY_ASSET, sumOf(feeCoins) - feeSat),
  ];
  return pay(chain, payments, { coins: [...assetCoins, ...feeCoins], feeSat });
}

function payLbtc(chain: Chain, payment: Payment): Txid {
  const inputs = selectStock(chain, POLICY_ASSET, payment.value).length + 1;
  const feeSat = feeFor(chain, inputs, [payment]);
  const coins = selectStock(chain, POLICY_ASSET, payment.value + feeSat + MIN_CHANGE);
  const change = changeOf(POLICY_ASSET, sumOf(coins) - payment.value - feeSat);
  return pay(chain, [payment, change], { coins, feeSat });
}

function positive(amount: bigint): AssetAmount {
  if (amount > 0n) return assetAmount(amount);
  throw new SwapError('invalid_argument', `amount: expected at least 1, found ${amount.toString()}`);
}

/**
 * Issues an asset, without a reissuance token, into the faucet's stock. Ticker and precision go into the contract hash,
 * so different assets get different ids; nobody else remembers them.
 *
 * @throws SwapError `invalid_argument` if the precision is not 0..8 or the amount not 1..1.9e15.
 */
export function issueStock(chain: Chain, request: IssueRequest): { readonly assetId: AssetId; readonly txid: Txid } {
  const { ticker, precision } = request;
  const amount = positive(request.amount);
  if (amount > MAX_ISSUE) {
    throw new SwapError(
      'invalid_argument',
      `amount: expected at most ${MAX_ISSUE.toString()}, found ${amount.toString()}`,
    );
  }
  if (!Number.isInteger(precision) || precision < 0 || precision > MAX_PRECISION) {
    throw new SwapError('invalid_argument', `precision: expected 0..${MAX_PRECISION}, found ${precision}`);
  }
  const coins = selectStock(chain, POLICY_ASSET, MIN_CHANGE);
  const [first] = coins;
  if (first === undefined) throw new Error('a selection of something is not empty');
  const contractHash = sha256(Buffer.from(JSON.stringify({ ticker, precision })));
  const entropy = generateEntropy({ txHash: reversedBytes(first.txid), vout: first.vout }, contractHash);
  const assetId = toAssetId(displayHex(calculateAsset(entropy)));
  const stock = splitStock(amount).map((value) => changeOf(assetId, value));
  const feeSat = feeFor(chain, 1, [...stock, BURNT]);
  const change = changeOf(POLICY_ASSET, sumOf(coins) - feeSat - BURNT.value);
  const issuance = { ...newIssuance(1, 0), assetAmount: valueBytes(amount), assetEntropy: contractHash };
  const txid = pay(chain, [...stock, change, BURNT], { coins, feeSat, issued: { issuance, assetId } });
  return { assetId, txid };
}

function splitStock(amount: bigint): bigint[] {
  const parts = amount < STOCK_COINS ? 1n : STOCK_COINS;
  const each = amount / parts;
  const values = Array.from({ length: Number(parts) - 1 }, () => each);
  return [...values, amount - each * (parts - 1n)];
}
