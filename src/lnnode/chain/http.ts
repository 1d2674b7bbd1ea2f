/** Short HTTP calls to one server, with a time limit and a limit of size. */
import { readFileSync } from 'node:fs';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

const TIMEOUT_MS = 10_000;
/** A full block in hex, with room. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;

export type HttpAnswer = { readonly status: number; readonly body: Buffer };

export type HttpClient = {
  /** `path` is appended to the server's URL. */
  readonly call: (method: 'GET' | 'POST', path: string, body?: string) => Promise<HttpAnswer>;
  readonly close: () => void;
};

export type HttpOptions = {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** PEM certificate of the server, for https with its own certificate. */
  readonly caFile?: string | undefined;
  /** Greatest answer, bytes. */
  readonly maxBytes?: number;
};

/** Connects lazily and keeps connections open. */
export function makeHttpClient({ url, headers = {}, caFile, maxBytes = MAX_BODY_BYTES }: HttpOptions): HttpClient {
  const base = url.replace(/\/+$/, '');
  const isTls = url.startsWith('https:');
  const ca = caFile === undefined ? undefined : readFileSync(caFile);
  const agent = isTls ? new HttpsAgent({ keepAlive: true, ...(ca && { ca }) }) : new HttpAgent({ keepAlive: true });
  const request = isTls ? httpsRequest : httpRequest;
  const call: HttpClient['call'] = (method, path, body) =>
    new Promise((resolve, reject) => {
      const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
      const target = new URL(base + path);
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const sent = request(target, { method, agent, headers: { ...headers, ...length }, signal });
      sent.on('error', reject);
      sent.on('response', (response) => {
        const parts: Buffer[] = [];
        let size = 0;
        response.on('error', reject);
        response.on('data', (part: Buffer) => {
          size += part.length;
          if (size > maxBytes) response.destroy(new Error(`answer larger than ${maxBytes} bytes`));
          else parts.push(part);
        });
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts) });
        });
      });
      sent.end(body);
    });
  return {
    call,
    close: () => {
      agent.destroy();
    },
  };
}
