/** The buyer against real programs: continued at every step, interrupted, refused, claimed from its kit alone. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Buyer } from '../../src/buyer/buyer.js';
import { claimFromKit } from '../../src/buyer/claimFromKit.js';
import { claimKitFile } from '../../src/buyer/claimStep.js';
import { connectBuyer, readPayoutWallet } from '../../src/buyer/connect.js';
import { readRecord, saveRecord } from '../../src/buyer/dataDir.js';
import type { PurchaseEvent } from '../../src/buyer/drive.js';
import { createSwapRequest } from '../../src/buyer/purchase.js';
import type { PurchaseRecord, Step } from '../../src/buyer/record.js';
import { drivePurchase } from '../../src/buyer/session.js';
import { pubkey } from '../../src/core/units.js';
import { SwapStatus, type Swap } from '../../src/gen/ln_liquid_swap/v1/swap.js';
import { connectElectrum } from '../../src/liquid/electrum.js';
import { createLogger } from '../../src/log.js';
import {
  driveTo,
  eventually,
  mempoolFilled,
  openBuyer,
  startTestPurchase,
  startTestWorld,
  type TestBuyer,
  type TestWorld,
} from '../support/testWorld.js';
import { whileMining } from '../support/whileMining.js';

let world: TestWorld;
let honest: TestBuyer;
const opened: { close(): void }[] = [];

const log = createLogger('test-buyer', 'silent');
const FAST = { reconnectWaitMs: 50 };

/** The same data directory, connected anew: what a restarted program has. */
async function reconnect(dir: string, sellerAddress: string): Promise<Buyer> {
  const { electrum, lnnoded } = world.file();
  const connected = await connectBuyer({
    dir,
    log,
    seller: { address: sellerAddress, nodeId: pubkey(lnnoded.seller.node_id) },
    electrum: { servers: [`tcp://${electrum.host}:${electrum.port}`], isSingleServerTrusted: false },
    lightning: { address: lnnoded.buyer.address, tokenFile: lnnoded.buyer.token_file },
  });
  opened.push(connected);
  return connected.value;
}

beforeAll(async () => {
  world = await startTestWorld();
  honest = await openBuyer(world);
});
afterAll(async () => {
  for (const each of opened) each.close();
  honest.close();
  await world.close();
});

const stepsSeen = (events: readonly PurchaseEvent[]): Step[] =>
  events.flatMap((event) => (event.kind === 'step' ? [event.record.progress.step] : []));

/** The honest seller's word about a purchase: the same request answers with the same swap. */
async function atSeller(record: PurchaseRecord): Promise<Swap> {
  const { swap } = await honest.buyer.seller.createSwap(createSwapRequest(honest.buyer, record));
  if (swap === undefined) throw new Error('no swap');
  return swap;
}

/** Lets the seller take back what was not paid: unpaid swaps count against the buyer until then. */
async function refunded({ swapId }: Swap): Promise<void> {
  const status = async (): Promise<SwapStatus | undefined> =>
    (await honest.buyer.seller.getSwap({ swapId })).swap?.status;
  await world.mine(62);
  await whileMining(
    world,
    eventually('the refund', async () => ((await status()) === SwapStatus.REFUNDED ? true : undefined)),
  );
}

describe('a purchase', () => {
  it('continues from every step with a program that was started anew', async () => {
    const record = await startTestPurchase(world, honest);
    const steps = ['created', 'verified', 'paying', 'paid', 'claiming', 'claimed'] as const;
    const reached: Step[] = [];
    for (const until of steps) {
      const buyer = await reconnect(honest.buyer.dir, world.file().swapd.address);
      const end = await whileMining(world, driveTo({ ...honest, buyer }, record, until));
      reached.push(end.progress.step);
      expect(readRecord(buyer.dir, record.number)).toEqual(end);
    }
    expect(reached).toEqual(steps);
  });

  it('keeps its step when it is interrupted, and is driven by one program only', async () => {
    const record = await startTestPurchase(world, honest);
    const stop = new AbortController();
    const events: PurchaseEvent[] = [];
    const driving = drivePurchase(honest.buyer, record.number, {
      signal: stop.signal,
      onEvent: (event) => {
        events.push(event);
      },
    });
    await eventually('the swap', async () => Promise.resolve(stepsSeen(events).includes('created') || undefined));
    await expect(driveTo(honest, record, 'paid')).rejects.toThrow('expected to be alone');
    stop.abort();
    expect((await driving).progress.step).toBe('created');
    expect((await whileMining(world, driveTo(honest, record, 'claimed'))).progress.step).toBe('claimed');
  });

  it('that is not paid ends unpaid when the seller has refunded', async () => {
    const record = await driveTo(honest, await startTestPurchase(world, honest), 'created');
    await mempoolFilled(world, 'the funding');
    await world.mine(62);
    const end = await whileMining(world, driveTo(honest, record, 'claimed'));
    expect(end.progress).toMatchObject({ step: 'unpaid' });
  });

  it('that the seller refuses ends unpaid with its code', async () => {
    const record = await startTestPurchase(world, honest);
    const other = await driveTo(honest, await startTestPurchase(world, honest), 'created');
    const stolen = { ...record, deal: { ...record.deal, quoteId: other.deal.quoteId } };
    saveRecord(honest.buyer.dir, stolen);
    await expect(driveTo(honest, stolen, 'created')).rejects.toMatchObject({ code: 'quote_used', outcome: 'refused' });
    const progress = readRecord(honest.buyer.dir, record.number)?.progress;
    expect(progress).toMatchObject({ step: 'unpaid', reason: expect.stringContaining('quote_used') as string });
    await refunded(await atSeller(other));
  });

  it('can be claimed from its kit alone, with a server away, and the purchase then knows', async () => {
    const record = await whileMining(world, driveTo(honest, await startTestPurchase(world, honest), 'paid'));
    const { network, isSingleServerTrusted } = honest.buyer;
    const away = { name: 'away', chain: connectElectrum({ servers: ['tcp://127.0.0.1:1'], log, timeouts: FAST }) };
    opened.push(away.chain);
    const chains = [away, ...honest.buyer.chains];
    const kit = claimKitFile(honest.buyer.dir, record.number);
    const options = { signal: AbortSignal.timeout(30_000), onEvent: () => undefined };
    const claim = await whileMining(world, claimFromKit({ network, chains, isSingleServerTrusted }, kit, options));
    expect(claim.kind).toBe('claimed');
    const end = await driveTo(honest, record, 'claimed');
    expect(end.progress).toMatchObject({ step: 'claimed', claimTxid: 'txid' in claim ? claim.txid : '' });
  });

  it('to a confidential address is paid out blinded, and the wallet finds it', async () => {
    const { buyer } = honest;
    const read = () => readPayoutWallet(buyer, buyer.dir, buyer.seed, log);
    const before = await read();
    const record = await startTestPurchase(world, { ...honest, payoutAddress: before.address });
    const held = (wallet: typeof before): bigint =>
      wallet.balances.find((balance) => balance.assetId === record.deal.assetId)?.confirmed ?? 0n;
    expect(record.payout.blindingPubkey).not.toBeNull();
    const end = await whileMining(world, driveTo(honest, record, 'claimed'));
    expect(end.progress.step).toBe('claimed');
    expect(held(await read()) - held(before)).toBe(2_500_000_000n);
  });
});
