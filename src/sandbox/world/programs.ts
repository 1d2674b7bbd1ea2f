/** The three programs of a world and what they say when they are ready. */
import { z } from 'zod';

import type { ProcessName } from '../control.js';
import { Child } from './child.js';
import type { ProgramFiles, SellerFiles } from './configs.js';
import { entryOf, type Layout, logFileOf } from './layout.js';

const nodeReadySchema = z.object({
  ready: z.literal(true),
  grpc: z.string(),
  p2p: z.string(),
  node_id: z.string().regex(/^[0-9a-f]{66}$/),
});
const sellerReadySchema = z.object({ ready: z.literal(true), grpc: z.string(), admin: z.string() });

type NodeReady = z.output<typeof nodeReadySchema>;
type SellerReady = z.output<typeof sellerReadySchema>;

/** The programs by name, not started. */
export type Programs = {
  readonly 'lnnoded-seller': Child<NodeReady>;
  readonly 'lnnoded-buyer': Child<NodeReady>;
  readonly swapd: Child<SellerReady>;
};

export type ProgramEvents = {
  /** A program failed to start or ended by itself. */
  readonly onDeath: (message: string) => void;
  /** A process id changed. */
  readonly onPid: () => void;
};

/** Config and secrets of the programs. */
export type AllFiles = { readonly seller: ProgramFiles; readonly buyer: ProgramFiles; readonly swapd: SellerFiles };

/** Prepares the programs. */
export function programsOf(layout: Layout, files: AllFiles, events: ProgramEvents): Programs {
  const child = <Ready>(name: ProcessName, { config }: ProgramFiles, readySchema: z.ZodType<Ready>): Child<Ready> =>
    new Child({
      name,
      entry: entryOf(name),
      args: name === 'swapd' ? ['run', '--config', config] : ['--config', config],
      logFile: logFileOf(layout, name),
      readySchema,
      ...events,
    });
  return {
    'lnnoded-seller': child('lnnoded-seller', files.seller, nodeReadySchema),
    'lnnoded-buyer': child('lnnoded-buyer', files.buyer, nodeReadySchema),
    swapd: child('swapd', files.swapd, sellerReadySchema),
  };
}
