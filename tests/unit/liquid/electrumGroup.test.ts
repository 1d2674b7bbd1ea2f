import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { blockHeight, outpoint, txid, type Txid } from '../../../src/core/units.js';
import { scripthash } from '../../../src/liquid/electrumAnswers.js';
import {
  forkedHeader,
  SCRIPT,
  showHistory,
  showTip,
  showTransactions,
  showUnspent,
  startGroup,
  transactionOf,
  withWitness,
  type Group,
} from '../../support/electrumGroup.js';
import { eventually } from '../../support/eventually.js';
import { headerVector, ServerFault, SILENCE, type HostileElectrum } from '../../support/hostileElectrum.js';

const FUNDING = transactionOf(0);
const SPEND = transactionOf(1);
const H = (height: number) => blockHeight(height);

let group: Group;
let honest: HostileElectrum | undefined;
let other: HostileElectrum | undefined;

async function restart(prepare: (first?: HostileElectrum, second?: HostileElectrum) => void): Promise<void> {
  await group.close();
  group = await startGroup({
    count: 2,
    prepare: ([first, second]) => {
      prepare(first, second);
    },
  });
  [honest, other] = group.servers;
}

beforeEach(async () => {
  group = await startGroup({ count: 2 });
  [honest, other] = group.servers;
});
afterEach(async () => {
  await group.close();
});

describe('the tips', () => {
  it('of two servers on one chain are told both, and the highest counts', async () => {
    await restart((_first, second) => {
      showTip(second, headerVector(432));
    });
    expect((await group.chain.tips()).map((tip) => tip.height)).toEqual([433, 432]);
    expect(await group.chain.tip()).toMatchObject({ height: 433 });
    expect(group.chain.disagreement()).toBeUndefined();
  });

  it('of a fork at the same height are a disagreement, logged once, until the servers agree again', async () => {
    await restart((_first, second) => {
      showTip(second, forkedHeader(433));
    });
    expect(await group.chain.tips()).toHaveLength(2);
    expect(group.chain.disagreement()).toMatch(new RegExp(`block 433: ${honest?.url} shows .*, ${other?.url} shows`));
    await group.chain.tips();
    expect(group.errors()).toHaveLength(1);
    showTip(other, headerVector(433));
    await eventually('agreement', async () => {
      await group.chain.tips();
      return group.chain.disagreement() === undefined;
    });
  });

  it('of a fork below are a disagreement: whoever is ahead must have the block of the last one', async () => {
    await restart((_first, second) => {
      showTip(second, forkedHeader(432));
    });
    await group.chain.tips();
    expect(group.chain.disagreement()).toContain('block 432');
  });

  it('of a server that is ahead and does not show the block of the other are a disagreement', async () => {
    await restart((first, second) => {
      showTip(first, headerVector(432));
      second?.methods.set('blockchain.block.header', () => {
        throw new ServerFault('missing header');
      });
    });
    await group.chain.tips();
    expect(group.chain.disagreement()).toContain('shows nothing');
  });

  it('that were compared once cost no request', async () => {
    await restart((_first, second) => {
      showTip(second, headerVector(432));
    });
    await group.chain.tips();
    const before = group.servers.map(({ requests }) => requests.length);
    for (let i = 0; i < 20; i += 1) await group.chain.tips();
    expect(group.servers.map(({ requests }) => requests.length)).toEqual(before);
  });
});

