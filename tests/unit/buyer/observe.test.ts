/** The buyer's own servers over real sockets: what they show is judged, whatever they send ends as a finding. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { nowSecs } from '../../../src/buyer/buyer.js';
import type { Deal, Handover } from '../../../src/buyer/deal.js';
import { observeHtlc, type NamedChain } from '../../../src/buyer/observe.js';
import { failedCodes } from '../../../src/buyer/verify.js';
import { verifyHandover } from '../../../src/buyer/verifyHandover.js';
import { acceptedTip } from '../../../src/buyer/dataDir.js';
import type { Zkp } from '../../../src/core/blind.js';
import { p2wshScriptPubKey } from '../../../src/core/htlc.js';
import { sat } from '../../../src/core/units.js';
import { connectElectrum } from '../../../src/liquid/electrum.js';
import { historyDigest } from '../../../src/liquid/electrumAnswers.js';
import { createLogger } from '../../../src/log.js';
import { ServerFault, SILENCE, type HostileElectrum } from '../../support/hostileElectrum.js';
import { loadZkp } from '../core/zkp.js';
import { honest, tell, TIP, type AnsweringServer, type Story } from './honest.js';
import { serveStory } from './storyServer.js';
import { SERVER_LIES, type Lie } from './verifyLies.js';

const log = createLogger('test', 'silent');
const TIMEOUTS = {
  connectMs: 1_000,
  requestMs: 600,
  reconnectWaitMs: 600,
  retryMinMs: 50,
  retryMaxMs: 100,
  pingMs: 60_000,
};
/** For answers that take a busy machine long. */
const PATIENT = { ...TIMEOUTS, requestMs: 15_000, reconnectWaitMs: 15_000 };
const METHODS = [
  'blockchain.headers.subscribe',
  'blockchain.block.header',
  'blockchain.scripthash.get_history',
  'blockchain.scripthash.listunspent',
  'blockchain.transaction.get',
  'blockchain.transaction.get_merkle',
  'blockchain.relayfee',
] as const;

let zkp: Zkp;
let dir: string;
let open: { close: () => unknown }[];
beforeAll(async () => {
  zkp = await loadZkp();
});
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'swap-observe-'));
  open = [];
});
afterEach(async () => {
  for (const each of open.reverse()) await each.close();
  rmSync(dir, { recursive: true, force: true });
});

type Scene = { deal: Deal; handover: Handover; servers: HostileElectrum[]; chains: NamedChain[] };

/** The story behind `count` sockets; the first server is the one that lies. */
async function scene(lie: Lie = (story) => story, count = 1, timeouts = TIMEOUTS): Promise<Scene> {
  const story: Story = lie(honest());
  const now = { ...story, invoice: { ...story.invoice, createdAt: nowSecs() - 60 } };
  const { deal, handover, around } = tell(zkp, now);
  const truth = tell(zkp, { ...now, server: (view) => view }).around.servers;
  const views = [around.servers[0], ...Array.from({ length: count - 1 }, () => truth[0])] as AnsweringServer[];
  const servers = await Promise.all(
    views.map(async (view) => await serveStory(view, handover.witnessScript, view.others)),
  );
  const chains = servers.map(({ url }) => ({
    name: url,
    chain: connectElectrum({ servers: [url], log, timeouts }),
  }));
  open.push(...servers, ...chains.map(({ chain }) => chain));
  return { deal, handover, servers, chains };
}

const sideOf = (chains: readonly NamedChain[]) => ({
  network: 'regtest' as const,
  chains,
  isSingleServerTrusted: false,
  dir,
});

async function codesOf({ deal, handover, chains }: Scene): Promise<string[]> {
  return failedCodes(await verifyHandover(sideOf(chains), deal, handover));
}

describe('what honest servers show', () => {
  it('passes, and its tip is remembered', async () => {
    const told = await scene((story) => story, 2);
    expect(await codesOf(told)).toEqual([]);
    expect(acceptedTip(dir, told.deal.genesis)).toMatchObject({ height: TIP });
  });

  it('is asked anew every time, with the script known or not', async () => {
    const told = await scene();
    expect(await codesOf(told)).toEqual([]);
    const [server] = told.servers;
    server?.methods.set('blockchain.scripthash.listunspent', () => []);
    expect(await codesOf(told)).toEqual(['outpoint_spent']);
  });

  it('is asked anew although a subscribed script is known and no server told of a change', async () => {
    const told = await scene();
    const [server] = told.servers;
    const script = p2wshScriptPubKey(told.handover.witnessScript);
    const entries = [{ txid: told.handover.fundingTxid, height: TIP - 1 }];
    server?.methods.set('blockchain.scripthash.subscribe', () => historyDigest(entries));
    await told.chains[0]?.chain.tip();
    told.chains[0]?.chain.subscribe(script);
    expect(await codesOf(told)).toEqual([]); // answers come in order: subscribed before this history
    expect(await codesOf(told)).toEqual([]);
    server?.methods.set('blockchain.scripthash.get_history', () => []);
    expect(await codesOf(told)).toEqual(['funding_height', 'funding_confirmations', 'merkle_proof']);
  });
});

