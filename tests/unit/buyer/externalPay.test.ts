/** A payment by a person with another wallet: only the preimage that fits counts, and a payment is never forgotten. */
import { describe, expect, it } from 'vitest';

import { signClaim } from '../../../src/buyer/claim.js';
import type { ExternalInvoice, ExternalPayer } from '../../../src/buyer/externalPay.js';
import { invoiceToPay } from '../../../src/buyer/externalStep.js';
import type { VerifiedFacts } from '../../../src/buyer/freshCheck.js';
import { beginPaying, pay } from '../../../src/buyer/payStep.js';
import { safeTotalCltvDelta } from '../../../src/core/timelock.js';
import { blockHeight, hex, satPerKvb, unixSecs, type Preimage } from '../../../src/core/units.js';
import { SwapError } from '../../../src/errors.js';
import { PaymentStatus, SwapStatus } from '../../../src/gen/ln_liquid_swap/v1/swap.js';
import { preimageOf } from '../core/zkp.js';
import { honest, NOW, PREIMAGE, tell, TIP, type AnsweringServer } from './honest.js';
import { verifySwap } from '../../../src/buyer/verify.js';
import { kitPreimage, payScene, refundOf, usePayStage, type Scene } from './payScene.js';

const stage = usePayStage();
const PAID = { step: 'paid', preimage: hex(PREIMAGE) };

/** Types one answer after the other, and remembers what it was shown. */
function person(...answers: (Preimage | 'failed')[]): ExternalPayer & { readonly shown: ExternalInvoice[] } {
  const shown: ExternalInvoice[] = [];
  return {
    shown,
    show: (invoice) => {
      shown.push(invoice);
    },
    answer: async () => Promise.resolve(answers.shift()),
  };
}

const scene = (external: ExternalPayer, change?: (view: AnsweringServer) => Partial<AnsweringServer>): Scene =>
  payScene(stage, { external, payer: { kind: 'external' }, ...(change === undefined ? {} : { change }) });

const problems = ({ events }: Scene): string =>
  events.map((event) => (event.kind === 'waiting' ? event.problem : '')).join('\n');

describe('an invoice for another wallet', () => {
  it('is stored before it is shown, shown once after fresh checks, and paid by the preimage that is typed', async () => {
    const external = person();
    const { drive, record, htlc, node } = payScene(stage, { external });
    expect(await beginPaying(drive, record, htlc)).toEqual({ step: 'paying', htlc, payer: { kind: 'external' } });
    expect(external.shown).toEqual([]);
    const typing = person(PREIMAGE);
    const { pay: payNow } = scene(typing);
    expect(await payNow()).toMatchObject(PAID);
    expect(typing.shown).toMatchObject([{ maxTotalCltvDelta: 60, amountMsat: record.deal.priceMsat }]);
    expect(node.sent).toEqual([]);
  });

  it('is not even begun when it can no longer be paid', async () => {
    const late = (view: AnsweringServer) => ({ tip: { ...view.tip, height: blockHeight(TIP + 57 - 31) } });
    const { drive, record, htlc } = payScene(stage, { external: person(), change: late });
    expect(await beginPaying(drive, record, htlc)).toMatchObject({ step: 'unpaid' });
  });

  it('is shown again by a run that begins, but not when it is too late; it may have been paid all the same', async () => {
    const late = (view: AnsweringServer) => ({ tip: { ...view.tip, height: blockHeight(TIP + 57 - 31) } });
    const external = person();
    const shown = scene(external, late);
    expect(await shown.pay()).toBeUndefined();
    expect(external.shown).toEqual([]);
    expect(problems(shown)).toContain('do not pay any more');
  });

  it('is not shown while the seller says that it has a payment: it may be the one that was made before a restart', async () => {
    const external = person();
    const made = scene(external);
    stage.says = { status: SwapStatus.FUNDED, paymentStatus: PaymentStatus.HELD };
    expect(await made.pay()).toBeUndefined();
    expect(external.shown).toEqual([]);
    expect(problems(made)).toContain('do not pay it again');
    expect(await scene(person(PREIMAGE)).pay()).toMatchObject(PAID);
  });

  it('needs someone to ask, but not for a preimage that the seller gives', async () => {
    const { pay: payNow } = payScene(stage, { payer: { kind: 'external' } });
    await expect(payNow()).rejects.toMatchObject({ code: 'payer_changed' });
    stage.says = { preimage: Buffer.from(PREIMAGE) };
    expect(await payNow()).toMatchObject(PAID);
  });
});

