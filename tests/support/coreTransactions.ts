/**
 * The transactions that core builds, against a chain that judges them: what core builds is accepted, what the protocol
 * forbids is refused. One suite for the sandbox's chain, an independent implementation of Liquid's rules, and for a real
 * Elements node.
 */
import { randomBytes } from 'node:crypto';

import { issuance, Transaction } from 'liquidjs-lib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { ZERO_BLINDER, type Zkp } from '../../src/core/blind.js';
import { findFundingOutputs, fundingOutputs } from '../../src/core/funding.js';
import { hashPreimage, htlcWitnessScript, p2wpkhScriptPubKey, p2wshScriptPubKey } from '../../src/core/htlc.js';
import { buildClaim, buildRefund, type HtlcSpendOptions } from '../../src/core/htlcSpend.js';
import {
  buildTransaction,
  explicitInput,
  explicitValueBytes,
  parseTransaction,
  rawOf,
  SEQUENCE_REPLACEABLE,
  signP2wpkhInput,
  txidOf,
  type HtlcOutpoint,
  type TxInput,
  type TxOutput,
} from '../../src/core/tx.js';
import {
  assetAmount,
  assetId,
  blockHeight,
  displayHex,
  outpoint,
  reversedBytes,
  sat,
  satPerKvb,
  type AssetId,
  type BlockHeight,
  type Preimage,
} from '../../src/core/units.js';
import { blindOutput } from '../../src/sandbox/liquid/blind.js';
import { POLICY_ASSET } from '../../src/sandbox/liquid/regtest.js';
import { keyOf, loadZkp, preimageOf } from '../unit/core/zkp.js';
import { openOutput } from '../unit/core/unblind.js';

const OWNER = keyOf('owner');
const BLINDING = keyOf('blinding');
const CLAIM = keyOf('claim');
const REFUND = keyOf('refund');
const OWNER_SCRIPT = p2wpkhScriptPubKey(OWNER.pubkey);
const PAYOUT_SCRIPT = p2wpkhScriptPubKey(keyOf('payout').pubkey);
const RATE = satPerKvb(100n);
const preimage = preimageOf('S');

/** A coin of the test's wallet: all of them belong to one key. */
type Coin = TxInput & { readonly valueBytes: Buffer };
type Funded = { readonly outpoints: readonly HtlcOutpoint[]; readonly witnessScript: Buffer };

/** A Liquid regtest chain that judges transactions. */
export type JudgingChain = {
  /** An L-BTC coin of at least 2,000,000 sat that anyone may spend, in a block. */
  freeCoin(): Promise<{ readonly txid: string; readonly vout: number; readonly value: bigint }>;
  /** Takes a transaction into the mempool. @returns its id, or why it was refused, in Elements' words. */
  verdict(rawHex: string): Promise<string>;
  mine(blocks: number): Promise<void>;
  height(): Promise<number>;
  /** Whether the output is unspent in a block. */
  hasCoin(txid: string, vout: number): Promise<boolean>;
  close(): Promise<void>;
};

let zkp: Zkp;
let chain: JudgingChain;
let gold: AssetId;

const feeOutput = (value: bigint): TxOutput => ({
  scriptPubKey: Buffer.alloc(0),
  assetId: POLICY_ASSET,
  value: assetAmount(value),
});
const toOwner = (id: AssetId, value: bigint, isBlinded: boolean): TxOutput => ({
  scriptPubKey: OWNER_SCRIPT,
  assetId: id,
  value: assetAmount(value),
  ...(isBlinded ? { blindingPubkey: BLINDING.pubkey } : {}),
});
/** What the chain says about a transaction: its id if it is accepted, else the reason. */
const verdict = (tx: Transaction): Promise<string> => chain.verdict(rawOf(tx).toString('hex'));

/** Coins that a transaction pays to the owner. */
function coinsOf(tx: Transaction): Coin[] {
  return tx.outs.flatMap((output, vout) => {
    if (!output.script.equals(OWNER_SCRIPT)) return [];
    const amount = openOutput(zkp, output, BLINDING.privateKey);
    const point = outpoint(txidOf(tx), vout);
    return [{ ...amount, outpoint: point, sequence: SEQUENCE_REPLACEABLE, valueBytes: output.value }];
  });
}