describe('a server that shows a spend', () => {
  const spends = SERVER_LIES.filter(([, , codes]) => codes.includes('outpoint_spent') && codes.length <= 2);
  it.each(spends)('%s is refused with exactly these codes', async (_, lie, codes) => {
    expect(await codesOf(await scene(lie))).toEqual(codes);
    expect(await codesOf(await scene(lie, 2))).toEqual(codes);
  });
});

describe('a wallet', () => {
  const walletOf = (lbtc: bigint) => {
    const wallet = { asked: 0, lbtcSat: async () => Promise.resolve(sat(((wallet.asked += 1), lbtc))) };
    return wallet;
  };
  it('is asked for its L-BTC only if nothing but the subsidy stands in the way', async () => {
    const told = await scene();
    const [server] = told.servers;
    const side = sideOf(told.chains);
    const rich = walletOf(1_200n);
    const judge = async (wallet: ReturnType<typeof walletOf>) =>
      failedCodes(await verifyHandover({ ...side, wallet }, told.deal, told.handover));

    expect(await judge(rich)).toEqual([]);
    expect(rich.asked).toBe(0);
    server?.methods.set('blockchain.relayfee', () => 0.00002);
    expect(await judge(rich)).toEqual([]);
    expect(rich.asked).toBe(1);
    expect(await judge(walletOf(1_199n))).toEqual(['fee_subsidy_too_low']);
    server?.methods.set('blockchain.scripthash.listunspent', () => []);
    expect(await judge(rich)).toEqual(['outpoint_spent', 'fee_subsidy_too_low']);
    expect(rich.asked).toBe(1);
  });
});

describe('a hostile server', () => {
  const garbage: readonly (readonly [string, () => unknown])[] = [
    ['nothing', () => SILENCE],
    ['null', () => null],
    ['a number that is none', () => 1e308],
    ['a word', () => 'gar\u001b[31mbage'],
    ['a megabyte of zeros', () => '0'.repeat(1_000_000)],
    ['a deep nest', () => Array.from({ length: 500 }).reduce<unknown>((inner) => [inner], [])],
    [
      'an error that steers a terminal',
      () => {
        throw new ServerFault(`\u001b[2J${'x'.repeat(100_000)}`);
      },
    ],
  ];
  it.each(METHODS.flatMap((method) => garbage.map(([what, lie]) => [method, what, lie] as const)))(
    'that answers %s with %s is a server that does not answer, and the buyer lives on',
    async (method, _, lie) => {
      const told = await scene((story) => story, 2);
      told.servers[0]?.methods.set(method, lie);
      const views = await observeHtlc(told.chains, told.handover.witnessScript, told.handover.fundingTxid);
      const problems = views.map((view) =>
        'problem' in view ? view.problem : 'problem' in view.inclusion ? view.inclusion.problem : '',
      );
      expect(problems[0]).toMatch(/^[\x20-\x7e]{1,300}$/);
      expect(problems[1]).toBe('');
      const codes = await codesOf(told);
      expect(codes).toEqual([method === 'blockchain.transaction.get_merkle' ? 'merkle_proof' : 'electrum_servers']);
    },
    20_000,
  );

  it('never makes the buyer throw, whatever JSON it sends', async () => {
    const told = await scene((story) => story, 2);
    const [server] = told.servers;
    const before = new Map(server?.methods);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...METHODS.slice(2)), fc.jsonValue(), async (method, answer) => {
        for (const [name, behaviour] of before) server?.methods.set(name, behaviour);
        server?.methods.set(method, () => answer);
        const views = await observeHtlc(told.chains, told.handover.witnessScript, told.handover.fundingTxid);
        expect(views).toHaveLength(2);
        expect('problem' in (views[1] ?? {})).toBe(false);
      }),
      { numRuns: 60 },
    );
  }, 60_000);

  it('that lists fifty thousand transactions is not asked for all of them, and the newest show the refund', async () => {
    const [, refund] = SERVER_LIES.find(([what]) => what === 'a refund') ?? [];
    const told = await scene(refund, 1, PATIENT);
    const [server] = told.servers;
    const known = server?.methods.get('blockchain.scripthash.get_history');
    const flood = Array.from({ length: 50_000 }, (_, i) => ({
      tx_hash: i.toString(16).padStart(64, '0'),
      height: TIP,
    }));
    server?.methods.set('blockchain.scripthash.get_history', (params, connection) => [
      ...flood,
      ...(known?.(params, connection) as object[]),
    ]);
    expect(await codesOf(told)).toEqual(['outpoint_spent', 'refund_broadcast']);
    expect(server?.requests.filter(({ method }) => method === 'blockchain.transaction.get').length).toBeLessThan(30);
  }, 30_000);
});
