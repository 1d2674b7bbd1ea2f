/** Where the asset and the L-BTC of a whole purchase end up, with real programs. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { LIQUID_NETWORKS, encodeAddress } from '../../src/core/network.js';
import { explicitOutput } from '../../src/core/funding.js';
import { p2wpkhScriptPubKey } from '../../src/core/htlc.js';
import { parseTransaction } from '../../src/core/tx.js';
import { hex } from '../../src/core/units.js';
import type { PurchaseRecord } from '../../src/buyer/record.js';
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
import { keyOf } from '../unit/core/zkp.js';

const { policyAsset } = LIQUID_NETWORKS.regtest;
const EXCHANGE = p2wpkhScriptPubKey(keyOf('exchange').pubkey);

let world: TestWorld;
let opened: TestBuyer;
beforeAll(async () => {
  world = await startTestWorld();
  opened = await openBuyer(world);
});
afterAll(async () => {
  opened.close();
  await world.close();
});

/** Buys to that address, mining whenever the purchase waits. */
async function bought(payoutAddress: string): Promise<PurchaseRecord> {
  const started = await startTestPurchase(world, { ...opened, payoutAddress });
  return await whileMining(world, driveTo(opened, started, 'claimed'));
}

/** Scripts that the claim pays, by asset. */
async function paid(record: PurchaseRecord): Promise<{ asset: string[]; lbtc: string[] }> {
  const { progress } = record;
  if (progress.step !== 'claimed') throw new Error(`expected claimed, found ${progress.step}`);
  const raw = await opened.buyer.chains[0]?.chain.transaction(progress.claimTxid);
  const outputs = parseTransaction(raw ?? Buffer.alloc(0)).outs.filter(({ script }) => script.length > 0);
  const to = (isLbtc: boolean): string[] =>
    outputs.flatMap((output) => {
      const amount = explicitOutput(output);
      return (amount?.assetId === policyAsset) === isLbtc ? [hex(output.script)] : [];
    });
  return { asset: to(false), lbtc: to(true) };
}

describe('a purchase', () => {
  it('paid out to an exchange sends it the asset alone; the L-BTC comes home', async () => {
    const record = await bought(encodeAddress({ scriptPubKey: EXCHANGE }, 'regtest'));
    const { asset, lbtc } = await paid(record);
    expect(asset).toEqual([hex(EXCHANGE)]);
    expect(lbtc).toEqual([record.payout.changeScript]);
    expect(await opened.buyer.wallet.owns(Buffer.from(lbtc[0] ?? '', 'hex'))).toBe(true);
    await eventually('the rest', async () => ((await opened.buyer.wallet.lbtcSat()) > 0n ? true : undefined));
  });

  it('paid out to the own wallet sends it everything', async () => {
    const { scriptPubKey } = await opened.buyer.wallet.look();
    const record = await bought(encodeAddress({ scriptPubKey }, 'regtest'));
    expect(record.payout.changeScript).toBeUndefined();
    expect(await paid(record)).toEqual({ asset: [hex(scriptPubKey)], lbtc: [hex(scriptPubKey)] });
  });
});
