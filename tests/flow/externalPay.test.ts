/** A person pays from another wallet: the world's buyer node plays that wallet, and pays for real. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Buyer } from '../../src/buyer/buyer.js';
import { readRecord } from '../../src/buyer/dataDir.js';
import type { ExternalInvoice, ExternalPayer } from '../../src/buyer/externalPay.js';
import type { PurchaseRecord } from '../../src/buyer/record.js';
import { openSeller } from '../../src/buyer/rpcClient.js';
import { drivePurchase } from '../../src/buyer/session.js';
import { hex, msat, unixSecs, type Preimage } from '../../src/core/units.js';
import { PaymentStatus } from '../../src/gen/ln_liquid_swap/v1/swap.js';
import type { LightningNode } from '../../src/lightning/node.js';
import { startLyingSeller, type LyingSeller } from '../support/lyingSeller.js';
import { startSwap } from '../support/swapProgram.js';
import {
  driveTo,
  eventually,
  openBuyer,
  startTestPurchase,
  startTestWorld,
  type TestBuyer,
  type TestWorld,
} from '../support/testWorld.js';
import { whileMining } from '../support/whileMining.js';

let world: TestWorld;
let own: TestBuyer;
let wallet: LightningNode;
let liar: LyingSeller;
const opened: { close(): void }[] = [];

beforeAll(async () => {
  world = await startTestWorld();
  own = await openBuyer(world);
  if (own.buyer.lightning === undefined) throw new Error('the world has a buyer node');
  wallet = own.buyer.lightning;
  liar = await startLyingSeller(world.file().swapd.address);
  opened.push(liar);
});
afterAll(async () => {
  for (const each of opened) each.close();
  own.close();
  await world.close();
});

/** Someone who types what the test says, when it says so. */
type Person = ExternalPayer & { readonly shown: ExternalInvoice[]; readonly type: (text: Preimage | 'failed') => void };

function newPerson(): Person {
  const shown: ExternalInvoice[] = [];
  const typed: (Preimage | 'failed')[] = [];
  return {
    shown,
    show: (invoice) => {
      shown.push(invoice);
    },
    type: (text) => {
      typed.push(text);
    },
    answer: async () => Promise.resolve(typed.shift()),
  };
}

const withPerson = (external: ExternalPayer, seller = own.buyer.seller): TestBuyer => ({
  ...own,
  buyer: { ...own.buyer, lightning: undefined, external, seller } satisfies Buyer,
});

const shownTo = (person: Person): Promise<ExternalInvoice> =>
  eventually('the invoice', async () => Promise.resolve(person.shown.at(-1)));

/** The other wallet pays as it was told. */
async function payWith({ bolt11, maxTotalCltvDelta }: ExternalInvoice): Promise<Preimage> {
  const result = await wallet.pay({ bolt11, maxTotalCltvDelta, maxFeeMsat: msat(10_000n), timeoutSecs: 60 });
  if (result.state !== 'SUCCEEDED') throw new Error(`the wallet says ${result.state}`);
  return result.preimage;
}

const stepOf = ({ number }: PurchaseRecord): string | undefined => readRecord(own.buyer.dir, number)?.progress.step;

/** A restarted seller is found again. */
const sellerIsBack = (): Promise<unknown> =>
  eventually('the seller', async () => (await own.buyer.seller.listOffers({})).offers);