describe('a block', () => {
  it('is told when both show the same one, asked anew each time', async () => {
    expect(await group.chain.blockAt(H(432))).toMatchObject({ height: 432, hash: headerVector(432).hash });
    await group.chain.blockAt(H(432));
    const asked = honest?.requests.filter(({ method }) => method === 'blockchain.block.header');
    expect(asked).toHaveLength(2);
  });

  it('that differs is unavailable and a disagreement, gone when it is asked again in agreement', async () => {
    showTip(other, forkedHeader(432));
    await expect(group.chain.blockAt(H(432))).rejects.toMatchObject({ code: 'chain_unavailable' });
    expect(group.chain.disagreement()).toContain('block 432');
    showTip(other, headerVector(432));
    await group.chain.blockAt(H(432));
    expect(group.chain.disagreement()).toBeUndefined();
  });

  it('that only one server still shows does not end a disagreement', async () => {
    showTip(other, forkedHeader(432));
    await expect(group.chain.blockAt(H(432))).rejects.toMatchObject({ code: 'chain_unavailable' });
    await other?.close();
    await eventually('it is gone', async () => (await group.chain.tips()).length === 1);
    expect((await group.chain.blockAt(H(432))).hash).toBe(headerVector(432).hash);
    expect(group.chain.disagreement()).toContain('block 432');
  });

  it('0 must be the same at all servers', async () => {
    other?.methods.set('blockchain.block.header', () => forkedHeader(0).hex);
    await expect(group.chain.genesisHash()).rejects.toMatchObject({ code: 'chain_unavailable' });
  });
});

describe('a history', () => {
  const heights = async (): Promise<Map<Txid, number>> => {
    const entries = await group.chain.history(SCRIPT);
    return new Map(entries.map((entry) => [entry.txid, entry.height]));
  };

  it('that both show is told as it is, confirmed ones first', async () => {
    for (const server of group.servers) {
      showHistory(server, [
        [FUNDING.id, 432],
        [SPEND.id, 0],
      ]);
    }
    expect(await group.chain.history(SCRIPT)).toEqual([
      { txid: FUNDING.id, height: 432 },
      { txid: SPEND.id, height: 0 },
    ]);
    expect(group.chain.disagreement()).toBeUndefined();
  });

  it('shows a spend that one server withholds, and the output is not unspent then', async () => {
    showHistory(honest, [
      [FUNDING.id, 430],
      [SPEND.id, 0],
    ]);
    showHistory(other, [[FUNDING.id, 430]]);
    showUnspent(honest, []);
    showUnspent(other, [[FUNDING.id, 430]]);
    expect(await heights()).toEqual(
      new Map([
        [FUNDING.id, 430],
        [SPEND.id, 0],
      ]),
    );
    expect(await group.chain.unspent(SCRIPT)).toEqual([]);
    expect(group.chain.disagreement()).toBeUndefined();
  });

  it('with a confirmed spend that one server withholds is a disagreement that names script, transaction and servers', async () => {
    showHistory(honest, [[SPEND.id, 430]]);
    expect((await heights()).get(SPEND.id)).toBe(0);
    const sentence = group.chain.disagreement() ?? '';
    for (const part of [SCRIPT.toString('hex'), SPEND.id, honest?.url ?? '', other?.url ?? '']) {
      expect(sentence).toContain(part);
    }
    await heights();
    expect(group.errors()).toHaveLength(1);
  });

  it('with a confirmed transaction that only a liar shows does not confirm it', async () => {
    showHistory(other, [[SPEND.id, 400]]);
    expect((await heights()).get(SPEND.id)).toBe(0);
    expect(group.chain.disagreement()).toContain(`${other?.url} shows ${SPEND.id} in block 400`);
  });

  it.each([
    [-1, 0, true],
    [0, 0, true],
    [431, 0, true],
    [434, 0, true],
    [433 + 1_000_000, 0, true],
    [432, 432, false],
  ])(
    'with height %i from one server where the other says 432 of 433 counts as %i',
    async (lie, expected, isContradiction) => {
      showHistory(honest, [[FUNDING.id, 432]]);
      showHistory(other, [[FUNDING.id, lie]]);
      expect((await heights()).get(FUNDING.id)).toBe(expected);
      expect(group.chain.disagreement() !== undefined).toBe(isContradiction);
    },
  );

  it.each([
    [-1, -1],
    [0, 0],
    [434, 0],
    [433 + 1_000_000, 0],
  ])('with height %i from one server alone counts as %i and is no disagreement', async (height, expected) => {
    showHistory(other, [[FUNDING.id, height]]);
    expect((await heights()).get(FUNDING.id)).toBe(expected);
    expect(group.chain.disagreement()).toBeUndefined();
  });

  it('confirmed in the newest block by one server only is not confirmed yet, and no disagreement', async () => {
    showHistory(honest, [[FUNDING.id, 433]]);
    showHistory(other, [[FUNDING.id, 0]]);
    expect((await heights()).get(FUNDING.id)).toBe(0);
    expect(group.chain.disagreement()).toBeUndefined();
  });

  it('confirmed in a block that only one server has is not confirmed yet, and no disagreement', async () => {
    await restart((first, second) => {
      showTip(second, headerVector(432));
      showHistory(first, [[FUNDING.id, 433]]);
      showHistory(second, [[FUNDING.id, 0]]);
    });
    expect((await heights()).get(FUNDING.id)).toBe(0);
    expect(group.chain.disagreement()).toBeUndefined();
  });

  it('agreed about again ends the disagreement, also when only the tips are asked for', async () => {
    showHistory(honest, [[SPEND.id, 430]]);
    await heights();
    showHistory(other, [[SPEND.id, 430]]);
    await eventually('agreement', async () => {
      await group.chain.tips();
      return group.chain.disagreement() === undefined;
    });
  });

  it('remembered a moment too long is no disagreement: it is asked for again first', async () => {
    group.chain.subscribe(SCRIPT);
    await group.chain.blockAt(H(0)); // answered behind the subscriptions
    await heights();
    for (const server of group.servers) showHistory(server, [[FUNDING.id, 430]]);
    group.changes.length = 0;
    for (const connection of honest?.connections ?? []) {
      connection.notify('blockchain.scripthash.subscribe', [scripthash(SCRIPT), 'ab']);
    }
    await eventually('one server tells', () => group.changes.some(({ kind }) => kind === 'script'));
    expect((await heights()).get(FUNDING.id)).toBe(430);
    expect(group.errors()).toEqual([]);
  });

  it('that only one server still tells does not end a disagreement', async () => {
    showHistory(honest, [[SPEND.id, 430]]);
    await heights();
    await other?.close();
    await eventually('it is gone', async () => (await group.chain.tips()).length === 1);
    await heights();
    expect(group.chain.disagreement()).toContain(SPEND.id);
  });

  it('of a script that nobody watches any more is no disagreement', async () => {
    showHistory(honest, [[SPEND.id, 430]]);
    await heights();
    group.chain.unsubscribe(SCRIPT);
    expect(group.chain.disagreement()).toBeUndefined();
  });

  it('too long for one server comes from the other, too long for both is refused as that', async () => {
    const tooLong = (): never => {
      throw new ServerFault('Too many history entries');
    };
    showHistory(honest, [[FUNDING.id, 432]]);
    other?.methods.set('blockchain.scripthash.get_history', tooLong);
    expect((await heights()).get(FUNDING.id)).toBe(432);
    honest?.methods.set('blockchain.scripthash.get_history', tooLong);
    await expect(heights()).rejects.toMatchObject({ code: 'history_too_long' });
  });
});

