/**
 * A payment that was settled and went back all the same: the buyer's node died before it heard of S, the seller's node was
 * dead when the HTLC ran out, and the buyer's node, back alone, took its money back on the Bitcoin chain.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { ChannelState } from '../../src/gen/lnnode/v1/lnnode.js';
import { connectNode } from '../../src/sandbox/world/grpc.js';
import { mineToRefundHeight } from '../crash/stage.js';
import {
  alarmsOf,
  bought,
  calledAgain,
  money,
  openLightningStage,
  payHeld,
  paymentIs,
  restartSeller,
  shownPreimage,
  type Bought,
  type LightningStage,
} from '../support/lightningStage.js';
import { eventually } from '../support/testWorld.js';

/** A node that is silent for so long waits for a block. */
const ANSWER_MS = 20_000;

let stage: LightningStage;

beforeAll(async () => {
  stage = await openLightningStage();
});
afterAll(async () => {
  await stage.close();
});

const mineBitcoin = (blocks: number): Promise<unknown> =>
  stage.world.ask({ command: 'mine', chain: 'bitcoin', blocks });

type Bitcoin = { readonly height: number; readonly mempool: number };
const bitcoin = async (): Promise<Bitcoin> => (await stage.world.ask({ command: 'status' }))['bitcoin'] as Bitcoin;

/** The buyer's node, alone, closes the channel when the HTLC has run out, and takes it back. */
async function takeBack(expiry: number): Promise<void> {
  const { address, token_file: tokenFile } = stage.world.file().lnnoded.buyer;
  const { client, close } = connectNode({ address, tokenFile });
  try {
    await mineBitcoin(expiry - (await bitcoin()).height);
    await eventually('a closed channel', async () => {
      const { height } = await bitcoin();
      if ((await client.getNodeInfo({})).blockHeight < height) return undefined;
      const { channels } = await client.listChannels({});
      if (channels.every(({ state }) => state === ChannelState.SWEEPING)) return true;
      await mineBitcoin(1);
      return undefined;
    });
    // The commitment, then the timeout, until no HTLC is left; a block too many does no harm.
    const isOver = async (): Promise<boolean> => {
      const { channels } = await client.listChannels({});
      return channels.every(({ pendingHtlcs }) => pendingHtlcs === 0);
    };
    while (!(await isOver())) {
      const isNext = async (): Promise<boolean> => (await bitcoin()).mempool > 0 || (await isOver());
      await eventually('a transaction', async () => (await isNext()) || undefined, ANSWER_MS).catch(() => undefined);
      await mineBitcoin(1);
    }
  } finally {
    close();
  }
}

const kill = (name: 'lnnoded-seller' | 'lnnoded-buyer'): Promise<unknown> => stage.world.ask({ command: 'kill', name });
const start = (name: 'lnnoded-seller' | 'lnnoded-buyer'): Promise<unknown> =>
  stage.world.ask({ command: 'start', name });

/** Everything that has to hold for as long as nobody undoes the blocks. */
async function staysIn(swap: Bought): Promise<void> {
  await calledAgain(stage, 'lookupInvoice', swap, 2);
  expect(await shownPreimage(stage, swap)).toBe('');
  const { text, modes } = await alarmsOf(stage);
  expect(text).toContain(`swap ${swap.id}: the node took the payment, but it went back to the payer on the chain`);
  expect(modes).toContain('PAUSED');
}

it('S stays in for good, the operator is called, and the asset is neither claimed nor refunded', async () => {
  const swap = await bought(stage);
  stage.lightning.rules.changeInfo = (info) => ({ ...info, isSynced: false });
  const { claimDeadlineHeight = 0 } = await payHeld(stage, swap);
  await paymentIs(stage, swap, 'HELD');
  await kill('lnnoded-buyer');
  stage.lightning.reset();
  const row = await paymentIs(stage, swap, 'SETTLED');
  await calledAgain(stage, 'lookupInvoice', swap, 1);
  expect(await shownPreimage(stage, swap)).toBe('');
  expect((await alarmsOf(stage)).text).not.toContain(swap.id);

  await kill('lnnoded-seller');
  await start('lnnoded-buyer');
  await takeBack(claimDeadlineHeight);
  await start('lnnoded-seller');
  await eventually('the timeout', async () => {
    return (await stage.node.lookupInvoice(swap.hash))?.isTimedOutOnChain === true ? true : undefined;
  });
  await staysIn(swap);

  await mineBitcoin(6);
  await eventually('the end of the payment', async () => {
    return (await stage.payer.lookupPayment(swap.hash))?.state === 'FAILED' ? true : undefined;
  });
  await stage.seller.down();
  await restartSeller(stage);
  await mineToRefundHeight(stage, row);
  await staysIn(swap);
  expect(await money(stage, swap)).toEqual({ payment: 'FAILED', outpoint: 'unspent', books: 'FUNDED/SETTLED' });
});
