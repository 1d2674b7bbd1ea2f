/** How the commands of the Lightning node reach it, and what they read from their arguments. */
import type { z } from 'zod';

import { openLnnode, type LnnodeClient } from '../buyer/rpcClient.js';
import { SwapError } from '../errors.js';
import type { Run } from './run.js';
import { lightningEndpoint } from './settings.js';

/** Connects lnnoded, for the time of the body. */
export async function withLnnode<R>({ settings }: Run, body: (client: LnnodeClient) => Promise<R>): Promise<R> {
  const opened = openLnnode(lightningEndpoint(settings));
  try {
    return await body(opened.client);
  } finally {
    opened.close();
  }
}

function refuse(name: string, expected: string, found: string): never {
  throw new SwapError('invalid_argument', `${name}: expected ${expected}, found "${found.slice(0, 100)}"`);
}

/** An argument as its schema reads it. */
export function argument<S extends z.ZodType>(name: string, schema: S, text = ''): z.output<S> {
  const parsed = schema.safeParse(text);
  if (parsed.success) return parsed.data;
  const expected = (parsed.error.issues[0]?.message ?? 'something else').replace(/^expected /, '');
  return refuse(name, expected, text);
}

function hexArgument(name: string, text: string, length: number): Buffer {
  if (!/^[0-9a-fA-F]+$/.test(text) || text.length !== 2 * length) refuse(name, `${2 * length} hex digits`, text);
  return Buffer.from(text, 'hex');
}

/** The node id of a peer. */
export const nodeIdArgument = (text = ''): Buffer => hexArgument('node id', text, 33);

/** A channel id as `channels` shows it. */
export const channelIdArgument = (text = ''): Buffer => hexArgument('channel id', text, 32);

/** A txid as explorers show it, in internal byte order. */
export const txidArgument = (text = ''): Buffer => hexArgument('txid', text, 32).reverse();

/** Any bytes. */
export function bytesArgument(name: string, text = ''): Buffer {
  if (!/^(?:[0-9a-fA-F]{2})*$/.test(text)) refuse(name, 'an even number of hex digits', text);
  return Buffer.from(text, 'hex');
}

/** `NODE_ID@HOST:PORT`. */
export function peerArgument(text = ''): { nodeId: Buffer; address: string } {
  const [id = '', address = '', ...rest] = text.split('@');
  if (address === '' || rest.length > 0) refuse('peer', 'NODE_ID@HOST:PORT', text);
  return { nodeId: nodeIdArgument(id), address };
}