/** A transaction that issues 1 000 000 units of a new asset out of a free coin, and pays them and L-BTC to the owner. */
async function issuanceToOwner(hasProofs: boolean): Promise<Transaction> {
  const { txid: id, vout, value: free } = await chain.freeCoin();
  const amount = 1_000_000n;
  const issued = issuance.newIssuance(Number(amount), 0);
  const entropy = issuance.generateEntropy({ txHash: reversedBytes(id), vout }, issued.assetEntropy);
  gold = assetId(displayHex(issuance.calculateAsset(entropy)));
  const tx = new Transaction();
  tx.version = 2;
  tx.addInput(reversedBytes(id), vout, SEQUENCE_REPLACEABLE, Buffer.alloc(0), issued);
  const pay = (script: Buffer, asset: AssetId, value: bigint): void => {
    const assetBytes = Buffer.concat([Buffer.of(1), reversedBytes(asset)]);
    tx.addOutput(script, explicitValueBytes(assetAmount(value)), assetBytes, Buffer.of(0));
  };
  pay(OWNER_SCRIPT, gold, amount);
  pay(OWNER_SCRIPT, POLICY_ASSET, 1_000_000n);
  pay(OWNER_SCRIPT, POLICY_ASSET, 70_000n);
  pay(Buffer.of(0x51), POLICY_ASSET, free - 1_072_000n - (hasProofs ? 1n : 0n));
  pay(Buffer.alloc(0), POLICY_ASSET, 2_000n);
  if (!hasProofs) return tx;
  // The free coin needs no witness, so a satoshi is burnt with proofs.
  const inputTags = [POLICY_ASSET, gold].map(reversedBytes);
  const burnt = { script: Buffer.of(0x6a), assetTag: reversedBytes(POLICY_ASSET), value: 1n };
  tx.outs.push(blindOutput(zkp, { ...burnt, blindingPubkey: Buffer.from(BLINDING.pubkey, 'hex'), inputTags }));
  return tx;
}

/** Coins of the owner in a block, unblinded: 1 000 000 of a new asset, 1 000 000 sat and 70 000 sat. */
async function issueToOwner(): Promise<Coin[]> {
  const tx = await issuanceToOwner(true);
  await expectMined(tx);
  return coinsOf(tx);
}

function signAll(tx: Transaction, coins: readonly Coin[], firstInput = 0): void {
  coins.forEach(({ valueBytes }, i) => {
    const { pubkey, privateKey } = OWNER;
    signP2wpkhInput(tx, firstInput + i, { pubkey, privateKey, prevoutValue: valueBytes });
  });
}

/** Spends coins to outputs and gives the rest of each asset back, less 1000 sat of fee. */
function spend(coins: readonly Coin[], outputs: readonly TxOutput[], isBlinded: boolean): Transaction {
  const rest = (id: AssetId): bigint =>
    coins.reduce((sum, coin) => (coin.assetId === id ? sum + coin.value : sum), 0n) -
    outputs.reduce((sum, output) => (output.assetId === id ? sum + output.value : sum), 0n);
  const change = [...new Set(coins.map((coin) => coin.assetId))].flatMap((id) => {
    const value = rest(id) - (id === POLICY_ASSET ? 1_000n : 0n);
    return value > 0n ? [toOwner(id, value, isBlinded)] : [];
  });
  const all = [...outputs, ...change, feeOutput(1_000n)];
  const tx = buildTransaction(zkp, { inputs: coins, outputs: all, locktime: 0, randomBytes });
  signAll(tx, coins);
  return tx;
}

/** Funds an HTLC in a block. */
async function fund(
  coins: readonly Coin[],
  sold: AssetId,
  refundHeight: BlockHeight,
  isBlinded = false,
  secret = preimage,
): Promise<Funded> {
  const witnessScript = htlcWitnessScript({
    paymentHash: hashPreimage(secret),
    claimPkh: CLAIM.pkh,
    refundPkh: REFUND.pkh,
    refundHeight,
  });
  const scriptPubKey = p2wshScriptPubKey(witnessScript);
  const expected = fundingOutputs({
    assetId: sold,
    assetAmount: assetAmount(5_000n),
    feeSubsidySat: sat(1_500n),
    policyAsset: POLICY_ASSET,
    scriptPubKey,
  });
  const tx = spend(coins, expected, isBlinded);
  expect(await verdict(tx)).toBe(txidOf(tx));
  await chain.mine(1);
  const found = findFundingOutputs(parseTransaction(rawOf(tx)), { scriptPubKey, expected });
  if (!found.ok) throw new Error(found.problem.message);
  return { outpoints: found.outpoints, witnessScript };
}

const common = (funded: Funded, change: Partial<HtlcSpendOptions> = {}): HtlcSpendOptions => ({
  zkp,
  ...funded,
  privateKey: CLAIM.privateKey,
  payoutScript: PAYOUT_SCRIPT,
  policyAsset: POLICY_ASSET,
  feeRate: RATE,
  maxFeeSat: sat(100_000n),
  randomBytes,
  ...change,
});
const claim = (funded: Funded, change: Partial<HtlcSpendOptions> = {}): Transaction =>
  buildClaim({ ...common(funded, change), preimage, sequence: SEQUENCE_REPLACEABLE }).tx;
