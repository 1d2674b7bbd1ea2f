import { setInterval as every } from 'node:timers';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import {
  SCRIPT,
  showHistory,
  showTransactions,
  SILENCE_MS,
  startGroup,
  timed,
  transactionOf,
  type Group,
} from '../../support/electrumGroup.js';
import { eventually } from '../../support/eventually.js';
import { ServerFault, SILENCE, type HostileElectrum } from '../../support/hostileElectrum.js';

const FUNDING = transactionOf(0);
const EXPECTED = [{ txid: FUNDING.id, height: 432 }];
/** What the other servers' absence may cost a question, with room for a slow machine. */
const SHORT_MS = 900;
const NOWHERE = 'tcp://127.0.0.1:1';

let group: Group;
let honest: HostileElectrum | undefined;
let other: HostileElectrum | undefined;

async function restart(options: Parameters<typeof startGroup>[0]): Promise<void> {
  await group.close();
  group = await startGroup(options);
  [honest, other] = group.servers;
}

const countOf = (server: HostileElectrum | undefined, wanted: string): number =>
  server?.requests.filter(({ method }) => method === wanted).length ?? 0;
const HISTORY = 'blockchain.scripthash.get_history';

beforeEach(async () => {
  group = await startGroup({ count: 2 });
  [honest, other] = group.servers;
  for (const server of group.servers) showHistory(server, [[FUNDING.id, 432]]);
  await group.chain.tips();
});
afterEach(async () => {
  await group.close();
});

describe('a server that fails a question', () => {
  const failures: readonly (readonly [string, Parameters<HostileElectrum['methods']['set']>[1]])[] = [
    ['with silence', () => SILENCE],
    ['with null', () => null],
    ['with an object', () => ({ tx_hash: FUNDING.id })],
    ['with a txid cut short', () => [{ tx_hash: 'ab', height: 1 }]],
    ['with a height beyond all heights', () => [{ tx_hash: FUNDING.id, height: 500_000_000 }]],
    ['with a height below -1', () => [{ tx_hash: FUNDING.id, height: -2 }]],
    [
      'with garbage',
      (_params, { socket }) => {
        socket.write('<html>502 Bad Gateway</html>\n');
        return SILENCE;
      },
    ],
    [
      'with a line that does not end',
      (_params, { socket }) => {
        socket.write(Buffer.alloc(21_000_000, 0x20));
        return SILENCE;
      },
    ],
    [
      'by hanging up',
      (_params, { socket }) => {
        socket.destroy();
        return SILENCE;
      },
    ],
  ];

  it.each(failures)('%s is left out at once, and until it answers that question again', async (_what, behaviour) => {
    const answerWell = other?.methods.get(HISTORY);
    other?.methods.set(HISTORY, behaviour);
    expect(await group.chain.history(SCRIPT)).toEqual(EXPECTED);
    for (let i = 0; i < 5; i += 1) {
      const { value, ms } = await timed(group.chain.history(SCRIPT));
      expect(value).toEqual(EXPECTED);
      expect(ms).toBeLessThan(SHORT_MS);
    }
    expect(await group.chain.tips()).toHaveLength(1);
    expect(group.chain.disagreement()).toBeUndefined();
    if (answerWell !== undefined) other?.methods.set(HISTORY, answerWell);
    await eventually('both are asked again', async () => (await group.chain.tips()).length === 2);
    const before = countOf(other, HISTORY);
    expect(await group.chain.history(SCRIPT)).toEqual(EXPECTED);
    expect(countOf(other, HISTORY)).toBe(before + 1);
  });

  it('with silence costs its timeout once, however often it comes back', async () => {
    other?.methods.set(HISTORY, () => SILENCE);
    const { ms } = await timed(group.chain.history(SCRIPT));
    expect(ms).toBeGreaterThanOrEqual(SILENCE_MS - 20);
    await eventually('it came back and failed again', () => countOf(other, HISTORY) >= 3);
    expect((await timed(group.chain.history(SCRIPT))).ms).toBeLessThan(SHORT_MS);
  });

  it('is not announced as connected before it answered', async () => {
    other?.methods.set(HISTORY, () => null);
    await group.chain.history(SCRIPT);
    await eventually('its loss is told', () => group.changes.some(({ kind }) => kind === 'disconnected'));
    const connected = (): number => group.changes.filter(({ kind }) => kind === 'connected').length;
    await eventually('it came back and failed again', () => countOf(other, HISTORY) >= 3);
    expect(connected()).toBe(2);
    showHistory(other, []);
    await eventually('it is back', () => connected() === 3);
  });

  it('by refusing it is left out of this answer only', async () => {
    other?.methods.set(HISTORY, () => {
      throw new ServerFault('server busy');
    });
    expect(await group.chain.history(SCRIPT)).toEqual(EXPECTED);
    expect(await group.chain.tips()).toHaveLength(2);
  });
});

