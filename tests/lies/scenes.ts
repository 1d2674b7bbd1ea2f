/** Sets the scene of every lie: forged fundings are broadcast and mined together, invoices are signed when they are told. */
import type { Buyer } from '../../src/buyer/buyer.js';
import type { PurchaseRecord } from '../../src/buyer/record.js';
import type { Zkp } from '../../src/core/blind.js';
import { p2wshScriptPubKey, parseHtlcWitnessScript, type HtlcTerms } from '../../src/core/htlc.js';
import { claimKey } from '../../src/core/keys.js';
import { parseTerms, termsHash, type Terms } from '../../src/core/terms.js';
import { displayHex, reversedBytes, txid, type BlockHeight } from '../../src/core/units.js';
import { SwapStatus, type Swap } from '../../src/gen/ln_liquid_swap/v1/swap.js';
import type { LiquidChain } from '../../src/liquid/chain.js';
import { hashOf, putTogether, takeApart, withField, type InvoiceParts } from '../support/bolt11Parts.js';
import { openForge, sellerNodeKey, type Forged } from '../support/forge.js';
import { eventually, type TestWorld } from '../support/testWorld.js';
import { bytesField, FIELD } from '../unit/core/rawInvoice.js';
import { loadZkp } from '../unit/core/zkp.js';
import type { Fate, Lie, Scene } from './lie.js';
import { claimOf, refundOf } from './spends.js';

/** The honest swap and everything forged beside it. */
type Props = {
  readonly chain: LiquidChain;
  readonly nodeKey: Buffer;
  readonly honest: Swap;
  readonly forged: ReadonlyMap<string, Forged>;
  readonly strangersTxid: Scene['strangersTxid'];
  readonly tip: BlockHeight;
};

export type Scenes = {
  /** The honest purchase, at `created`. */
  readonly record: PurchaseRecord;
  readonly of: (lie: Lie) => Promise<Scene>;
};

/** @param buy starts the honest purchase; afterwards it can be paid. */
export async function openScenes(
  world: TestWorld,
  buyer: Buyer,
  lies: readonly Lie[],
  buy: () => Promise<PurchaseRecord>,
): Promise<Scenes> {
  const [chain] = buyer.chains.map((named) => named.chain);
  if (chain === undefined) throw new Error('the buyer has no server');
  const zkp = await loadZkp();
  const forging = lies.filter((lie) => lie.forgery !== undefined);
  const forge = await openForge(world, { zkp, chain, fundings: forging.length });
  const record = await buy();
  if (record.progress.step !== 'created') throw new Error('the purchase has no swap');
  const id = Buffer.from(record.progress.swapId, 'hex');
  const funded = await swapWhen(buyer, id, (swap) => swap.witnessScript.length > 0);
  const [terms, htlc] = [parseTerms(funded.terms), parseHtlcWitnessScript(funded.witnessScript)];
  await eventually('the funding of the seller', () => chain.transaction(txid(displayHex(funded.fundingTxid))));
  const forged = new Map(forging.map((lie) => [lie.name, forge.fund(lie.name, terms, htlc, lie.forgery ?? {})]));
  const each = async (fates: readonly Fate[], act: (forged: Forged, fate: Fate) => Promise<void>): Promise<void> => {
    for (const { name, fate = 'confirmed' } of forging) {
      const one = forged.get(name);
      if (one !== undefined && fates.includes(fate)) await act(one, fate);
    }
  };
  const send = ({ raw }: Forged): Promise<void> => forge.broadcast(raw);
  await each(['confirmed', 'claimed', 'refunded'], send);
  await world.mine(1);
  await each(['shallow'], send);
  await world.mine(1);
  await each(['unconfirmed'], send);
  const { privateKey } = claimKey(buyer.seed, 'regtest', record.number);
  await each(['claimed', 'refunded'], (one, fate) => forge.broadcast(spendOf(zkp, one, fate, privateKey)));
  const honest = await swapWhen(buyer, id, ({ status, bolt11 }) => status === SwapStatus.FUNDED && bolt11 !== '');
  const tip = await eventually('the tip of the last block', async () => {
    const { height } = await chain.tip();
    const [entry] = await chain.history(p2wshScriptPubKey(honest.witnessScript));
    return entry !== undefined && entry.height > 0 && height > entry.height ? height : undefined;
  });
  const { strangersTxid } = forge;
  const props = { chain, nodeKey: sellerNodeKey(world), honest, forged, strangersTxid, tip };
  return { record, of: (lie) => sceneOf(props, lie, { terms, htlc }) };
}

const spendOf = (zkp: Zkp, forged: Forged, fate: Fate, claimKeyBytes: Uint8Array): Buffer =>
  fate === 'claimed' ? claimOf(zkp, forged, claimKeyBytes) : refundOf(zkp, forged);

const swapWhen = ({ seller }: Buyer, swapId: Buffer, isSo: (swap: Swap) => boolean): Promise<Swap> =>
  eventually('the state of the swap', async () => {
    const { swap } = await seller.getSwap({ swapId });
    return swap !== undefined && isSo(swap) ? swap : undefined;
  });

async function sceneOf(props: Props, lie: Lie, agreed: { terms: Terms; htlc: HtlcTerms }): Promise<Scene> {
  const { honest, chain, strangersTxid, tip } = props;
  const forged = props.forged.get(lie.name);
  const { paymentHash, refundPkh } = forged?.htlc ?? agreed.htlc;
  const terms = { ...agreed.terms, paymentHash, refundPkh };
  const parts = invoiceFor(lie, honest.bolt11, terms, agreed.terms);
  const isAsItWas = forged === undefined && (lie.terms ?? lie.invoice ?? lie.signer) === undefined;
  const signed = isAsItWas ? honest.bolt11 : putTogether(parts, lie.signer ?? props.nodeKey);
  const witnessScript = forged?.witnessScript ?? Buffer.from(honest.witnessScript);
  const scriptPubKey = p2wshScriptPubKey(witnessScript);
  const fundingTxid = forged?.id ?? txid(displayHex(honest.fundingTxid));
  const history = await chain.history(scriptPubKey, { isFresh: true });
  const height = history.find((entry) => entry.txid === fundingTxid)?.height ?? 0;
  return {
    ...{ honest, chain, strangersTxid, tip, terms, forged, witnessScript, scriptPubKey, fundingTxid },
    bolt11: lie.bolt11?.(signed) ?? signed,
    rawFunding: forged?.raw ?? Buffer.from(honest.fundingTx),
    fundingHeight: height > 0 ? height : undefined,
    hashes: new Set([agreed.htlc.paymentHash, paymentHash, hashOf(parts)]),
  };
}

/** The honest invoice over other terms, and what the lie makes of it. */
function invoiceFor(lie: Lie, honest: string, terms: Terms, agreed: Terms): InvoiceParts {
  const promised = Buffer.from(termsHash(lie.terms?.(terms, agreed) ?? terms), 'hex');
  const hash = Buffer.from(terms.paymentHash, 'hex');
  const bound = withField(takeApart(honest), FIELD.descriptionHash, bytesField(promised));
  const parts = withField(bound, FIELD.paymentHash, bytesField(hash));
  return lie.invoice?.(parts, agreed) ?? parts;
}

/** What the seller tells in place of the honest swap. */
export const handedOver =
  (scene: Scene) =>
  (swap: Swap): Swap => ({
    ...swap,
    bolt11: swap.bolt11 === '' ? '' : scene.bolt11,
    witnessScript: scene.witnessScript,
    fundingTxid: reversedBytes(scene.fundingTxid),
    fundingTx: scene.rawFunding,
  });
