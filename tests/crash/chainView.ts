/**
 * The Liquid chain as the judge sees it: every transaction of every block, read from the Electrum server without any of
 * the code that is judged.
 */
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

import type { Transaction } from 'liquidjs-lib';
import { z } from 'zod';

import { parseTransaction } from '../../src/core/tx.js';
import { displayHex } from '../../src/core/units.js';

export type MinedTx = { readonly txid: string; readonly height: number; readonly tx: Transaction };

export type ChainView = {
  /** Reads the blocks that came since. There are no reorganisations in these worlds. */
  readonly refresh: () => Promise<void>;
  readonly height: () => number;
  /** Confirmations; 0 if no block has it. */
  readonly confs: (txid: string) => number;
  readonly mined: (txid: string) => MinedTx | undefined;
  /** The mined transaction that spends an output. */
  readonly spender: (txid: string, vout: number) => MinedTx | undefined;
  /** Mined transactions above a height, coinbases left out. */
  readonly minedSince: (height: number) => readonly MinedTx[];
};

const answerSchema = z.object({ id: z.number(), result: z.unknown().optional(), error: z.unknown().optional() });
const tipSchema = z.object({ height: z.int() });

/** Outpoint of an input as a key. */
const spentKey = (input: { readonly hash: Uint8Array; readonly index: number }): string =>
  `${displayHex(input.hash)}:${input.index}`;

type Server = {
  /** @returns undefined where the server answers with an error. @throws Error when the connection is lost. */
  readonly ask: (method: string, params: unknown[]) => Promise<unknown>;
  readonly close: () => void;
};

/** One request after the other over a connection of its own. */
function openServer(host: string, port: number): Server {
  const socket = connect(port, host);
  const waiting = new Map<number, (result: unknown) => void>();
  const lost = new Promise<never>((_, reject) => {
    socket.once('close', () => {
      reject(new Error('the chain view lost its server'));
    });
  });
  lost.catch(() => undefined); // awaited with each request
  socket.on('error', () => socket.destroy());
  const lines = createInterface({ input: socket });
  lines.on('error', () => socket.destroy()); // it repeats the socket's
  lines.on('line', (line) => {
    const answer = answerSchema.safeParse(JSON.parse(line));
    if (!answer.success) return; // a notification
    waiting.get(answer.data.id)?.(answer.data.error === undefined ? answer.data.result : undefined);
    waiting.delete(answer.data.id);
  });
  let next = 0;
  return {
    ask: (method, params) => {
      const id = next++;
      const answer = new Promise((resolve) => {
        waiting.set(id, resolve);
        socket.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
      });
      return Promise.race([answer, lost]);
    },
    close: () => socket.destroy(),
  };
}

export function openChainView({ host, port }: { readonly host: string; readonly port: number }): ChainView {
  const byTxid = new Map<string, MinedTx>();
  const spenders = new Map<string, MinedTx>();
  let tip = 0;

  const add = async (server: Server, txid: string, height: number): Promise<void> => {
    const raw = z.string().parse(await server.ask('blockchain.transaction.get', [txid, false]));
    const mined: MinedTx = { txid, height, tx: parseTransaction(Buffer.from(raw, 'hex')) };
    byTxid.set(txid, mined);
    for (const input of mined.tx.ins) spenders.set(spentKey(input), mined);
  };
  const readBlock = async (server: Server, height: number): Promise<void> => {
    for (let position = 1; ; position += 1) {
      const txid = await server.ask('blockchain.transaction.id_from_pos', [height, position, false]);
      if (typeof txid !== 'string') return;
      await add(server, txid, height);
    }
  };
  return {
    refresh: async () => {
      const server = openServer(host, port);
      try {
        const { height } = tipSchema.parse(await server.ask('blockchain.headers.subscribe', []));
        while (tip < height) {
          await readBlock(server, tip + 1);
          tip += 1;
        }
      } finally {
        server.close();
      }
    },
    height: () => tip,
    confs: (txid) => {
      const found = byTxid.get(txid);
      return found === undefined ? 0 : tip - found.height + 1;
    },
    mined: (txid) => byTxid.get(txid),
    spender: (txid, vout) => spenders.get(`${txid}:${vout}`),
    minedSince: (height) => [...byTxid.values()].filter((each) => each.height > height),
  };
}