describe('another wallet', () => {
  it('pays, its preimage is typed, and the asset is claimed', async () => {
    const person = newPerson();
    const record = await startTestPurchase(world, own);
    const ending = driveTo(withPerson(person), record, 'claimed');
    await whileMining(
      world,
      (async () => {
        const invoice = await shownTo(person);
        expect(invoice).toMatchObject({ maxTotalCltvDelta: 60, amountMsat: record.deal.priceMsat });
        person.type(await payWith(invoice));
        expect((await ending).progress.step).toBe('claimed');
      })(),
    );
    expect(person.shown).toHaveLength(1);
  });

  it('pays, nobody types anything, and the preimage comes from the seller', async () => {
    const person = newPerson();
    const record = await startTestPurchase(world, own);
    const ending = driveTo(withPerson(person), record, 'claimed');
    await whileMining(
      world,
      (async () => {
        await payWith(await shownTo(person));
        expect((await ending).progress.step).toBe('claimed');
      })(),
    );
  });

  it('pays, and a seller that says it canceled cannot make the purchase forget it', async () => {
    const person = newPerson();
    const record = await startTestPurchase(world, own);
    const upstream = openSeller({ address: liar.address });
    opened.push(upstream);
    const ending = driveTo(withPerson(person, upstream.client), record, 'claimed');
    await whileMining(
      world,
      (async () => {
        const invoice = await shownTo(person);
        liar.tell({
          instead: (swap) => ({ ...swap, bolt11: '', paymentStatus: PaymentStatus.CANCELED, reason: 'EXPIRED' }),
        });
        const secret = await payWith(invoice);
        await new Promise((resolve) => setTimeout(resolve, 3_000)); // two looks at the seller, at least
        expect(stepOf(record)).toBe('paying');
        person.type(secret);
        expect((await ending).progress.step).toBe('claimed');
      })(),
    );
    liar.tell({});
  });

  it('may still pay after a restart: the invoice is shown again, and no node takes over meanwhile', async () => {
    const [first, second] = [newPerson(), newPerson()];
    const record = await startTestPurchase(world, own);
    const stop = new AbortController();
    const stopped = drivePurchase(withPerson(first).buyer, record.number, {
      signal: stop.signal,
      onEvent: () => undefined,
    });
    const { bolt11 } = await whileMining(world, shownTo(first));
    stop.abort();
    expect((await stopped).progress.step).toBe('paying');
    await expect(driveTo(own, record, 'claimed')).rejects.toMatchObject({ code: 'payer_changed' });
    const ending = driveTo(withPerson(second), record, 'claimed');
    await whileMining(
      world,
      (async () => {
        const again = await shownTo(second);
        expect(again.bolt11).toBe(bolt11);
        second.type(await payWith(again));
        expect((await ending).progress.step).toBe('claimed');
      })(),
    );
  });

  it('pays while the real program is dead: resumed, it takes the preimage from its input, and repeats it nowhere', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'swap-external-'));
    const common = ['--world', join(world.dir, 'world.json'), '--data-dir', dir, '--pay', 'external', '--json'];
    try {
      const killed = startSwap(['buy', '--asset', 'USDT', '--amount', '25', ...common]);
      const bolt11 = await whileMining(
        world,
        eventually('the invoice', async () => Promise.resolve(/lnbcrt[a-z0-9]{200,}/.exec(killed.stderr())?.[0])),
      );
      killed.child.kill('SIGKILL');
      await killed.ended;
      const secret = hex(await payWith({ bolt11, maxTotalCltvDelta: 60, amountMsat: msat(0n), payUntil: unixSecs(0) }));
      await world.ask({ command: 'stop', name: 'swapd' }); // nobody but the person can bring the preimage
      const resumed = startSwap(['buy', '--resume', ...common]);
      resumed.child.stdin?.write(`${'00'.repeat(32)}\n${secret}\n`);
      const end = await whileMining(world, resumed.ended);
      expect(end).toMatchObject({ code: 0, stdout: expect.stringContaining('"claimed"') as string });
      expect(end.stderr).toContain('expected the preimage of payment hash');
      expect(killed.stderr() + end.stderr + end.stdout).not.toContain(secret);
    } finally {
      await world.ask({ command: 'start', name: 'swapd' });
      rmSync(dir, { recursive: true, force: true });
    }
  });

  it('failed: the purchase ends unpaid when the person says so', async () => {
    await sellerIsBack();
    const person = newPerson();
    const record = await startTestPurchase(world, own);
    const ending = driveTo(withPerson(person), record, 'claimed');
    await whileMining(
      world,
      (async () => {
        await shownTo(person);
        person.type('failed');
        expect((await ending).progress).toMatchObject({ step: 'unpaid' });
      })(),
    );
  });

  it('never pays, and the purchase ends unpaid when the refund is final', async () => {
    const person = newPerson();
    const record = await startTestPurchase(world, own);
    const ending = driveTo(withPerson(person), record, 'claimed');
    await whileMining(
      world,
      (async () => {
        await shownTo(person);
        await world.mine(62);
        expect((await ending).progress).toMatchObject({
          step: 'unpaid',
          reason: expect.stringContaining('took the asset back') as string,
        });
      })(),
    );
  });
});