describe('servers that are away', () => {
  it('hold up the first question for a while, and none after it', async () => {
    await restart({ count: 1, extraUrls: [NOWHERE], reconnectWaitMs: 1_500 });
    showHistory(honest, [[FUNDING.id, 432]]);
    expect((await timed(group.chain.history(SCRIPT))).ms).toBeGreaterThan(1_300);
    for (let i = 0; i < 5; i += 1) {
      const { value, ms } = await timed(group.chain.history(SCRIPT));
      expect(value).toEqual(EXPECTED);
      expect(ms).toBeLessThan(SHORT_MS);
    }
  });

  it('and flap leave the others to answer, each question in time', async () => {
    const flapping = every(() => other?.dropAll(), 15);
    try {
      for (let i = 0; i < 100; i += 1) {
        const { value, ms } = await timed(group.chain.history(SCRIPT));
        expect(value).toEqual(EXPECTED);
        expect(ms).toBeLessThan(2 * SHORT_MS);
        expect((await timed(group.chain.tips())).ms).toBeLessThan(2 * SHORT_MS);
      }
    } finally {
      clearInterval(flapping);
    }
    expect(group.chain.disagreement()).toBeUndefined();
    await eventually('both are asked again', async () => (await group.chain.tips()).length === 2);
  });

  it('all of them: chain_unavailable with the reason; a broadcast is unknown', async () => {
    await restart({ count: 0, extraUrls: [NOWHERE, 'tcp://127.0.0.1:2'], reconnectWaitMs: 50 });
    for (const question of [
      () => group.chain.tips(),
      () => group.chain.tip(),
      () => group.chain.history(SCRIPT),
      () => group.chain.unspent(SCRIPT),
      () => group.chain.transaction(FUNDING.id),
      () => group.chain.feeRate(),
      () => group.chain.genesisHash(),
    ]) {
      await expect(question()).rejects.toMatchObject({ code: 'chain_unavailable' });
    }
    expect(await group.chain.broadcast(FUNDING.raw)).toMatchObject({ kind: 'unknown' });
  });

  it('all of them hold up a question for the wait of the group, not for that of each server too', async () => {
    await restart({ count: 0, extraUrls: [NOWHERE, 'tcp://127.0.0.1:2'], reconnectWaitMs: 3_000 });
    await group.chain.tips().catch(() => undefined);
    expect((await timed(group.chain.tips().catch(() => undefined))).ms).toBeLessThan(5_000);
  });

  it('all of them for a moment: a question waits for the first to come back', async () => {
    await restart({ count: 2, retryMs: 700 });
    for (const server of group.servers) showHistory(server, [[FUNDING.id, 432]]);
    await group.chain.tips();
    group.servers.forEach((server) => {
      server.dropAll();
    });
    await eventually('both are gone', () => group.changes.filter(({ kind }) => kind === 'disconnected').length === 2);
    expect(await group.chain.history(SCRIPT)).toEqual(EXPECTED);
  });

  it('end with the group: questions fail at once after close', async () => {
    group.chain.close();
    const { ms } = await timed(group.chain.tips().catch(() => undefined));
    expect(ms).toBeLessThan(SHORT_MS);
  });
});

