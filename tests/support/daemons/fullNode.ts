/** What a real Bitcoin node offers to the programs on top of it, and a plain client of its JSON-RPC. */
import { z } from 'zod';

import { makeHttpClient, type HttpClient } from '../../../src/lnnode/chain/http.js';
import type { ChainProgram, Place } from '../programStage.js';
import type { RpcCall } from './miner.js';

export type FullNodeLogin = ChainProgram['endpoints']['bitcoind'];

/** Where it starts: on a stage, or, with nothing else, in the hands of a test that stops it. */
export type FullNodePlace = Pick<Place, 'dir'> & Partial<Place>;

/** A Bitcoin node as a process, with a chain on which segwit is active and coins are to be had. */
export type FullNode = ChainProgram & {
  /** How lnd is told to use it. */
  readonly lndFlags: readonly string[];
  readonly logFile: string;
  /** Any method, e.g. `invalidateblock`. @throws Error with the server's words */
  readonly call: RpcCall;
  /** Stops the process in its tracks, or lets it go on. */
  freeze(isFrozen: boolean): void;
  stop(): Promise<void>;
};

const answerSchema = z.object({
  result: z.unknown(),
  error: z.object({ code: z.number(), message: z.string() }).nullish(),
});

/** Reads the certificate at the first call, when the server has written it. */
export function makeRpc({ url, user, password, caFile }: FullNodeLogin): { call: RpcCall; close: () => void } {
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  let client: HttpClient | undefined;
  return {
    call: async (method, ...params) => {
      client ??= makeHttpClient({ url, caFile, headers: { authorization, 'content-type': 'application/json' } });
      const { body, status } = await client.call('POST', '', JSON.stringify({ jsonrpc: '1.0', id: 1, method, params }));
      const text = body.toString('utf8');
      if (!text.startsWith('{')) throw new Error(`${method}: HTTP status ${status}`);
      const { result, error } = answerSchema.parse(JSON.parse(text));
      if (error) throw new Error(`${method}: ${error.message} (${error.code})`);
      return result;
    },
    close: () => client?.close(),
  };
}
