/** The lies that a seller or a server of the buyer can tell, each with the codes of the checks that catch it. */
import { Transaction } from 'liquidjs-lib';

import type { CheckCode } from '../../../src/buyer/check.js';
import { claimWitness, p2wpkhScriptPubKey, refundWitness } from '../../../src/core/htlc.js';
import { parseTransaction, rawOf, SEQUENCE_REPLACEABLE, txidOf, type TxOutput } from '../../../src/core/tx.js';
import {
  assetAmount,
  assetId,
  blockHash,
  blockHeight,
  msat,
  quoteId,
  reversedBytes,
  sat,
  satPerKvb,
  swapId,
  txid,
  unixSecs,
} from '../../../src/core/units.js';
import { bytesField, featuresField, FIELD, type Field } from '../core/rawInvoice.js';
import { keyOf } from '../core/zkp.js';
import { BLOCK, GOLD, honest, NOW, PREIMAGE, TIP, type AnsweringServer, type Story } from './honest.js';

const SILVER = assetId('22'.repeat(32));
const OTHER_BLOCK = blockHash('b2'.repeat(32));

/** Changes the truth in one place. */
export type Lie = (story: Story) => Story;

/** What is wrong, how, and every check that fails then; those that cannot be made any more are among them. */
type LieCase = readonly [what: string, lie: Lie, codes: readonly CheckCode[]];

export const inDeal =
  (part: Partial<Story['deal']>): Lie =>
  (story) => ({ ...story, deal: { ...story.deal, ...part } });
export const inHtlc =
  (part: Partial<Story['htlc']>): Lie =>
  (story) => ({ ...story, htlc: { ...story.htlc, ...part } });
export const inInvoice =
  (part: Partial<Story['invoice']>): Lie =>
  (story) => ({
    ...story,
    invoice: { ...story.invoice, ...part },
  });
export const inTerms = (part: object): Lie => inInvoice({ terms: (terms) => ({ ...terms, ...part }) });
const inOutputs =
  (change: (outputs: TxOutput[], scriptPubKey: Buffer) => TxOutput[]): Lie =>
  (story) => ({
    ...story,
    outputs: (scriptPubKey) => change(story.outputs(scriptPubKey), scriptPubKey),
  });
/** What one server of the buyer shows. */
export const inServer =
  (part: Partial<AnsweringServer>): Lie =>
  (story) => ({
    ...story,
    server: (view) => ({ ...view, ...part }),
  });
const inScript =
  (change: (script: Buffer) => Buffer): Lie =>
  (story) => ({ ...story, witnessScript: change });

const asset = (output: TxOutput): boolean => output.assetId === GOLD;
export const changeAsset = (part: Partial<TxOutput>): Lie =>
  inOutputs((outputs) => outputs.map((output) => (asset(output) ? { ...output, ...part } : output)));
const changeSubsidy = (part: Partial<TxOutput>): Lie =>
  inOutputs((outputs) => outputs.map((output) => (asset(output) ? output : { ...output, ...part })));

const inFields = (change: (fields: readonly Field[]) => readonly Field[]): Lie => inInvoice({ fields: change });
const withoutField = (type: number): Lie => inFields((fields) => fields.filter(([found]) => found !== type));
const withField = (type: number, words: readonly number[]): Lie =>
  inFields((fields) => fields.map((field): Field => (field[0] === type ? [type, words] : field)));
const describedAs = (text: string): Lie =>
  inFields((fields) =>
    fields.map((field): Field =>
      field[0] === FIELD.descriptionHash ? [FIELD.description, bytesField(Buffer.from(text))] : field,
    ),
  );
const both =
  (...lies: readonly Lie[]): Lie =>
  (story) =>
    lies.reduce((told, lie) => lie(told), story);

/** The first output of the funding carries a nonce, as if it were blinded. */
function withNonce(raw: Buffer): Buffer {
  const tx = parseTransaction(raw);
  const [first] = tx.outs;
  if (first !== undefined) first.nonce = Buffer.from(keyOf('mallory').pubkey, 'hex');
  return rawOf(tx);
}

/** A transaction that spends both outputs of the HTLC with that witness; nobody checks its signatures. */
function spendOf(funding: Buffer | undefined, witness: readonly Buffer[]): Buffer {
  const tx = new Transaction();
  tx.version = 2;
  const id = txidOf(parseTransaction(funding ?? Buffer.alloc(0)));
  for (const vout of [0, 1]) {
    tx.addInput(reversedBytes(id), vout, SEQUENCE_REPLACEABLE, Buffer.alloc(0));
    tx.setWitness(vout, [...witness]);
  }
  return rawOf(tx);
}
const signature = Buffer.alloc(71, 0x30);
const witnessScript = Buffer.of(0x51);
const CLAIM = claimWitness({ signature, claimPubkey: keyOf('mallory').pubkey, preimage: PREIMAGE, witnessScript });
const REFUND = refundWitness({ signature, refundPubkey: keyOf('refund').pubkey, witnessScript });
/** A claim whose preimage belongs to another swap is none. */
const FALSE_CLAIM = CLAIM.map((item) => (item.equals(PREIMAGE) ? Buffer.alloc(32, 9) : item));

