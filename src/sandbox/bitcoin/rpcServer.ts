/** JSON-RPC over HTTP with basic authentication, as bitcoind serves it. Bad input is answered, never fatal. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { ServerResponse } from 'node:http';

import { z } from 'zod';

import type { BitcoinChain } from './chain.js';
import { collectBody, listenHttp, type HttpAddress, type HttpServer } from './httpServer.js';
import { callBitcoinRpc } from './rpc.js';
import { BitcoinRpcError, RPC_CODES } from './rpcError.js';

/** A transaction of the greatest size in hex, with room for a batch. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;

const callSchema = z.object({
  id: z.unknown().optional(),
  method: z.string(),
  params: z.array(z.unknown()).nullish(),
});
const CALL_SHAPE = 'expected an object with method (string) and params (array)';

type Answer = { result: unknown; error: { code: number; message: string } | null; id: unknown };

export type BitcoinRpcOptions = HttpAddress & {
  readonly user: string;
  readonly password: string;
  /** Told about bugs; a caller sees -32603. */
  readonly onError?: (error: unknown) => void;
};

/** Serves a chain. Rejects if the address cannot be bound. */
export async function listenBitcoinRpc(chain: BitcoinChain, options: BitcoinRpcOptions): Promise<HttpServer> {
  const expected = digest(`Basic ${Buffer.from(`${options.user}:${options.password}`).toString('base64')}`);
  return await listenHttp(options, (request, response) => {
    const done = (body: Buffer): void => {
      respond(response, ...handleBody(chain, body, options.onError));
    };
    if (request.method !== 'POST') respond(response, 405, 'JSONRPC server handles only POST requests');
    else if (!timingSafeEqual(digest(request.headers.authorization ?? ''), expected)) {
      response.setHeader('WWW-Authenticate', 'Basic realm="jsonrpc"');
      respond(response, 401, '');
    } else collectBody(request, response, { maxBytes: MAX_BODY_BYTES, done });
  });
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

function respond(response: ServerResponse, status: number, body: unknown): void {
  const isText = typeof body === 'string';
  response.writeHead(status, { 'Content-Type': isText ? 'text/plain' : 'application/json' });
  response.end(isText ? body : `${JSON.stringify(body)}\n`);
}

function handleBody(
  chain: BitcoinChain,
  body: Buffer,
  onError: BitcoinRpcOptions['onError'],
): [status: number, answer: Answer | Answer[]] {
  let request: unknown;
  try {
    request = JSON.parse(body.toString('utf8'));
  } catch {
    return [500, failure(null, RPC_CODES.parse, 'Parse error')];
  }
  if (Array.isArray(request)) return [200, request.map((call) => handleCall(chain, call, onError))];
  const answer = handleCall(chain, request, onError);
  return [statusOf(answer), answer];
}

function handleCall(chain: BitcoinChain, request: unknown, onError: BitcoinRpcOptions['onError']): Answer {
  const call = callSchema.safeParse(request);
  if (!call.success) return failure(null, RPC_CODES.invalidRequest, `Invalid Request object: ${CALL_SHAPE}`);
  const { id = null, method, params } = call.data;
  try {
    return { result: callBitcoinRpc(chain, method, params ?? []), error: null, id };
  } catch (error) {
    if (error instanceof BitcoinRpcError) return failure(id, error.rpcCode, error.message);
    onError?.(error);
    return failure(id, -32603, 'Internal error');
  }
}

const failure = (id: unknown, code: number, message: string): Answer => ({
  result: null,
  error: { code, message },
  id,
});

function statusOf({ error }: Answer): number {
  if (error === null) return 200;
  if (error.code === RPC_CODES.invalidRequest) return 400;
  return error.code === RPC_CODES.methodNotFound ? 404 : 500;
}
