/** An honest deal down to the signed bytes, and the places where a seller or a server may lie. */
import { createHash } from 'node:crypto';

import type { Deal, Handover, ServerView, Surroundings } from '../../../src/buyer/deal.js';
import type { Zkp } from '../../../src/core/blind.js';
import { fundingOutputs } from '../../../src/core/funding.js';
import { hashPreimage, htlcWitnessScript, p2wshScriptPubKey, type HtlcTerms } from '../../../src/core/htlc.js';
import { LIQUID_NETWORKS, type LiquidNetworkName } from '../../../src/core/network.js';
import { termsHash, type Terms } from '../../../src/core/terms.js';
import {
  buildTransaction,
  explicitInput,
  parseTransaction,
  rawOf,
  SEQUENCE_REPLACEABLE,
  txidOf,
  type TxOutput,
} from '../../../src/core/tx.js';
import {
  assetAmount,
  assetId,
  blockHash,
  blockHeight,
  msat,
  outpoint,
  outpointKey,
  quoteId,
  sat,
  satPerKvb,
  swapId,
  unixSecs,
  type AssetId,
} from '../../../src/core/units.js';
import { bytesField, featuresField, FIELD, integerField, rawInvoice, type Field } from '../core/rawInvoice.js';
import { keyOf, preimageOf, randomBytes } from '../core/zkp.js';

export const NOW = 1_800_000_000;
export const TIP = 1_000;
export const BLOCK = blockHash('b1'.repeat(32));
export const GOLD = assetId(`${'11'.repeat(31)}1f`); // reads differently from its other end
export const PREIMAGE = preimageOf('buyer test');

/** What the parties may say; each field is a place to lie. */
export type Story = {
  readonly network: LiquidNetworkName;
  readonly deal: Deal;
  readonly htlc: HtlcTerms;
  /** Outputs of the funding besides its fee. */
  readonly outputs: (scriptPubKey: Buffer) => TxOutput[];
  /** The funding's bytes. */
  readonly funding: (honest: Buffer) => Buffer;
  readonly invoice: {
    readonly prefix: string;
    readonly amount: string;
    readonly signer: string;
    readonly paymentHash: string;
    readonly finalCltv: number;
    readonly createdAt: number;
    readonly expirySecs: number;
    readonly terms: (honest: Terms) => Terms;
    readonly fields: (honest: readonly Field[]) => readonly Field[];
  };
  readonly witnessScript: (honest: Buffer) => Buffer;
  readonly handover: (honest: Handover) => Handover;
  /** What the server number `liar` shows. */
  readonly server: (honest: AnsweringServer) => ServerView;
  readonly liar: number;
  readonly servers: number;
  readonly around: Partial<Surroundings>;
};

export type AnsweringServer = Extract<ServerView, { tip: unknown }>;

/** Servers of different operators. */
const SERVERS = ['tcp://electrum.one.example:50001', 'ssl://electrum.two.example:50002'];

const PREFIX = { bitcoin: 'lnbc', testnet: 'lntb', regtest: 'lnbcrt' } as const;

/** The truth on a network, 250 of an asset for 50 000 sat. */
export function honest(network: LiquidNetworkName = 'regtest', asset: AssetId = GOLD): Story {
  const { genesis, policyAsset, bitcoinNetwork } = LIQUID_NETWORKS[network];
  const isRegtest = network === 'regtest';
  const deal: Deal = {
    network,
    genesis,
    sellerNodeId: keyOf('node').pubkey,
    quoteId: quoteId('cd'.repeat(16)),
    assetId: asset,
    assetAmount: assetAmount(250n),
    priceMsat: msat(50_000_000n),
    feeSubsidySat: sat(1_000n),
    profile: isRegtest ? 'regtest' : 'routed',
    refundDeltaBlocks: isRegtest ? 60 : 10_080,
    minFundingConfs: 2,
    invoiceExpirySecs: 600,
    claimPubkey: keyOf('buyer').pubkey,
  };
  const paymentHash = hashPreimage(PREIMAGE);
  return {
    network,
    deal,
    htlc: {
      paymentHash,
      claimPkh: keyOf('buyer').pkh,
      refundPkh: keyOf('refund').pkh,
      refundHeight: blockHeight(TIP + deal.refundDeltaBlocks - 3),
    },
    outputs: (scriptPubKey) => fundingOutputs({ ...deal, policyAsset, scriptPubKey }),
    funding: (raw) => raw,
    invoice: {
      prefix: PREFIX[bitcoinNetwork],
      amount: '500u',
      signer: 'node',
      paymentHash,
      finalCltv: 42,
      createdAt: NOW - 60,
      expirySecs: 600,
      terms: (terms) => terms,
      fields: (fields) => fields,
    },
    witnessScript: (script) => script,
    handover: (handover) => handover,
    server: (view) => view,
    liar: 0,
    servers: network === 'liquidv1' ? 2 : 1,
    around: {},
  };
}

