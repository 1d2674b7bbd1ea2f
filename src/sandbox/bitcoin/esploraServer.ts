/** The Esplora API of a chain over HTTP. Bad input is answered, never fatal. */
import type { IncomingMessage, ServerResponse } from 'node:http';

import type { BitcoinChain } from './chain.js';
import { esploraBroadcast, esploraGet, type EsploraAnswer } from './esplora.js';
import { EsploraIndex } from './esploraIndex.js';
import { collectBody, listenHttp, type HttpAddress, type HttpServer } from './httpServer.js';

/** A transaction of the greatest size in hex. */
const MAX_BODY_BYTES = 2 * 1024 * 1024;

export type EsploraOptions = HttpAddress & {
  /** Satoshi per virtual byte by confirmation target; a regtest chain has none by itself. */
  readonly feeEstimates?: () => Readonly<Record<string, number>>;
  /** Told about bugs; a caller sees status 500. */
  readonly onError?: (error: unknown) => void;
};

/** Serves a chain. Rejects if the address cannot be bound. */
export async function listenEsplora(chain: BitcoinChain, options: EsploraOptions): Promise<HttpServer> {
  const view = { chain, index: new EsploraIndex(chain), feeEstimates: options.feeEstimates ?? (() => ({})) };
  const answerOf = ({ method, url = '/' }: IncomingMessage, body: string): EsploraAnswer => {
    if (method === 'GET') return esploraGet(view, url);
    if (method === 'POST' && url === '/tx') return esploraBroadcast(view, body.trim());
    return { status: 405, body: 'Method not allowed' };
  };
  return await listenHttp(options, (request, response) => {
    const done = (body: Buffer): void => {
      try {
        respond(response, answerOf(request, body.toString('utf8')));
      } catch (error) {
        options.onError?.(error);
        respond(response, { status: 500, body: 'Internal error' });
      }
    };
    collectBody(request, response, { maxBytes: MAX_BODY_BYTES, done });
  });
}

function respond(response: ServerResponse, { status, body }: EsploraAnswer): void {
  const isBytes = Buffer.isBuffer(body);
  const type = isBytes ? 'application/octet-stream' : typeof body === 'string' ? 'text/plain' : 'application/json';
  response.writeHead(status, { 'Content-Type': type });
  response.end(isBytes || typeof body === 'string' ? body : JSON.stringify(body));
}
