/** The Esplora API of a chain over HTTP. Bad input is answered, never fatal. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { BitcoinChain } from './chain.js';
import { esploraBroadcast, esploraGet, type EsploraAnswer } from './esplora.js';
import { EsploraIndex } from './esploraIndex.js';

/** A transaction of the greatest size in hex. */
const MAX_BODY_BYTES = 2 * 1024 * 1024;
const REQUEST_TIMEOUT_MS = 30_000;

export type EsploraOptions = {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Satoshi per virtual byte by confirmation target; a regtest chain has none by itself. */
  readonly feeEstimates?: () => Readonly<Record<string, number>>;
  /** Told about bugs; a caller sees status 500. */
  readonly onError?: (error: unknown) => void;
};

export type EsploraServer = {
  readonly port: number;
  /** Ends every connection. */
  close(): Promise<void>;
};

/** Serves a chain. Rejects if the address cannot be bound. */
export async function listenEsplora(chain: BitcoinChain, options: EsploraOptions): Promise<EsploraServer> {
  const view = { chain, index: new EsploraIndex(chain), feeEstimates: options.feeEstimates ?? (() => ({})) };
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    const answer = (body: string): void => {
      try {
        respond(response, answerOf(request, body));
      } catch (error) {
        options.onError?.(error);
        respond(response, { status: 500, body: 'Internal error' });
      }
    };
    collectBody(request, response, answer);
  });
  const answerOf = ({ method, url = '/' }: IncomingMessage, body: string): EsploraAnswer => {
    if (method === 'GET') return esploraGet(view, url);
    if (method === 'POST' && url === '/tx') return esploraBroadcast(view, body.trim());
    return { status: 405, body: 'Method not allowed' };
  };
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port, // a TCP server that listens has one
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

function collectBody(request: IncomingMessage, response: ServerResponse, done: (body: string) => void): void {
  const parts: Buffer[] = [];
  let bytes = 0;
  request.on('data', (part: Buffer) => {
    bytes += part.length;
    if (bytes <= MAX_BODY_BYTES) parts.push(part);
    else if (!response.headersSent) {
      response.setHeader('Connection', 'close');
      respond(response, { status: 413, body: `expected at most ${MAX_BODY_BYTES} bytes` });
      request.destroy();
    }
  });
  request.on('error', () => response.destroy());
  request.on('end', () => {
    if (!response.headersSent) done(Buffer.concat(parts).toString('utf8'));
  });
}

function respond(response: ServerResponse, { status, body }: EsploraAnswer): void {
  const isBytes = Buffer.isBuffer(body);
  const type = isBytes ? 'application/octet-stream' : typeof body === 'string' ? 'text/plain' : 'application/json';
  response.writeHead(status, { 'Content-Type': type });
  response.end(isBytes || typeof body === 'string' ? body : JSON.stringify(body));
}