/** A server knows a spend; its list of unspent outputs says otherwise unless it is changed too. */
const showing =
  (witness: readonly Buffer[], part: Partial<AnsweringServer> = {}): Lie =>
  (story) => ({ ...story, server: (view) => ({ ...view, others: [spendOf(view.funding, witness)], ...part }) });

/** After the txid everything of the funding hangs together: what comes behind the first problem was not looked at. */
export const UNCHECKED_FUNDING = [
  'funding_blinded',
  'funding_nonce',
  'funding_missing_output',
  'funding_extra_output',
  'funding_asset',
  'funding_amount',
] as const;
/** Without the right outputs there is nothing to be spent. */
const AFTER_OUTPUTS = ['outpoint_spent', 'refund_broadcast'] as const;
const WITHOUT_TIP = ['tip_rule', 'refund_height_too_low', 'final_cltv_vs_cap'] as const;
const WITHOUT_INVOICE = [
  'invoice_signature_payee',
  'invoice_amountless',
  'invoice_amount',
  'invoice_payment_secret',
  'invoice_features',
  'invoice_expired',
  'invoice_expiry_left',
  'payment_hash_mismatch',
  'terms_hash_mismatch',
  'final_cltv_too_high',
  'final_cltv_vs_cap',
] as const;
const WITHOUT_SCRIPT = [
  'script_template',
  'script_claim_key',
  'payment_hash_mismatch',
  'terms_hash_mismatch',
  'refund_broadcast',
  'refund_height_too_low',
  'final_cltv_vs_cap',
] as const;
const T_PUSH_AT = 66;

/** The refund lock pushed as these bytes instead. */
const inLock = (push: Buffer): Lie =>
  inScript((script) =>
    Buffer.concat([script.subarray(0, T_PUSH_AT), push, script.subarray(T_PUSH_AT + 1 + (script[T_PUSH_AT] ?? 0))]),
  );
const timeLock = Buffer.alloc(5, 4);
timeLock.writeUInt32LE(1_800_000_000, 1);

