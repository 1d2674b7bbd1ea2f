/** An Esplora server that lies: passes requests on and changes the answers that a test wants changed. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An answer on its way to the client. */
export type Answer = { readonly status: number; readonly body: Buffer };

/** Changes answers whose path matches. */
export type Lie = {
  readonly path: RegExp;
  readonly tell: (answer: Answer, path: string) => Answer | Promise<Answer>;
};

export type EsploraProxy = {
  readonly url: string;
  /** Tells these lies from now on, and counts from 0. */
  lie(lies: readonly Lie[]): void;
  /** Lies told since the last call of `lie`. */
  told(): number;
  close(): Promise<void>;
};

export const text = (body: string, status = 200): Answer => ({ status, body: Buffer.from(body) });
export const json = (body: unknown): Answer => text(JSON.stringify(body));

/** The answer of a server to a GET. */
export async function ask(base: string, path: string): Promise<Answer> {
  const response = await fetch(base + path);
  return { status: response.status, body: Buffer.from(await response.arrayBuffer()) };
}

/** Passes on to the server at `base`; `close` must be called. */
export async function startEsploraProxy(base: string): Promise<EsploraProxy> {
  let lies: readonly Lie[] = [];
  let count = 0;
  const answer = async (response: ServerResponse, path: string): Promise<void> => {
    let truth = await ask(base, path);
    for (const { path: pattern, tell } of lies) {
      if (!pattern.test(path)) continue;
      count += 1;
      truth = await tell(truth, path);
    }
    response.writeHead(truth.status);
    response.end(truth.body);
  };
  const server = createServer((request, response) => {
    const path = request.url ?? '/';
    if (request.method === 'GET') {
      answer(response, path).catch(() => response.destroy());
      return;
    }
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      fetch(base + path, { method: 'POST', body: Buffer.concat(parts).toString() })
        .then(async (upstream) => {
          response.writeHead(upstream.status);
          response.end(await upstream.text());
        })
        .catch(() => response.destroy());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, // a TCP server that listens has one
    lie: (next) => {
      lies = next;
      count = 0;
    },
    told: () => count,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}