describe('an unspent output', () => {
  it('counts when every server shows it; a height only when they agree', async () => {
    showUnspent(honest, [
      [FUNDING.id, 432],
      [SPEND.id, 0],
    ]);
    showUnspent(other, [[FUNDING.id, 432]]);
    expect(await group.chain.unspent(SCRIPT)).toEqual([{ outpoint: outpoint(FUNDING.id, 0), height: 432 }]);
    showUnspent(other, [[FUNDING.id, 431]]);
    expect(await group.chain.unspent(SCRIPT)).toEqual([{ outpoint: outpoint(FUNDING.id, 0), height: 0 }]);
  });
});

describe('a transaction', () => {
  it('comes from whichever server has it', async () => {
    showTransactions(honest, []);
    showTransactions(other, [FUNDING]);
    expect(await group.chain.transaction(FUNDING.id)).toEqual(FUNDING.raw);
    expect(await group.chain.transaction(SPEND.id)).toBeUndefined();
  });

  it('with wrong bytes from one server comes from the other', async () => {
    showTransactions(honest, [FUNDING]);
    other?.methods.set('blockchain.transaction.get', () => SPEND.raw.toString('hex'));
    for (let i = 0; i < 5; i += 1) expect(await group.chain.transaction(FUNDING.id)).toEqual(FUNDING.raw);
  });

  it('comes from the server that shows the witness that the caller looks for: no txid covers it', async () => {
    const stripped = { ...FUNDING, raw: FUNDING.raw };
    const whole = { ...FUNDING, raw: withWitness(FUNDING.raw, Buffer.alloc(32, 7)) };
    showTransactions(honest, [stripped]);
    const answer = (): string => whole.raw.toString('hex');
    other?.methods.set('blockchain.transaction.get', (_params, { socket }) => {
      const id = other?.requests.at(-1)?.id;
      setTimeout(() => socket.write(`${JSON.stringify({ id, result: answer() })}\n`), 50); // later than the other
      return SILENCE;
    });
    const fits = (raw: Buffer): boolean => raw.includes(Buffer.alloc(32, 7));
    expect(await group.chain.transaction(FUNDING.id, { fits })).toEqual(whole.raw);
    expect(await group.chain.transaction(FUNDING.id)).toEqual(stripped.raw);
    expect(await group.chain.transaction(FUNDING.id, { fits: () => false })).toBeDefined();
  });

  it('that one server does not answer about is missing if the other says so', async () => {
    showTransactions(honest, []);
    other?.methods.set('blockchain.transaction.get', () => null);
    expect(await group.chain.transaction(FUNDING.id)).toBeUndefined();
  });
});