/** What a seller can hand over. */
export const SELLER_LIES: readonly LieCase[] = [
  [
    'sends no invoice',
    (story) => ({ ...story, handover: (it) => ({ ...it, bolt11: '' }) }),
    ['invoice_unreadable', 'invoice_network', ...WITHOUT_INVOICE],
  ],
  [
    'sends an invoice with a typing error',
    (story) => ({
      ...story,
      handover: (it) => ({ ...it, bolt11: it.bolt11.replace(/.$/, (last) => (last === 'q' ? 'p' : 'q')) }),
    }),
    ['invoice_unreadable', 'invoice_network', ...WITHOUT_INVOICE],
  ],
  [
    'sends an invoice for signet',
    inInvoice({ prefix: 'lntbs' }),
    ['invoice_unreadable', 'invoice_network', ...WITHOUT_INVOICE],
  ],
  ['lets the payer choose the amount', inInvoice({ amount: '' }), ['invoice_amountless', 'invoice_amount']],
  ['sends an invoice without payment secret', withoutField(FIELD.secret), ['invoice_payment_secret']],
  [
    'sends an invoice with a short payment secret',
    withField(FIELD.secret, bytesField(Buffer.alloc(31, 7))),
    ['invoice_payment_secret'],
  ],
  ['requires a feature of tomorrow', withField(FIELD.features, featuresField([8, 14, 60])), ['invoice_features']],
  ['requires trampoline', withField(FIELD.features, featuresField([8, 14, 56])), ['invoice_features']],
  ['sends an invoice of another network', inInvoice({ prefix: 'lnbc' }), ['invoice_network']],
  ['sends an invoice of another node', inInvoice({ signer: 'mallory' }), ['invoice_signature_payee']],
  ['asks one satoshi more', inInvoice({ amount: '500010n' }), ['invoice_amount']],
  ['asks one satoshi less', inInvoice({ amount: '499990n' }), ['invoice_amount']],
  ['sends an expired invoice', inInvoice({ createdAt: NOW - 600 }), ['invoice_expired', 'invoice_expiry_left']],
  ['sends an invoice with 119 seconds left', inInvoice({ createdAt: NOW - 481 }), ['invoice_expiry_left']],
  [
    'locks the HTLC by another hash',
    inInvoice({ paymentHash: '77'.repeat(32) }),
    ['payment_hash_mismatch', 'terms_hash_mismatch'],
  ],
  [
    'asks for the payment of another hash, and says so',
    both(inInvoice({ paymentHash: '77'.repeat(32) }), inTerms({ paymentHash: '77'.repeat(32) })),
    ['payment_hash_mismatch'],
  ],
  ['commits to nothing', describedAs('250 of an asset'), ['terms_hash_mismatch']],
  ['commits to another subsidy', inTerms({ feeSubsidySat: sat(999n) }), ['terms_hash_mismatch']],
  ['commits to another asset', inTerms({ assetId: SILVER }), ['terms_hash_mismatch']],
  ['commits to another quote', inTerms({ quoteId: quoteId('ce'.repeat(16)) }), ['terms_hash_mismatch']],
  ['commits to another swap', inTerms({ swapId: swapId('ac'.repeat(16)) }), ['terms_hash_mismatch']],
  ['commits to another amount', inTerms({ assetAmount: assetAmount(249n) }), ['terms_hash_mismatch']],
  ['commits to another price', inTerms({ priceMsat: msat(49_000_000n) }), ['terms_hash_mismatch']],
  ['commits to another depth', inTerms({ minFundingConfs: 1 }), ['terms_hash_mismatch']],
  ['asks a final CLTV of 81', inInvoice({ finalCltv: 81 }), ['final_cltv_too_high', 'final_cltv_vs_cap']],
  ['asks a final CLTV that no safe cap allows', inInvoice({ finalCltv: 58 }), ['final_cltv_vs_cap']],
  [
    'gives the claim to another key',
    inHtlc({ claimPkh: keyOf('mallory').pkh }),
    ['script_claim_key', 'terms_hash_mismatch'],
  ],
  [
    'gives the claim to another key and signs the right one',
    both(inHtlc({ claimPkh: keyOf('mallory').pkh }), inTerms({ claimPkh: keyOf('buyer').pkh })),
    ['script_claim_key'],
  ],
  ['adds an opcode', inScript((script) => Buffer.concat([script, Buffer.of(0x61)])), WITHOUT_SCRIPT],
  [
    'leaves out OP_SIZE',
    inScript((script) => Buffer.concat([script.subarray(0, 1), script.subarray(5)])),
    ['script_template', 'refund_height_time_based', ...WITHOUT_SCRIPT.slice(1)],
  ],
  [
    'locks the refund by a time',
    inLock(timeLock),
    ['script_template', 'refund_height_time_based', ...WITHOUT_SCRIPT.slice(1)],
  ],
  ['pushes the refund height with a zero too many', inLock(Buffer.of(3, 0x24, 0x04, 0)), WITHOUT_SCRIPT],
  [
    'opens the refund one block too early',
    inHtlc({ refundHeight: blockHeight(TIP + 31) }),
    ['refund_height_too_low', 'final_cltv_vs_cap'],
  ],
  ['funds another asset', changeAsset({ assetId: SILVER }), ['funding_asset', 'funding_amount', ...AFTER_OUTPUTS]],
  ['funds one unit less', changeAsset({ value: assetAmount(249n) }), ['funding_amount', ...AFTER_OUTPUTS]],
  ['funds one unit more', changeAsset({ value: assetAmount(251n) }), ['funding_amount', ...AFTER_OUTPUTS]],
  ['funds less for the claim fee', changeSubsidy({ value: assetAmount(999n) }), ['funding_amount', ...AFTER_OUTPUTS]],
  ['leaves a nonce', (story) => ({ ...story, funding: withNonce }), [...UNCHECKED_FUNDING.slice(1), ...AFTER_OUTPUTS]],
  [
    'funds the asset with its bytes reversed',
    changeAsset({ assetId: assetId(Buffer.from(GOLD, 'hex').reverse().toString('hex')) }),
    ['funding_asset', 'funding_amount', ...AFTER_OUTPUTS],
  ],
  [
    'hides asset and amount',
    changeAsset({ blindingPubkey: keyOf('mallory').pubkey }),
    [...UNCHECKED_FUNDING, ...AFTER_OUTPUTS],
  ],
  [
    'leaves out the L-BTC',
    inOutputs((outputs) => outputs.filter(asset)),
    [...UNCHECKED_FUNDING.slice(2), ...AFTER_OUTPUTS],
  ],
  [
    'adds a decoy output',
    inOutputs((outputs) => [...outputs, ...outputs.filter(asset)]),
    [...UNCHECKED_FUNDING.slice(3), ...AFTER_OUTPUTS],
  ],
  [
    'pays its own key',
    inOutputs((outputs) =>
      outputs.map((output) => ({ ...output, scriptPubKey: p2wpkhScriptPubKey(keyOf('mallory').pubkey) })),
    ),
    [...UNCHECKED_FUNDING.slice(2), ...AFTER_OUTPUTS],
  ],
  [
    'names another transaction',
    (story) => ({ ...story, handover: (it) => ({ ...it, fundingTxid: txid('dd'.repeat(32)) }) }),
    ['funding_txid', ...AFTER_OUTPUTS],
  ],
  [
    'quotes a subsidy below 1.5 claims',
    (story) => {
      const low = inDeal({ feeSubsidySat: sat(499n) })(story);
      return {
        ...low,
        outputs: (script) =>
          honest()
            .outputs(script)
            .map((output) => (asset(output) ? output : { ...output, value: assetAmount(499n) })),
      };
    },
    ['fee_subsidy_too_low'],
  ],
];

