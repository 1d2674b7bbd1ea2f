/** Lies of one of the buyer's own Electrum servers, beside an honest one or alone. */
import { hashPreimage } from '../../src/core/htlc.js';
import { blockHeight } from '../../src/core/units.js';
import { ServerFault, SILENCE } from '../support/hostileElectrum.js';
import { NOT_THERE } from './fundingLies.js';
import type { Lie } from './lie.js';
import { NO_TIME_LEFT } from './scriptLies.js';
import {
  answer,
  AT,
  fundingAt,
  headerWith,
  list,
  madeUpBlock,
  METHOD,
  otherBytes,
  rates,
  richer,
  spendKeptBack,
  tipOff,
  uint32,
} from './serverAnswers.js';
import { CLAIMED_PREIMAGE } from './spends.js';

const claimed: Pick<Lie, 'forgery' | 'fate'> = {
  forgery: { htlc: (htlc) => ({ ...htlc, paymentHash: hashPreimage(CLAIMED_PREIMAGE) }) },
  fate: 'claimed',
};

/** Beside an honest server. */
export const SERVER_LIES: readonly Lie[] = [
  { name: 'server: nothing but the truth', codes: [], electrum: () => undefined },
  { name: 'server: height -1', codes: [...NOT_THERE], electrum: fundingAt(() => -1) },
  { name: 'server: height 0', codes: [...NOT_THERE], electrum: fundingAt(() => 0) },
  { name: 'server: height above the tip', codes: [...NOT_THERE], electrum: fundingAt(({ tip }) => tip + 1) },
  { name: 'server: a height deeper than it is', codes: ['merkle_proof'], electrum: fundingAt(({ tip }) => tip - 5) },
  {
    name: 'server: funding left out of the history',
    codes: [...NOT_THERE],
    electrum: (liar, scene) => {
      list(liar, METHOD.history, scene, () => []);
    },
  },
  {
    name: 'server: does not have the funding',
    codes: ['funding_txid'],
    electrum: (liar, { fundingTxid }) => {
      liar.lies.set(METHOD.transaction, async ({ params, honest }) => {
        if (params[0] === fundingTxid) throw new ServerFault('missing transaction');
        return await honest();
      });
    },
  },
  { name: 'server: funding with more in it', codes: ['electrum_servers'], electrum: otherBytes(richer) },
  {
    name: 'server: bytes of another transaction',
    codes: ['electrum_servers'],
    electrum: async (liar, scene) => {
      const other = await scene.chain.transaction(scene.strangersTxid);
      await otherBytes(() => other ?? Buffer.alloc(0))(liar, scene);
    },
  },
  {
    name: 'server: HTLC spent, though it is not',
    codes: ['outpoint_spent'],
    electrum: (liar, scene) => {
      list(liar, METHOD.unspent, scene, () => []);
    },
  },
  { name: 'server: HTLC unspent, though it is not', codes: ['outpoint_spent'], ...claimed, electrum: spendKeptBack },
  {
    name: 'server: refund kept back',
    codes: ['outpoint_spent', 'refund_broadcast', ...NO_TIME_LEFT],
    forgery: { htlc: (htlc) => ({ ...htlc, refundHeight: blockHeight(htlc.refundHeight - 60) }) },
    fate: 'refunded',
    electrum: spendKeptBack,
  },
  {
    name: 'server: one HTLC output unspent of two',
    codes: ['outpoint_spent'],
    electrum: (liar, scene) => {
      list(liar, METHOD.unspent, scene, (found) => found.slice(1));
    },
  },
  {
    name: 'server: merkle branch of another transaction',
    codes: ['merkle_proof'],
    electrum: (liar) => {
      answer(liar, METHOD.merkle, (honest) => ({ ...(honest as object), merkle: ['ab'.repeat(32)], pos: 1 }));
    },
  },
  {
    name: 'server: a header no other server has',
    codes: ['merkle_proof'],
    electrum: (liar, { fundingHeight }) => {
      answer(liar, METHOD.header, (honest, [asked]) =>
        asked === fundingHeight ? headerWith(honest, AT.time, uint32(1_900_000_000)) : honest,
      );
    },
  },
  {
    name: 'server: a block that nobody mined',
    codes: ['funding_txid', ...NOT_THERE],
    forgery: {},
    fate: 'never sent',
    electrum: madeUpBlock,
  },
  { name: 'server: tip a million too high', codes: ['tip_rule'], electrum: tipOff(1_000_000) },
  { name: 'server: tip 3 too high', codes: ['tip_rule'], electrum: tipOff(3) },
  { name: 'server: tip 2 too high', codes: [], electrum: tipOff(2) },
  { name: 'server: tip 3 too low', codes: ['tip_rule', ...NOT_THERE], electrum: tipOff(-3) },
  {
    name: 'server: tip without its header',
    codes: ['electrum_servers'],
    isMute: true,
    electrum: (liar) => {
      answer(liar, METHOD.tip, (honest) => ({ ...(honest as object), height: 1 }));
    },
  },
  {
    name: 'server: another block 0',
    codes: ['genesis'],
    electrum: (liar) => {
      answer(liar, METHOD.header, (honest, [asked]) => (asked === 0 ? headerWith(honest, AT.time, uint32(1)) : honest));
    },
  },
  { name: 'server: fee rate of 900 sat/vB', codes: ['fee_subsidy_too_low'], electrum: rates(0.009) },
  { name: 'server: relay fee of 900 sat/vB', codes: ['fee_subsidy_too_low'], electrum: rates(0, 0.009) },
  { name: 'server: fee rate of 1 BTC', codes: [], electrum: rates(1) },
  { name: 'server: fee rate of nothing', codes: [], electrum: rates(0, 0) },
  { name: 'server: relay fee below nothing', codes: ['electrum_servers'], electrum: rates(0, -1) },
  {
    name: 'server: no answer',
    codes: ['electrum_servers'],
    isMute: true,
    electrum: (liar) => void liar.lies.set(METHOD.history, () => SILENCE),
  },
  {
    name: 'server: no JSON',
    codes: ['electrum_servers'],
    electrum: (liar) =>
      void liar.lies.set(METHOD.unspent, ({ write }) => {
        write('paid\n');
        return SILENCE;
      }),
  },
  {
    name: 'server: an output of the HTLC more',
    codes: [],
    electrum: (liar, scene) => {
      list(liar, METHOD.unspent, scene, (found) => [
        ...found,
        ...found.map((entry) => ({ ...entry, tx_hash: 'ab'.repeat(32) })),
      ]);
    },
  },
];

/** The only server of the buyer: regtest, or `--trust-single-electrum`. */
export const LONE_SERVER_LIES: readonly Lie[] = (
  [
    { name: 'lone server: height above the tip', codes: [...NOT_THERE], electrum: fundingAt(({ tip }) => tip + 1) },
    {
      name: 'lone server: a height deeper than it is',
      codes: ['merkle_proof'],
      electrum: fundingAt(({ tip }) => tip - 5),
    },
    { name: 'lone server: tip a million too high', codes: [...NO_TIME_LEFT], electrum: tipOff(1_000_000) },
    { name: 'lone server: HTLC unspent, though it is not', codes: [], ...claimed, electrum: spendKeptBack },
    {
      name: 'lone server: a block that nobody mined',
      codes: [],
      forgery: {},
      fate: 'never sent',
      electrum: madeUpBlock,
    },
  ] satisfies readonly Lie[]
).map((lie: Lie): Lie => ({ ...lie, isAlone: true }));
