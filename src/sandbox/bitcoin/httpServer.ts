/** What the servers of a chain share: their socket, and bodies that are not too long. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const REQUEST_TIMEOUT_MS = 30_000;

export type HttpServer = {
  readonly port: number;
  /** Ends every connection. */
  close(): Promise<void>;
};

/** Where to listen; port 0 lets the system choose. */
export type HttpAddress = { readonly host: string; readonly port: number };

/** Rejects if the address cannot be bound. */
export async function listenHttp(
  { host, port }: HttpAddress,
  onRequest: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<HttpServer> {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, onRequest);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
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

/** Hands over the whole body; one of more bytes is answered with status 413 and the connection ended. */
export function collectBody(
  request: IncomingMessage,
  response: ServerResponse,
  { maxBytes, done }: { readonly maxBytes: number; readonly done: (body: Buffer) => void },
): void {
  const parts: Buffer[] = [];
  let bytes = 0;
  request.on('data', (part: Buffer) => {
    bytes += part.length;
    if (bytes <= maxBytes) parts.push(part);
    else if (!response.headersSent) {
      response.writeHead(413, { 'Content-Type': 'text/plain', Connection: 'close' });
      response.end(`body: expected at most ${maxBytes} bytes`);
      request.destroy();
    }
  });
  request.on('error', () => response.destroy());
  request.on('end', () => {
    if (!response.headersSent) done(Buffer.concat(parts));
  });
}