describe('what is typed', () => {
  it('is refused when it belongs to another payment, is never repeated, and is asked for again', async () => {
    const wrong = preimageOf('another');
    const made = scene(person(wrong, PREIMAGE));
    expect(await made.pay()).toBeUndefined();
    expect(problems(made)).toMatch(/expected the preimage of payment hash [0-9a-f]{64}, found another/);
    expect(JSON.stringify(made.events)).not.toContain(hex(wrong));
    expect(await made.pay()).toMatchObject(PAID);
    expect(kitPreimage(stage)).toEqual(Buffer.from(PREIMAGE));
  });

  it('failed ends the purchase unpaid', async () => {
    expect(await scene(person('failed')).pay()).toMatchObject({
      step: 'unpaid',
      reason: expect.stringContaining('the other wallet') as string,
    });
    stage.says = undefined;
    expect(await scene(person('failed')).pay()).toMatchObject({ step: 'unpaid' });
  });

  it.each([PaymentStatus.HELD, PaymentStatus.SETTLING, PaymentStatus.SETTLED])(
    'failed does not end it while the seller says %i: it has a payment',
    async (paymentStatus) => {
      stage.says = { status: SwapStatus.FUNDED, paymentStatus };
      const made = scene(person('failed', 'failed'));
      expect(await made.pay()).toBeUndefined();
      expect(problems(made)).toContain('stays open');
      stage.says = { ...stage.says, preimage: Buffer.from(PREIMAGE) };
      expect(await made.pay()).toMatchObject(PAID);
    },
  );
});

describe('while the person is silent', () => {
  it('a seller that says it canceled ends nothing, for it may lie', async () => {
    stage.says = { status: SwapStatus.FUNDED, paymentStatus: PaymentStatus.CANCELED, reason: 'EXPIRED' };
    const made = scene(person());
    expect([await made.pay(), await made.pay()]).toEqual([undefined, undefined]);
    stage.says = { status: SwapStatus.REFUNDED };
    expect(await made.pay()).toBeUndefined();
  });

  it('the preimage comes from the seller, or from a claim on the chain', async () => {
    const made = scene(person());
    stage.says = undefined;
    expect(await made.pay()).toBeUndefined();
    const now = { preimage: PREIMAGE, tipHeight: blockHeight(TIP), feeRate: satPerKvb(100n) };
    made.spends.push(signClaim(stage.zkp, made.source, now));
    expect(await made.pay()).toMatchObject(PAID);
  });

  it('ends unpaid when every server shows a refund with two confirmations, and not before', async () => {
    const made = payScene(stage, { external: person(), payer: { kind: 'external' }, hasTwoServers: true });
    const refund = refundOf(stage, made);
    made.spends.push({ ...refund, height: TIP }, { ...refund, height: TIP });
    expect(await made.pay()).toBeUndefined(); // one confirmation, and the other server sees nothing
    made.spends.splice(0, 2, { ...refund, height: TIP - 1 });
    expect(await made.pay()).toBeUndefined(); // the other server still sees nothing
    made.otherSpends.push({ ...refund, height: TIP });
    expect(await made.pay()).toBeUndefined();
    made.otherSpends.splice(0, 1, { ...refund, height: TIP - 1 });
    expect(await made.pay()).toMatchObject({
      step: 'unpaid',
      reason: expect.stringContaining(`took the asset back in ${refund.txid}`) as string,
    });
  });

  it('does not end on mainnet by the word of one server while the other is away', async () => {
    const made = payScene(stage, { external: person(), payer: { kind: 'external' }, hasTwoServers: true });
    made.spends.push({ ...refundOf(stage, made), height: TIP - 1 });
    const [evil, own] = made.buyer.chains;
    if (evil === undefined || own === undefined) throw new Error('two servers');
    const away = async () => Promise.reject(new SwapError('chain_unavailable', 'away'));
    const chains = [
      { name: 'ssl://evil.example:1', chain: evil.chain },
      { name: 'ssl://own.test:1', chain: { ...own.chain, history: away } },
    ];
    const drive = { ...made.drive, buyer: { ...made.buyer, network: 'liquidv1' as const, chains } };
    expect(await pay(drive, made.record, made.progress)).toBeUndefined();
  });

  it('a run without that person does not send with a node instead', async () => {
    const { drive, record, progress, node } = payScene(stage, { payer: { kind: 'external' } });
    await expect(pay(drive, record, progress)).rejects.toMatchObject({ code: 'payer_changed' });
    expect(node.sent).toEqual([]);
  });
});