/** What a server can show; with another one beside it that is honest, the same. */
export const SERVER_LIES: readonly LieCase[] = [
  ['another chain', inServer({ genesis: blockHash('00'.repeat(32)) }), ['genesis']],
  ['no such transaction', inServer({ funding: undefined }), ['funding_txid', ...UNCHECKED_FUNDING, ...AFTER_OUTPUTS]],
  [
    'bytes that are no transaction',
    inServer({ funding: Buffer.of(1, 2, 3) }),
    ['funding_txid', ...UNCHECKED_FUNDING, ...AFTER_OUTPUTS],
  ],
  ['no funding in the history', inServer({ fundingHeight: undefined }), ['funding_height', 'funding_confirmations']],
  ['an unconfirmed funding', inServer({ fundingHeight: 0 }), ['funding_height', 'funding_confirmations']],
  ['a funding with unconfirmed parents', inServer({ fundingHeight: -1 }), ['funding_height', 'funding_confirmations']],
  ['a funding above the tip', inServer({ fundingHeight: TIP + 1 }), ['funding_height', 'funding_confirmations']],
  ['one confirmation of two', inServer({ fundingHeight: TIP }), ['funding_confirmations']],
  ['no merkle proof', inServer({ inclusion: { problem: 'the proof does not lead to the header' } }), ['merkle_proof']],
  ['a spent output', inServer({ unspent: new Set() }), ['outpoint_spent']],
  [
    'a spent subsidy',
    (story) => ({ ...story, server: (view) => ({ ...view, unspent: new Set([...view.unspent].slice(0, 1)) }) }),
    ['outpoint_spent'],
  ],
  ['a refund beside outputs that are unspent by its word', showing(REFUND), ['outpoint_spent', 'refund_broadcast']],
  ['a refund', showing(REFUND, { unspent: new Set() }), ['outpoint_spent', 'refund_broadcast']],
  ['a spend with the preimage of another swap', showing(FALSE_CLAIM), ['outpoint_spent', 'refund_broadcast']],
  ['a claim by somebody', showing(CLAIM), ['outpoint_spent']],
  ['a fee rate that the subsidy cannot pay', inServer({ feeRate: satPerKvb(2_000n) }), ['fee_subsidy_too_low']],
];

/** How one of two servers on mainnet can differ from the other. */
export const DISAGREEMENTS: readonly LieCase[] = [
  [
    'does not answer',
    (story) => ({ ...story, server: ({ name }) => ({ name, problem: 'timeout' }) }),
    ['electrum_servers'],
  ],
  ['belongs to the other one', inServer({ name: 'tcp://backup.two.example:50001' }), ['electrum_servers']],
  ['has the funding in another block', inServer({ inclusion: { block: OTHER_BLOCK } }), ['merkle_proof']],
  [
    'is three blocks ahead',
    inServer({ tip: { height: blockHeight(TIP + 3), hash: BLOCK, time: unixSecs(NOW) } }),
    WITHOUT_TIP,
  ],
  [
    'is a million blocks ahead',
    inServer({ tip: { height: blockHeight(TIP + 1_000_000), hash: BLOCK, time: unixSecs(NOW) } }),
    WITHOUT_TIP,
  ],
  [
    'shows a header eleven minutes old',
    inServer({ tip: { height: blockHeight(TIP), hash: BLOCK, time: unixSecs(NOW - 660) } }),
    WITHOUT_TIP,
  ],
  [
    'shows a header of the future',
    inServer({ tip: { height: blockHeight(TIP), hash: BLOCK, time: unixSecs(NOW + 660) } }),
    WITHOUT_TIP,
  ],
];