const total = (outputs: readonly TxOutput[], id: AssetId): bigint =>
  outputs.reduce((sum, output) => (output.assetId === id ? sum + output.value : sum), 0n);

/** A funding that balances, whatever its outputs are. */
function fundingTx(zkp: Zkp, story: Story, scriptPubKey: Buffer): Buffer {
  const { policyAsset } = LIQUID_NETWORKS[story.network];
  const outputs = [
    ...story.outputs(scriptPubKey),
    { scriptPubKey: Buffer.alloc(0), assetId: policyAsset, value: assetAmount(300n) },
  ];
  const assets = [...new Set(outputs.map((output) => output.assetId))];
  const inputs = assets.map((id, i) =>
    explicitInput(
      { outpoint: outpoint('aa'.repeat(32), i), assetId: id, value: assetAmount(total(outputs, id)) },
      SEQUENCE_REPLACEABLE,
    ),
  );
  return rawOf(buildTransaction(zkp, { inputs, outputs, locktime: 0, randomBytes }));
}

function invoiceOf(story: Story, handover: Pick<Handover, 'swapId'>): string {
  const { deal, htlc, invoice } = story;
  const terms = invoice.terms({
    ...deal,
    swapId: handover.swapId,
    paymentHash: htlc.paymentHash,
    claimPkh: htlc.claimPkh,
    refundPkh: htlc.refundPkh,
  });
  return rawInvoice({
    prefix: `${invoice.prefix}${invoice.amount}`,
    createdAt: invoice.createdAt,
    privateKey: keyOf(invoice.signer).privateKey,
    fields: invoice.fields([
      [FIELD.paymentHash, bytesField(Buffer.from(invoice.paymentHash, 'hex'))],
      [FIELD.secret, bytesField(createHash('sha256').update('secret').digest())],
      [FIELD.descriptionHash, bytesField(Buffer.from(termsHash(terms), 'hex'))],
      [FIELD.expiry, integerField(invoice.expirySecs, 2)],
      [FIELD.finalCltv, integerField(invoice.finalCltv, 2)],
      [FIELD.features, featuresField([8, 14, 17])],
    ]),
  });
}

/** What the buyer gets to see of a story. */
export function tell(zkp: Zkp, story: Story): { deal: Deal; handover: Handover; around: Surroundings } {
  const witnessScript = story.witnessScript(htlcWitnessScript(story.htlc));
  const funding = story.funding(fundingTx(zkp, story, p2wshScriptPubKey(witnessScript)));
  const tx = parseTransaction(funding);
  const fundingTxid = txidOf(tx);
  const id = swapId('ab'.repeat(16));
  const view: AnsweringServer = {
    name: '',
    genesis: story.deal.genesis,
    tip: { height: blockHeight(TIP), hash: BLOCK, time: unixSecs(NOW - 30) },
    funding,
    fundingHeight: TIP - 1,
    inclusion: { block: BLOCK },
    unspent: new Set(tx.outs.map((_, vout) => outpointKey(outpoint(fundingTxid, vout)))),
    others: [],
    feeRate: satPerKvb(100n),
  };
  const handover = { swapId: id, bolt11: invoiceOf(story, { swapId: id }), witnessScript, fundingTxid };
  return {
    deal: story.deal,
    handover: story.handover(handover),
    around: {
      servers: SERVERS.slice(0, story.servers).map((name, i) =>
        i === story.liar ? story.server({ ...view, name }) : { ...view, name },
      ),
      now: unixSecs(NOW),
      lastAcceptedTip: { height: blockHeight(TIP - 10), at: unixSecs(NOW - 600) },
      isSingleServerTrusted: false,
      ownLbtcSat: sat(0n),
      ...story.around,
    },
  };
}
