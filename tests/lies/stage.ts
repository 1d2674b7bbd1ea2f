/**
 * One world for all lies: one honest purchase, which every lie is told about anew to a copy of the buyer, and which is
 * paid and claimed when all lies are told.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import type { Buyer } from '../../src/buyer/buyer.js';
import { readRecord, readRecords, saveRecord } from '../../src/buyer/dataDir.js';
import type { PurchaseEvent } from '../../src/buyer/drive.js';
import type { PurchaseRecord, Step } from '../../src/buyer/record.js';
import { VerificationRefused } from '../../src/buyer/verifyHandover.js';
import type { PaymentStatus, Swap } from '../../src/gen/ln_liquid_swap/v1/swap.js';
import { connectElectrum } from '../../src/liquid/electrum.js';
import { createLogger } from '../../src/log.js';
import { connectNode } from '../../src/sandbox/world/grpc.js';
import type { SellerLie } from '../support/lyingSeller.js';
import type { Lie, Scene } from './lie.js';
import { Closing, drive, openParts, startOrder, type Parts } from './parts.js';
import { handedOver, openScenes, type Scenes } from './scenes.js';

const log = createLogger('test-lies', 'silent');
/** How long a server is waited for: one that is never to be used again shortly, others also on a busy machine. */
const TIMEOUTS = { requestMs: 15_000, reconnectWaitMs: 10_000, retryMinMs: 20, retryMaxMs: 50 };
const SHORT_TIMEOUTS = { ...TIMEOUTS, requestMs: 1_000, reconnectWaitMs: 500 };
const CONFS = 2;

/** How a lie ended: the codes, the step that is on disk, and what happened on Lightning. */
export type Outcome = {
  readonly codes: readonly string[];
  /** `none`: not even a purchase was begun. */
  readonly step: Step | 'none';
  readonly payments: number;
};

export class Stage {
  readonly parts: Parts;
  readonly record: PurchaseRecord;
  readonly #scenes: Scenes;
  readonly #closing: Closing;

  private constructor(parts: Parts, scenes: Scenes, closing: Closing) {
    this.parts = parts;
    this.record = scenes.record;
    this.#scenes = scenes;
    this.#closing = closing;
  }

  /** Everything that the lies need is forged, broadcast and mined; the honest swap can be paid. */
  static async open(lies: readonly Lie[]): Promise<Stage> {
    const closing = new Closing();
    try {
      const parts = await openParts(closing);
      const { world, buyer, folder } = parts;
      const scenes = await openScenes(world, buyer.buyer, lies, async () => {
        const record = await startOrder(world, buyer, { minFundingConfs: CONFS, maxPriceMsat: undefined });
        const created = await drive(buyer.buyer, record, { until: 'created' });
        cpSync(buyer.buyer.dir, join(folder, 'base'), { recursive: true });
        return created;
      });
      return new Stage(parts, scenes, closing);
    } catch (error) {
      await closing.end();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#closing.end();
  }

  /** A data directory as it was when the seller had just stored the swap. */
  copy(heard: Lie['heard'] = 'its id'): string {
    const dir = mkdtempSync(join(this.parts.folder, 'copy-'));
    cpSync(join(this.parts.folder, 'base'), dir, { recursive: true });
    const { progress } = this.record;
    if (progress.step === 'created' && heard === 'its id') {
      saveRecord(dir, { ...this.record, progress: { step: 'created', swapId: progress.swapId } });
    }
    if (heard === 'nothing') saveRecord(dir, { ...this.record, progress: { step: 'quoted' } });
    return dir;
  }

  scene(lie: Lie): Promise<Scene> {
    return this.#scenes.of(lie);
  }

  /** The seller hands over the scene, and lies on top of it if the lie says so. */
  hand(lie: Lie, scene: Scene): void {
    const handed = handedOver(scene);
    const { swap: change = (swap: Swap) => [swap], ...rest } = lie.seller?.(scene) ?? {};
    this.parts.liar.tell({ swap: (swap) => change(handed(swap)), ...rest });
  }

  /** Tells the lie to a buyer that would pay and claim if it believed it. */
  async run(lie: Lie): Promise<Outcome> {
    if (lie.quote !== undefined) return await this.#order(lie.quote);
    const scene = await this.scene(lie);
    this.hand(lie, scene);
    const dir = this.copy(lie.heard);
    const { buyer, close } = await this.#servers(lie, scene);
    try {
      const until = lie.codes.length === 0 ? 'verified' : undefined;
      const [codes, events] = await attempt((onEvent) => drive({ ...buyer, dir }, this.record, { until, onEvent }));
      return { codes, step: readRecord(dir, this.record.number)?.progress.step ?? 'none', payments: sent(events) };
    } finally {
      close();
      this.parts.server.behave();
      this.parts.server.drop();
      this.parts.liar.tell({});
    }
  }

  /** A purchase from the quote on. */
  async #order(lie: SellerLie): Promise<Outcome> {
    const dir = this.copy();
    rmSync(join(dir, 'swaps'), { recursive: true });
    const buyer = { ...this.parts.buyer, buyer: { ...this.parts.buyer.buyer, dir } };
    this.parts.liar.tell(lie);
    try {
      const [codes, events] = await attempt(async (onEvent) => {
        const record = await startOrder(this.parts.world, buyer, {
          minFundingConfs: 1,
          maxPriceMsat: this.record.deal.priceMsat,
        });
        await drive(buyer.buyer, record, { onEvent });
      });
      return { codes, step: readRecords(dir)[0]?.progress.step ?? 'none', payments: sent(events) };
    } finally {
      this.parts.liar.tell({});
    }
  }

