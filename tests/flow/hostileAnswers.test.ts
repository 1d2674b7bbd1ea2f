/** Electrum servers that answer nonsense, and lies about broadcasts and about the wallet's coins. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { parseTransaction, rawOf, txidOf } from '../../src/core/tx.js';
import { outpointKey, txid } from '../../src/core/units.js';
import { startBlindingWorker, type BlindingWorker } from '../../src/liquid/blinding.js';
import { decodeAddress } from '../../src/sandbox/liquid/world.js';
import { showDeposit } from '../support/electrumLies.js';
import { ServerFault, SILENCE } from '../support/hostileElectrum.js';
import type { Lie } from '../support/hostileProxy.js';
import { HostileWorld } from '../support/hostileWorld.js';

const BROADCAST = 'blockchain.transaction.broadcast';
const HISTORY = 'blockchain.scripthash.get_history';
const HUGE = Buffer.alloc(21_000_000, 'x');

let worker: BlindingWorker;
beforeAll(() => {
  worker = startBlindingWorker();
});
afterAll(() => {
  worker.close();
});

describe.each(['alone', 'beside an honest server'] as const)('a liar %s', (company) => {
  const isAlone = company === 'alone';
  let world: HostileWorld;
  beforeEach(async () => {
    world = await HostileWorld.open(company, worker);
  });
  afterEach(async () => {
    await world[Symbol.asyncDispose]();
  });
  const problem = (): string | undefined => world.ctx.health.degradedReason;

  describe('that answers every question', () => {
    it.each<[string, Lie]>([
      ['with silence', () => SILENCE],
      [
        'with garbage',
        ({ write }) => {
          write('\u0000\u0001 no JSON \n');
          return SILENCE;
        },
      ],
      ['with null', () => null],
      [
        'with a line of 21 MB',
        ({ write }) => {
          write(HUGE);
          return SILENCE;
        },
      ],
      [
        'with the end of the connection',
        ({ drop }) => {
          drop();
          return SILENCE;
        },
      ],
    ])('%s: nothing is decided, the reason is told, and it ends by itself', async (_name, lie) => {
      const swap = await world.buyFunded();
      world.liar.lies.set('*', lie);
      world.pay(swap);
      await world.until('it is degraded', () => problem() !== undefined);
      expect(problem()).toBe(
        isAlone ? 'no Electrum server answers' : 'expected 2 servers to agree, found 1 that answers',
      );
      await world.untilStanding(swap, 'FUNDED HELD');
      const waiting = world.order();
      await world.sweep();
      expect([world.standing(swap), world.nodeCalls()]).toEqual(['FUNDED HELD', []]);
      expect(world.standing(waiting)).toBe('INVOICED OPEN');
      world.liar.behave();
      await world.until('it is not degraded', () => problem() === undefined);
      await world.untilStanding(swap, 'FUNDED SETTLED');
    });
  });

  describe('about a broadcast makes no second funding', () => {
    const answers: readonly (readonly [string, Lie])[] = [
      ['silence', () => SILENCE],
      [
        'garbage',
        ({ write }) => {
          write('}{\n');
          return SILENCE;
        },
      ],
      ['another txid', () => 'ab'.repeat(32)],
      [
        'the right txid, kept to itself',
        ({ params }) => txidOf(parseTransaction(Buffer.from(String(params[0]), 'hex'))),
      ],
      [
        '"already in mempool", without having it',
        () => {
          throw new ServerFault('sendrawtransaction RPC error: {"code":-27,"message":"txn-already-in-mempool"}');
        },
      ],
      [
        'a refusal of what it did not send',
        () => {
          throw new ServerFault('sendrawtransaction RPC error: {"code":-26,"message":"bad-txns-in-ne-out"}');
        },
      ],
      [
        'a refusal of what it sent',
        async ({ honest }) => {
          await honest();
          throw new ServerFault(
            'sendrawtransaction RPC error: {"code":-25,"message":"bad-txns-inputs-missingorspent"}',
          );
        },
      ],
      [
        'silence about what it sent',
        async ({ honest }) => {
          await honest();
          return SILENCE;
        },
      ],
    ];
    it.each(answers)('by %s', async (_name, lie) => {
      world.liar.lies.set(BROADCAST, lie);
      const swap = await world.buy();
      await world.until('the lie is told', () => world.liar.told > 0);
      world.liar.behave();
      await world.until('it is out', () => world.engine.isInMempool(swap.fundingTxid));
      await world.look();
      expect(new Set(world.liar.broadcasts).size).toBe(1);
      expect(world.sent()).toEqual(new Set([swap.fundingTxid]));
      expect(world.engine.sandbox.status().mempool).toEqual([swap.fundingTxid]);
      await world.mine(swap.minFundingConfs);
      world.pay(swap);
      await world.untilStanding(swap, 'FUNDED SETTLED');
    });
  });

  describe('about the coins of the wallet', () => {
    it('by hiding all: nothing is funded until they are seen again', async () => {
      world.liar.lies.set(HISTORY, () => []);
      world.liar.drop();
      await world.until('they are hidden', () =>
        isAlone ? world.ctx.wallet.coins().length === 0 : problem() !== undefined,
      );
      const { id } = world.order();
      await world.sweep();
      await world.sweep();
      expect(world.engine.swap(id).state).toBe('INVOICED');
      await world.repent();
      await world.untilStanding({ id }, 'FUNDING_SIGNED OPEN');
    });
    it('by listing a deposit that it cannot show: the wallet goes on without it', async () => {
      const script = decodeAddress(world.ctx.wallet.receiveAddress().address).scriptPubKey;
      showDeposit(world.liar, script, { id: txid('cd'.repeat(32)), height: 3 });
      await world.untilLied();
      if (!isAlone) {
        expect(problem()).toContain(
          `${world.liar.url} shows ${'cd'.repeat(32)} in block 3, ${world.honestUrl} does not`,
        );
        await world.repent();
      }
      const swap = await world.buy();
      expect(world.engine.isInMempool(swap.fundingTxid)).toBe(true);
    });
    it('by inventing a deposit: no funding spends it', async () => {
      const script = decodeAddress(world.ctx.wallet.receiveAddress().address).scriptPubKey;
      const [real] = world.ctx.wallet.coins();
      const known = world.engine.sandbox.transaction(real?.outpoint.txid ?? txid('00'.repeat(32)));
      const forged = parseTransaction(Buffer.from(known?.rawHex ?? '', 'hex'));
      forged.locktime = 1;
      for (const out of forged.outs) if (out.script.length > 0) out.script = script;
      const raw = rawOf(forged);
      const id = txidOf(forged);
      showDeposit(world.liar, script, { id, height: 3, raw });
      await world.until('the wallet believes it', () =>
        world.ctx.wallet.coins().some((coin) => coin.outpoint.txid === id),
      );
      const asked = world.liar.asked.get('blockchain.transaction.get_merkle') ?? 0;
      const orders = [world.order(), world.order(), world.order()];
      const isAskedForProof = (): boolean => (world.liar.asked.get('blockchain.transaction.get_merkle') ?? 0) > asked;
      // Beside an honest server it is in no block that both show, and is not even tried.
      if (isAlone) await world.until('a proof is asked for', isAskedForProof);
      await world.sweep();
      const inputs = orders.flatMap((order) =>
        world.engine.versions(order.id, 'funding').flatMap((own) => world.engine.inputsOf(own.raw)),
      );
      expect(inputs.filter((key) => key.startsWith(id))).toEqual([]);
      await world.repent();
      for (const order of orders) {
        await world.untilStanding(order, 'FUNDING_SIGNED OPEN');
        const swap = world.engine.funded(order.id);
        await world.until('it is out', () => world.engine.isInMempool(swap.fundingTxid));
      }
    });
    it('by hiding what spends them: a reserved coin is never spent twice', async () => {
      const swap = await world.buy();
      const [funding] = world.engine.versions(swap.id, 'funding');
      const spent = new Set(world.engine.inputsOf(funding?.raw ?? Buffer.alloc(0)));
      world.liar.lies.set(HISTORY, async ({ honest }) => {
        const entries = (await honest()) as { readonly tx_hash: string }[];
        return entries.filter((entry) => entry.tx_hash !== swap.fundingTxid);
      });
      world.liar.drop();
      const shown = (): boolean => world.ctx.wallet.coins().some((coin) => spent.has(outpointKey(coin.outpoint)));
      if (isAlone) await world.until('they are shown as unspent', shown);
      const { id } = world.order();
      await world.untilLied();
      await world.sweep();
      expect(world.standing(swap)).toBe('FUNDING_SIGNED OPEN');
      const [other] = world.engine.versions(id, 'funding');
      expect(world.engine.inputsOf(other?.raw ?? Buffer.alloc(0)).filter((key) => spent.has(key))).toEqual([]);
      await world.repent();
      await world.untilStanding({ id }, 'FUNDING_SIGNED OPEN');
      await world.mine(2);
      expect([world.standing(swap), world.standing({ id })]).toEqual(['FUNDED OPEN', 'FUNDED OPEN']);
    });
  });
});
