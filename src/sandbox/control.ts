/**
 * The control protocol of a running world: one JSON request and one JSON answer a line, over a unix socket.
 *
 * A request that cannot be understood gets an error answer; nothing a client sends ends the world.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { chmodSync, rmSync } from 'node:fs';

import { z } from 'zod';

import { problemOf, WorldError, type WorldErrorCode } from './problem.js';

/** Names of the programs of a world. */
export const PROCESS_NAMES = ['swapd', 'lnnoded-seller', 'lnnoded-buyer'] as const;
export type ProcessName = (typeof PROCESS_NAMES)[number];

/** Most blocks of one request. */
export const MAX_BLOCKS = 10_000;
const MAX_LINE_BYTES = 64 * 1024;

const chain = z.enum(['liquid', 'bitcoin']);
const blocks = z.int().min(1).max(MAX_BLOCKS);
const name = z.enum(PROCESS_NAMES);
/** Whole units as people write them, e.g. "0.5". */
const amount = z.string().min(1).max(40);

const controlRequestSchema = z.discriminatedUnion('command', [
  z.strictObject({ command: z.literal('status') }),
  z.strictObject({ command: z.literal('mine'), chain, blocks }),
  z.strictObject({
    command: z.literal('reorg'),
    chain,
    blocks,
    /** Liquid only: the transactions of the lost blocks and of the mempool vanish. */
    drop: z.boolean().optional(),
  }),
  z.strictObject({
    command: z.literal('faucet'),
    address: z.string().min(1).max(200),
    amount,
    /** Ticker or asset id; without it the coin of the address's chain. */
    asset: z.string().min(1).max(64).optional(),
  }),
  z.strictObject({
    command: z.literal('issue'),
    ticker: z.string().regex(/^[A-Z][A-Za-z0-9.-]{1,9}$/, 'a ticker of 2 to 10 letters and digits'),
    amount,
    precision: z.int().min(0).max(8),
  }),
  z.strictObject({ command: z.literal('start'), name }),
  z.strictObject({ command: z.literal('stop'), name }),
  z.strictObject({ command: z.literal('kill'), name }),
  z.strictObject({ command: z.literal('floor'), sat_per_kvb: z.int().min(0).max(1_000_000) }),
  z.strictObject({ command: z.literal('auto'), chain, block_secs: z.int().min(0).max(86_400) }),
]);

/** A request as it travels. */
export type ControlRequest = z.output<typeof controlRequestSchema>;
/** A result as it travels: snake_case, big integers as text. */
export type ControlResult = Readonly<Record<string, unknown>>;
/** An answer as it travels. */
type ControlAnswer =
  | { readonly ok: true; readonly result: ControlResult }
  | { readonly ok: false; readonly error: { readonly code: WorldErrorCode; readonly message: string } };

export type ControlServer = { close(): Promise<void> };

/** Serves the socket; a dead socket file of an earlier run is replaced. */
export async function listenControl(
  path: string,
  handle: (request: ControlRequest) => Promise<ControlResult>,
): Promise<ControlServer> {
  rmSync(path, { force: true });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    serveLines(socket, handle);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  return { close: () => close(server, sockets) };
}

function close(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
    for (const socket of sockets) socket.destroy();
  });
}

/** Answers the requests of one connection in their order. */
function serveLines(socket: Socket, handle: (request: ControlRequest) => Promise<ControlResult>): void {
  let rest = Buffer.alloc(0);
  let queue = Promise.resolve();
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      const line = rest.subarray(0, end).toString('utf8');
      rest = rest.subarray(end + 1);
      queue = queue.then(async () => {
        const answer = await answerTo(line, handle);
        if (socket.writable) socket.write(`${JSON.stringify(answer)}\n`);
      });
    }
    if (rest.length > MAX_LINE_BYTES) {
      socket.end(`${JSON.stringify(refusal(`expected a line of at most ${MAX_LINE_BYTES} bytes`))}\n`);
      rest = Buffer.alloc(0);
    }
  });
}

async function answerTo(
  line: string,
  handle: (request: ControlRequest) => Promise<ControlResult>,
): Promise<ControlAnswer> {
  let request: unknown;
  try {
    request = JSON.parse(line);
  } catch {
    return refusal('request: expected one JSON object a line, found something else');
  }
  const parsed = controlRequestSchema.safeParse(request, { reportInput: true });
  if (!parsed.success) return refusal(describe(parsed.error));
  try {
    return { ok: true, result: await handle(parsed.data) };
  } catch (error) {
    return { ok: false, error: problemOf(error) };
  }
}

const refusal = (message: string): ControlAnswer => ({ ok: false, error: { code: 'invalid_argument', message } });

function describe(error: z.ZodError): string {
  return error.issues
    .map(({ path, message, input }) => {
      const key = path.map(String).join('.') || 'request';
      const found = input === undefined ? 'nothing' : JSON.stringify(input).slice(0, 100);
      return `${key}: expected ${message.replace(/^Invalid (input|option|string): (expected )?/, '')}, found ${found}`;
    })
    .join('; ');
}

/** Checks a request before it is sent. @throws WorldError `invalid_argument`. */
export function controlRequest(request: unknown): ControlRequest {
  const parsed = controlRequestSchema.safeParse(request, { reportInput: true });
  if (!parsed.success) throw new WorldError('invalid_argument', describe(parsed.error));
  return parsed.data;
}
