/** Custom messages of the Lightning node. */
import type { Command } from 'commander';
import { z } from 'zod';

import { RemoteError } from '../buyer/buyerError.js';
import { hex } from '../core/units.js';
import { EXIT, type ExitCode } from './exit.js';
import { examples } from './help.js';
import { argument, bytesArgument, nodeIdArgument, withLnnode } from './lnnodeClient.js';
import { noOptions } from './options.js';
import { action, type Run } from './run.js';

const EXPECTED = 'expected a type 32768..65535';
const messageType = z
  .string()
  .regex(/^[0-9]{5}$/, EXPECTED)
  .transform(Number)
  .refine((type) => type >= 32_768 && type <= 65_535, EXPECTED);
const tailOptions = z.object({ type: z.array(z.string()).default([]) });

const append = (value: string, before: readonly string[] | undefined): string[] => [...(before ?? []), value];

/** Adds `messages ...` to `lnnode`. */
export function addLnnodeMessageCommands(node: Command): void {
  const messages = examples(
    node.command('messages').description('custom messages of peers'),
    'lnnode messages tail --type 32769',
  );
  examples(
    messages
      .command('tail')
      .description('print custom messages as they come, until Ctrl-C')
      .option('--type <number>', 'only this type, repeatable (default: the configured ones)', append),
    'lnnode messages tail',
    'lnnode messages tail --type 32769 --type 32771 --json',
  ).action(action(tailOptions, tail));
  examples(
    messages
      .command('send')
      .description('send a custom message to a connected peer')
      .argument('<node-id>', '66 hex digits')
      .argument('<type>', '32768..65535; a peer that does not know an even type hangs up')
      .argument('<hex>', 'payload'),
    'lnnode messages send NODE_ID 32769 68656c6c6f',
  ).action(action(noOptions, send));
}

async function tail(run: Run, options: z.output<typeof tailOptions>): Promise<ExitCode> {
  const types = options.type.map((text) => argument('--type', messageType, text));
  const stopping = new AbortController();
  process.once('SIGINT', () => {
    stopping.abort();
  });
  return await withLnnode(run, async (client) => {
    try {
      for await (const message of client.subscribeCustomMessages({ types }, { signal: stopping.signal })) {
        const { sequence, nodeId, type, payload } = message;
        if (sequence === 0n) run.out.progress('listening; Ctrl-C ends');
        else run.out.result(message, () => `${sequence} ${hex(nodeId)} ${type} ${hex(payload)}`);
      }
    } catch (error) {
      if (!stopping.signal.aborted) throw error;
      return EXIT.done;
    }
    // A stream that ends by itself has lost its node.
    const message = 'expected messages without end, found the end of the stream';
    throw new RemoteError({ code: 'unavailable', outcome: 'unavailable', message, violations: [], cause: undefined });
  });
}

async function send(run: Run, _options: object, [id, type, text]: readonly string[]): Promise<ExitCode> {
  const request = {
    nodeId: nodeIdArgument(id),
    type: argument('type', messageType, type),
    payload: bytesArgument('hex', text),
  };
  return await withLnnode(run, async (client) => {
    await client.sendCustomMessage(request);
    run.out.result({ nodeId: request.nodeId, type: request.type }, () => 'queued for the peer');
    return EXIT.done;
  });
}