describe('the cap that is shown', () => {
  const facts = (): { facts: VerifiedFacts; deal: Parameters<typeof invoiceToPay>[0] } => {
    const { deal, handover, around } = tell(stage.zkp, honest());
    const report = verifySwap(deal, handover, { ...around, now: unixSecs(NOW) });
    if (report.facts === undefined) throw new Error('the honest story is refused');
    return { facts: report.facts, deal: { ...deal, network: 'liquidv1', profile: 'routed' } };
  };
  const at = (blocksLeft: number): { shown: ExternalInvoice; expiresAt: number; finalCltvDelta: number } => {
    const { facts: found, deal } = facts();
    const htlc = { ...found.htlc, refundHeight: blockHeight(found.tipHeight + blocksLeft) };
    const shown = invoiceToPay(deal, { ...found, htlc }, unixSecs(NOW));
    return { shown, expiresAt: found.invoice.expiresAt, finalCltvDelta: found.invoice.minFinalCltvDelta };
  };

  it('still holds at the last moment at which it may be paid, and the invoice lives longer', () => {
    for (const blocksLeft of [10_080, 9_800, 9_740, 5_000, 3_000]) {
      const { shown, expiresAt, finalCltvDelta } = at(blocksLeft);
      const minutes = Math.ceil((shown.payUntil - NOW) / 60);
      const then = safeTotalCltvDelta({ blocksLeft: blocksLeft - minutes, finalCltvDelta, regtest: false });
      expect(shown.maxTotalCltvDelta).toBeLessThanOrEqual(then ?? 0);
      expect(shown.payUntil).toBe(expiresAt - 60);
    }
  });

  it('is found at once, and as for the agreed life, also if the invoice lives for a century', () => {
    const { facts: found, deal } = facts();
    const htlc = { ...found.htlc, refundHeight: blockHeight(found.tipHeight + 10_080) };
    const invoice = { ...found.invoice, expiresAt: unixSecs(NOW + 0xffff_ffff) };
    const startedAt = performance.now();
    const { payUntil } = invoiceToPay(deal, { ...found, htlc, invoice }, unixSecs(NOW));
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    expect(payUntil).toBe(NOW + deal.invoiceExpirySecs);
  });

  it('comes with less time when little is left', () => {
    const { shown: enough, finalCltvDelta } = at(3_000);
    expect(enough.maxTotalCltvDelta).toBeGreaterThanOrEqual(finalCltvDelta + 3);
    let least = 3_000;
    while (safeTotalCltvDelta({ blocksLeft: least - 1, finalCltvDelta, regtest: false }) !== undefined) least -= 1;
    const { shown } = at(least + 2);
    expect(shown.payUntil).toBe(NOW + 120);
    expect(at(least).shown.payUntil).toBe(NOW + 60);
  });
});