describe('a broadcast', () => {
  const outcomes = {
    accepts: (server: HostileElectrum) => {
      server.methods.set('blockchain.transaction.broadcast', () => FUNDING.id);
    },
    knows: (server: HostileElectrum) => {
      showTransactions(server, [FUNDING]);
      server.methods.set('blockchain.transaction.broadcast', () => {
        throw new ServerFault('sendrawtransaction RPC error: {"code":-27,"message":"txn-already-known"}');
      });
    },
    conflict: (server: HostileElectrum) => {
      server.methods.set('blockchain.transaction.broadcast', () => {
        throw new ServerFault('sendrawtransaction RPC error: {"code":-26,"message":"txn-mempool-conflict"}');
      });
    },
    fee: (server: HostileElectrum) => {
      server.methods.set('blockchain.transaction.broadcast', () => {
        throw new ServerFault('min relay fee not met');
      });
    },
    silent: (server: HostileElectrum) => {
      server.methods.set('blockchain.transaction.broadcast', () => SILENCE);
    },
    lies: (server: HostileElectrum) => {
      server.methods.set('blockchain.transaction.broadcast', () => '66'.repeat(32));
    },
  };

  it.each([
    ['accepts', 'accepts', { kind: 'accepted' }],
    ['accepts', 'conflict', { kind: 'accepted' }],
    ['conflict', 'accepts', { kind: 'accepted' }],
    ['accepts', 'silent', { kind: 'accepted' }],
    ['silent', 'knows', { kind: 'accepted' }],
    ['conflict', 'conflict', { kind: 'rejected', reason: 'conflict' }],
    ['conflict', 'fee', { kind: 'rejected', reason: 'conflict' }],
    ['fee', 'conflict', { kind: 'rejected', reason: 'insufficient_fee' }],
    ['conflict', 'silent', { kind: 'rejected', reason: 'conflict' }],
    ['silent', 'fee', { kind: 'rejected', reason: 'insufficient_fee' }],
    ['silent', 'silent', { kind: 'unknown' }],
    ['lies', 'silent', { kind: 'unknown' }],
    ['lies', 'conflict', { kind: 'rejected', reason: 'conflict' }],
  ] as const)('where one %s and the other %s', async (first, second, expected) => {
    if (honest === undefined || other === undefined) throw new Error('two servers were started');
    outcomes[first](honest);
    outcomes[second](other);
    expect(await group.chain.broadcast(FUNDING.raw)).toMatchObject(expected);
    expect(group.servers.map((server) => countOf(server, 'blockchain.transaction.broadcast'))).toEqual([1, 1]);
  });

  it('accepted by one does not wait for one that is silent', async () => {
    if (honest === undefined || other === undefined) throw new Error('two servers were started');
    outcomes.accepts(honest);
    outcomes.silent(other);
    expect((await timed(group.chain.broadcast(FUNDING.raw))).ms).toBeLessThan(SHORT_MS);
  });

  it('reaches no server when it is no transaction', async () => {
    await expect(group.chain.broadcast(Buffer.of(1))).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(countOf(honest, 'blockchain.transaction.broadcast')).toBe(0);
  });
});

it('three servers: with one silent and one lying, the honest one still answers', async () => {
  await restart({ count: 3 });
  const [, silent, liar] = group.servers;
  showHistory(honest, [[FUNDING.id, 432]]);
  silent?.methods.set(HISTORY, () => SILENCE);
  showHistory(liar, []);
  expect(await group.chain.history(SCRIPT)).toEqual([{ txid: FUNDING.id, height: 0 }]);
  expect(group.chain.disagreement()).toContain(FUNDING.id);
});