  /** The buyer with the servers that the lie is told by. */
  async #servers(lie: Lie, scene: Scene): Promise<{ buyer: Buyer; close: () => void }> {
    const { buyer } = this.parts.buyer;
    if (lie.electrum === undefined) return { buyer, close: () => undefined };
    await lie.electrum(this.parts.server, scene);
    const chain = connectElectrum({
      servers: [this.parts.server.url],
      log,
      timeouts: lie.isMute === true ? SHORT_TIMEOUTS : TIMEOUTS,
    });
    const lying = { name: 'liar', chain };
    return {
      buyer: { ...buyer, chains: lie.isAlone === true ? [lying] : [lying, ...buyer.chains] },
      close: () => {
        chain.close();
      },
    };
  }

  /** What the buyer's node holds, and whether it ever heard of one of these hashes. */
  async money(scene: Pick<Scene, 'hashes'>): Promise<unknown> {
    const { address, token_file: tokenFile } = this.parts.world.file().lnnoded.buyer;
    const { client, close } = connectNode({ address, tokenFile });
    try {
      const { channels } = await client.listChannels({});
      const wallet = await client.walletBalance({});
      const known = [...scene.hashes].map(async (hash) => await this.parts.buyer.buyer.lightning?.lookupPayment(hash));
      return {
        channels: channels.map(({ outboundCapacityMsat, pendingHtlcs }) => ({ outboundCapacityMsat, pendingHtlcs })),
        wallet: wallet.confirmedSats + wallet.unconfirmedSats,
        payments: await Promise.all(known),
      };
    } finally {
      close();
    }
  }

  /** How the seller's node sees the honest swap. */
  async paymentStatus(): Promise<PaymentStatus | undefined> {
    const { swap } = await this.parts.buyer.buyer.seller.getSwap({
      swapId: (await this.scene({ name: '', codes: [] })).honest.swapId,
    });
    return swap?.paymentStatus;
  }
}

/** The codes with which it was refused; none if it was not. What could not be checked is a consequence, not a reason. */
async function attempt(
  work: (onEvent: (event: PurchaseEvent) => void) => Promise<unknown>,
): Promise<[codes: readonly string[], events: readonly PurchaseEvent[]]> {
  const events: PurchaseEvent[] = [];
  try {
    await work((event) => {
      events.push(event);
    });
    return [[], events];
  } catch (error) {
    if (error instanceof VerificationRefused) {
      const failed = error.report.checks.filter((item) => item.isMade && !item.ok);
      return [failed.map((item) => item.code), events];
    }
    if (error instanceof Error && 'code' in error) return [[String(error.code)], events];
    throw error;
  }
}

const sent = (events: readonly PurchaseEvent[]): number => events.filter((event) => event.kind === 'payment').length;