describe('a proof of inclusion', () => {
  /** The only transaction of a block is its merkle root. */
  const rootOf = (header: { hex: string }): Txid =>
    txid(Buffer.from(header.hex, 'hex').subarray(36, 68).reverse().toString('hex'));
  const ID = rootOf(headerVector(433));
  const prove = (server: HostileElectrum | undefined): void => {
    server?.methods.set('blockchain.transaction.get_merkle', ([, height]) => ({
      block_height: height,
      merkle: [],
      pos: 0,
    }));
  };

  it('counts when both give it', async () => {
    group.servers.forEach(prove);
    expect(await group.chain.proveInclusion(ID, H(433))).toBe(headerVector(433).hash);
  });

  it('that one server cannot give is none', async () => {
    prove(honest);
    await expect(group.chain.proveInclusion(ID, H(433))).rejects.toMatchObject({ code: 'chain_unavailable' });
    prove(other);
    showTip(other, forkedHeader(433));
    await expect(group.chain.proveInclusion(ID, H(433))).rejects.toMatchObject({ code: 'chain_unavailable' });
  });

  it('into another block at one server is none and a disagreement', async () => {
    group.servers.forEach(prove);
    const fork = Buffer.from(headerVector(433).hex, 'hex');
    fork.writeUInt8(fork.readUInt8(4) ^ 1, 4); // another parent, the same transactions
    showTip(other, { height: 433, hex: fork.toString('hex') });
    await expect(group.chain.proveInclusion(ID, H(433))).rejects.toMatchObject({ code: 'chain_unavailable' });
    expect(group.chain.disagreement()).toContain('block 433');
  });

  it('is not asked of a server that has not reached the block', async () => {
    await restart((first, second) => {
      prove(first);
      showTip(second, headerVector(432));
    });
    expect(await group.chain.proveInclusion(ID, H(433))).toBe(headerVector(433).hash);
    await expect(group.chain.proveInclusion(ID, H(505))).rejects.toMatchObject({ code: 'chain_unavailable' });
  });
});

it('the fee rate is the highest of those that answer', async () => {
  honest?.methods.set('blockchain.relayfee', () => 0.000002);
  other?.methods.set('blockchain.relayfee', () => 0.000005);
  expect(await group.chain.feeRate()).toBe(500n);
  other?.methods.set('blockchain.relayfee', () => null);
  expect(await group.chain.feeRate()).toBe(200n);
});