const refund = (funded: Funded, change: Partial<HtlcSpendOptions> = {}): Transaction =>
  buildRefund(common(funded, { privateKey: REFUND.privateKey, ...change })).tx;

const heightIn = async (blocks: number): Promise<BlockHeight> => blockHeight((await chain.height()) + blocks);

/** Checks that the chain takes the transaction, and a block then too. */
async function expectMined(tx: Transaction): Promise<void> {
  expect(await verdict(tx)).toBe(txidOf(tx));
  await chain.mine(1);
  expect(await chain.hasCoin(txidOf(tx), 0)).toBe(true);
}

let explicitCoins: Coin[];

/** The asset and the first L-BTC coin, made confidential; the second L-BTC coin stays explicit. */
async function hiddenCoins(): Promise<Coin[]> {
  const tx = spend(explicitCoins.slice(0, 2), [], true);
  await expectMined(tx);
  return coinsOf(tx);
}

/** @param open is called once; every case uses coins of its own. */
export function coreTransactionsSuite(open: () => Promise<JudgingChain>): void {
  beforeAll(async () => {
    zkp = await loadZkp();
    chain = await open();
  });
  afterAll(async () => {
    await chain.close();
  });
  beforeEach(async () => {
    explicitCoins = await issueToOwner();
  });
  it('an issuance in a transaction without any witness is refused', async () => {
    const tx = await issuanceToOwner(false);
    expect(await verdict(tx)).toContain('bad-txns-in-ne-out');
  });

  describe('funding', () => {
    it('from explicit coins with explicit change is accepted and found again', async () => {
      const { outpoints } = await fund(explicitCoins, gold, await heightIn(60));
      expect(outpoints.map(({ assetId: id, value }) => [id, value])).toEqual([
        [gold, 5_000n],
        [POLICY_ASSET, 1_500n],
      ]);
    });
    it('from confidential coins with blinded change is accepted and found again', async () => {
      const coins = await hiddenCoins();
      expect(coins.every((coin) => !coin.valueBlinder.equals(ZERO_BLINDER))).toBe(true);
      expect((await fund(coins, gold, await heightIn(60), true)).outpoints).toHaveLength(2);
    });
    it('from a confidential asset and explicit L-BTC is accepted', async () => {
      const [hidden] = await hiddenCoins();
      const [, , plain] = explicitCoins;
      if (hidden === undefined || plain === undefined) throw new Error('no coins');
      expect((await fund([hidden, plain], gold, await heightIn(60), true)).outpoints).toHaveLength(2);
    });
    it('from a confidential coin that leaves no change hides an amount of 0', async () => {
      const [, coin] = await hiddenCoins();
      if (coin === undefined) throw new Error('no coin');
      const outputs: TxOutput[] = [
        toOwner(POLICY_ASSET, coin.value - 1_000n, false),
        { ...toOwner(POLICY_ASSET, 0n, true), scriptPubKey: Buffer.of(0x6a) },
      ];
      await expectMined(spend([coin], outputs, false));
    });
    it('whose amount was changed after signing is refused', async () => {
      const tx = spend(explicitCoins, [toOwner(gold, 7n, false), toOwner(gold, 8n, false)], false);
      tx.outs.slice(0, 2).forEach((output, i) => {
        output.value = explicitValueBytes(assetAmount(i === 0 ? 8n : 7n));
      });
      expect(await verdict(tx)).toContain('Signature must be zero for failed CHECK(MULTI)SIG operation');
    });
  });

  describe('a claim', () => {
    it('with explicit outputs is accepted at the lowest fee rate that nodes relay', async () => {
      await expectMined(claim(await fund(explicitCoins, gold, await heightIn(60))));
    });
    it('with blinded outputs is accepted, and its owner can open them', async () => {
      const tx = claim(await fund(explicitCoins, gold, await heightIn(60)), { blindingPubkey: BLINDING.pubkey });
      await expectMined(tx);
      const opened = tx.outs.slice(0, 2).map((output) => openOutput(zkp, output, BLINDING.privateKey));
      expect(opened.map((amount) => amount.assetId)).toEqual([gold, POLICY_ASSET]);
      expect(opened[0]?.value).toBe(5_000n);
    });
    it('that needs the whole subsidy for its fee is accepted', async () => {
      const tx = claim(await fund(explicitCoins, gold, await heightIn(60)), { feeRate: satPerKvb(4_000n) });
      expect(tx.outs).toHaveLength(2);
      await expectMined(tx);
    });
    it('of an L-BTC sale is accepted, explicit and blinded', async () => {
      const [, first, second] = explicitCoins;
      if (first === undefined || second === undefined) throw new Error('no coins');
      await expectMined(claim(await fund([first], POLICY_ASSET, await heightIn(60))));
      await expectMined(
        claim(await fund([second], POLICY_ASSET, await heightIn(61)), { blindingPubkey: BLINDING.pubkey }),
      );
    });
    it('replaces itself at a higher fee rate', async () => {
      const funded = await fund(explicitCoins, gold, await heightIn(60));
      const first = claim(funded);
      expect(await verdict(first)).toBe(txidOf(first));
      await expectMined(claim(funded, { feeRate: satPerKvb(1_000n) }));
    });
    it('after the refund height is still accepted', async () => {
      const funded = await fund(explicitCoins, gold, await heightIn(3));
      await chain.mine(5);
      await expectMined(claim(funded));
    });
    it('one satoshi below the relay fee is refused', async () => {
      const funded = await fund(explicitCoins, gold, await heightIn(60));
      const tx = claim(funded, { feeRate: satPerKvb(98n) });
      expect(await verdict(tx)).toContain('min relay fee not met');
    });
    it('with another preimage is refused', async () => {
      const tx = claim(await fund(explicitCoins, gold, await heightIn(60)));
      const [input] = tx.ins;
      input?.witness.splice(2, 1, Buffer.from(preimageOf('other')));
      expect(await verdict(tx)).toContain('Script failed an OP_EQUALVERIFY operation');
    });
    it.each([
      [31, false],
      [32, true],
      [33, false],
    ])('with a preimage of %i bytes that has the hash is accepted: %s', async (length, isAccepted) => {
      // Lightning takes 32 bytes only: whoever knows another preimage could take the asset and nobody the payment.
      const secret = Buffer.alloc(length, 7) as Uint8Array as Preimage;
      const funded = await fund(explicitCoins, gold, await heightIn(60), false, secret);
      const { tx } = buildClaim({ ...common(funded), preimage: secret, sequence: SEQUENCE_REPLACEABLE });
      expect(tx.ins[0]?.witness[2]).toHaveLength(length);
      if (isAccepted) await expectMined(tx);
      else expect(await verdict(tx)).toContain('Script failed an OP_EQUALVERIFY operation');
    });
  });

  describe('a refund', () => {
    it('is refused one block early and accepted at the refund height', async () => {
      const refundHeight = await heightIn(4);
      const funded = await fund(explicitCoins, gold, refundHeight);
      const tx = refund(funded);
      await chain.mine(refundHeight - 1 - (await chain.height()));
      expect(await verdict(tx)).toBe('non-final');
      await chain.mine(1);
      expect(await chain.height()).toBe(refundHeight);
      await expectMined(tx);
    });
    it('with a lower lock time is refused by the script', async () => {
      const funded = await fund(explicitCoins, gold, await heightIn(10));
      const tx = refund(funded);
      tx.locktime = await chain.height();
      expect(await verdict(tx)).toContain('Locktime requirement not satisfied');
    });
    it('with blinded outputs is accepted', async () => {
      const funded = await fund(explicitCoins, gold, await heightIn(2));
      await chain.mine(2);
      await expectMined(refund(funded, { blindingPubkey: BLINDING.pubkey }));
    });
    it('of an L-BTC sale is accepted', async () => {
      const funded = await fund(explicitCoins.slice(1), POLICY_ASSET, await heightIn(2));
      await chain.mine(2);
      await expectMined(refund(funded));
    });
    it('of the subsidy that a claimant left is accepted', async () => {
      const funded = await fund(explicitCoins, gold, await heightIn(2));
      const [, subsidy] = funded.outpoints;
      if (subsidy === undefined) throw new Error('no subsidy');
      await chain.mine(2);
      await expectMined(refund({ ...funded, outpoints: [subsidy] }));
    });
    it('of the asset alone is accepted with the help of a wallet coin', async () => {
      const coins = await hiddenCoins();
      const [, , helper] = explicitCoins;
      const funded = await fund(coins, gold, await heightIn(2), true);
      const [asset] = funded.outpoints;
      if (asset === undefined || helper === undefined) throw new Error('nothing to spend');
      await chain.mine(2);
      const feeInputs = [explicitInput(helper, SEQUENCE_REPLACEABLE)];
      const tx = refund({ ...funded, outpoints: [asset] }, { feeInputs });
      signAll(tx, [helper], 1);
      await expectMined(tx);
    });
    it('is replaced by a claim that pays more, since both spend the same outputs', async () => {
      const funded = await fund(explicitCoins, gold, await heightIn(1));
      await chain.mine(1);
      const tx = refund(funded);
      expect(await verdict(tx)).toBe(txidOf(tx));
      await expectMined(claim(funded, { feeRate: satPerKvb(1_000n) }));
    });
  });
}
