/** How a purchase ends without a person: a seller that talks nonsense or knows nothing, and a refund that won. */
import { createServer, ServerError, Status, type Server } from 'nice-grpc';
import { afterEach, describe, expect, it } from 'vitest';

import { nowSecs } from '../../../src/buyer/buyer.js';
import { readRecord, saveRecord } from '../../../src/buyer/dataDir.js';
import { readEvidence, verifyEvidence } from '../../../src/buyer/evidence.js';
import type { Progress } from '../../../src/buyer/record.js';
import { openSeller, type RpcConnection, type SellerClient } from '../../../src/buyer/rpcClient.js';
import { drivePurchase } from '../../../src/buyer/session.js';
import { hex, swapId, unixSecs } from '../../../src/core/units.js';
import { Swap, SwapServiceDefinition, SwapStatus } from '../../../src/gen/ln_liquid_swap/v1/swap.js';
import { PREIMAGE, TIP } from './honest.js';
import { payScene, refundOf, usePayStage, type Scene } from './payScene.js';

const stage = usePayStage();
const SWAP_ID = swapId('ab'.repeat(16));
const CREATED: Progress = { step: 'created', swapId: SWAP_ID };
const away = (): never => {
  throw new ServerError(Status.UNAVAILABLE, 'away');
};

const open: (Server | RpcConnection<SellerClient>)[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) {
    if ('close' in each) each.close();
    else await each.shutdown();
  }
});

/** What a seller says to CreateSwap, and then in a stream that ends. */
type Answers = { readonly create?: () => Partial<Swap>; readonly watch?: () => Partial<Swap>[] };

async function seller({ create = away, watch = away }: Answers): Promise<SellerClient> {
  const server = createServer();
  server.add(SwapServiceDefinition, {
    ...{ listOffers: away, createQuote: away, getQuote: away, getSwap: away },
    createSwap: async () => Promise.resolve({ swap: Swap.fromPartial(create()) }),
    watchSwap: async function* () {
      for (const swap of watch()) yield await Promise.resolve({ swap: Swap.fromPartial(swap) });
    },
  });
  const connection = openSeller({ address: `127.0.0.1:${await server.listen('127.0.0.1:0')}` });
  open.push(connection, server);
  return connection.client;
}

/** Drives the scene's purchase from a step, begun so many seconds ago. */
async function driven(scene: Scene, progress: Progress, answers: Answers, ageSecs = 0): Promise<Progress> {
  saveRecord(stage.dir, { ...scene.record, createdAt: unixSecs(nowSecs() - ageSecs), progress });
  const buyer = { ...scene.buyer, seller: await seller(answers) };
  const stop = new AbortController();
  setTimeout(() => {
    stop.abort();
  }, 3_000).unref();
  return (await drivePurchase(buyer, scene.record.number, { signal: stop.signal, onEvent: () => undefined })).progress;
}

const stored = ({ record }: Scene): Progress | undefined => readRecord(stage.dir, record.number)?.progress;
const unpaid = (reason: string) => ({ step: 'unpaid', reason: expect.stringContaining(reason) as string });
const LONG_AGO = 86_400;

describe('a seller whose answer is nonsense', () => {
  it.each<[string, Progress, Answers]>([
    ['instead of a swap id', { step: 'quoted' }, { create: () => ({ swapId: Buffer.alloc(3) }) }],
    [
      'instead of a funding txid',
      CREATED,
      {
        watch: () => [
          {
            ...{ status: SwapStatus.FUNDED, bolt11: 'lnbcrt1', swapId: Buffer.from(SWAP_ID, 'hex') },
            ...{ fundingTxid: Buffer.alloc(31, 1), witnessScript: Buffer.alloc(1, 1) },
          },
        ],
      },
    ],
  ])('%s ends the purchase: nothing was paid', async (_, progress, answers) => {
    const scene = payScene(stage);
    await expect(driven(scene, progress, answers)).rejects.toMatchObject({ code: 'seller_answer_invalid' });
    expect(stored(scene)).toMatchObject(unpaid('seller_answer_invalid'));
  });
});

describe('a swap whose invoice would be dead by now', () => {
  const unknown = (): never => {
    throw new ServerError(Status.NOT_FOUND, 'no such swap');
  };
  it('ends when the seller does not know it any more, and not before', async () => {
    const scene = payScene(stage);
    await expect(driven(scene, CREATED, { watch: unknown })).rejects.toMatchObject({ outcome: 'refused' });
    expect(stored(scene)).toEqual(CREATED);
    expect(await driven(scene, CREATED, { watch: unknown }, LONG_AGO)).toMatchObject(unpaid('no such swap'));
  });
  it('ends when the seller only ever says that it prepares, and not before', async () => {
    const scene = payScene(stage);
    const prepares = [{ status: SwapStatus.CREATED, swapId: Buffer.from(SWAP_ID, 'hex') }];
    const watch = (): Partial<Swap>[] => prepares;
    expect(await driven(scene, CREATED, { watch })).toMatchObject({ step: 'created' });
    expect(await driven(scene, CREATED, { watch }, LONG_AGO)).toMatchObject(unpaid('nothing was sent'));
  });
  it('keeps what a refused request said', async () => {
    const scene = payScene(stage);
    const create = (): never => {
      throw new ServerError(Status.FAILED_PRECONDITION, 'the quote has expired');
    };
    await expect(driven(scene, { step: 'quoted' }, { create }, LONG_AGO)).rejects.toThrow('expired');
    expect(stored(scene)).toMatchObject(unpaid('the quote has expired'));
  });
});

describe('a purchase that is lost', () => {
  it('leaves evidence that it was paid, which names no claim', async () => {
    const scene = payScene(stage);
    const refund = refundOf(stage, scene);
    scene.spends.push({ ...refund, height: TIP - 1 });
    const paid: Progress = { step: 'paid', htlc: scene.htlc, preimage: hex(PREIMAGE) };
    expect(await driven(scene, paid, {})).toMatchObject({ step: 'lost', refundTxid: refund.txid });
    const report = verifyEvidence(readEvidence(stage.dir, scene.record.number) ?? '');
    expect(report.facts).toMatchObject({ claimTxid: undefined, htlc: { paymentHash: scene.htlc.paymentHash } });
  });
});
