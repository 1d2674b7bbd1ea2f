/** Two real electrs on two real nodes that part ways: the seller does no business while they disagree. */
import { expect, it } from 'vitest';

import { bought, calledAgain, endClaimed, money, pay, payHeld, paymentIs, TAKEN } from '../support/lightningStage.js';
import { regtestSuite } from '../support/regtest/suite.js';
import { eventually, startTestPurchase } from '../support/testWorld.js';

regtestSuite(
  'two real servers',
  (stage) => {
    const second = (): NonNullable<ReturnType<typeof stage>['regtest']['second']> => {
      const found = stage().regtest.second;
      if (found === undefined) throw new Error('there is one server only');
      return found;
    };
    const modes = async (): Promise<readonly string[]> => (await stage().admin.getStatus({})).modes;

    it('of one chain let a swap end', async () => {
      const swap = await bought(stage());
      await pay(stage(), swap);
      expect(await endClaimed(stage(), [swap])).toEqual([TAKEN]);
    });

    it('of two chains stop new business and take no payment, until one of the chains wins', async () => {
      const swap = await bought(stage());
      const [{ node, electrs }, other] = [stage().regtest, second()];
      other.isFollowing = false;
      await other.node.mineEmpty();
      await other.electrs.caughtUp();
      await node.mineEmpty();
      await electrs.caughtUp();
      await eventually('a seller that noticed', async () => (await modes()).includes('DEGRADED') || undefined);
      const { modeReasons } = await stage().admin.getStatus({});
      expect(modeReasons.join('\n')).toContain(electrs.url);
      expect(modeReasons.join('\n')).toContain(other.electrs.url);
      await expect(startTestPurchase(stage().world, stage().buyer)).rejects.toMatchObject({ code: 'degraded' });
      await payHeld(stage(), swap);
      await paymentIs(stage(), swap, 'HELD');
      await calledAgain(stage(), 'lookupInvoice', swap, 2);
      expect(await money(stage(), swap)).toMatchObject({ payment: 'IN_FLIGHT', outpoint: 'unspent' });
      expect(stage().lightning.count('settleInvoice', swap.hash)).toBe(0);
      other.isFollowing = true;
      await stage().world.mine(1);
      await eventually('a seller that is well', async () => (await modes()).length === 0 || undefined);
      expect(await endClaimed(stage(), [swap])).toEqual([TAKEN]);
    });
  },
  { hasSecond: true },
);
