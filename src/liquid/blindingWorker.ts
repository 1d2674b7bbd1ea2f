/** Entry of the worker thread behind blinding.ts: one message is one task, each is answered under its id. */
import { randomBytes } from 'node:crypto';
import { parentPort } from 'node:worker_threads';

import type { Zkp } from '../core/blind.js';
import { SwapError, type ErrorCode } from '../errors.js';
import {
  isTrap,
  runBuild,
  runUnblind,
  type BuildTask,
  type UnblindTask,
  type UnblindedOutput,
} from './blindingTasks.js';
import { loadZkp } from './zkp.js';

/** What the worker is asked. */
export type BlindingRequest =
  | { readonly id: number; readonly kind: 'build'; readonly task: BuildTask }
  | { readonly id: number; readonly kind: 'unblind'; readonly task: UnblindTask };

/** What it answers: raw bytes, an opened output or undefined; or why it failed. */
export type BlindingAnswer =
  | { readonly id: number; readonly kind: 'built'; readonly rawTx: Uint8Array }
  | { readonly id: number; readonly kind: 'unblinded'; readonly output: UnblindedOutput | undefined }
  | { readonly id: number; readonly kind: 'failed'; readonly message: string; readonly code: ErrorCode | undefined };

let loading: Promise<Zkp> = loadZkp();

async function answerTo(request: BlindingRequest): Promise<BlindingAnswer> {
  const { id } = request;
  try {
    const zkp = await loading;
    if (request.kind === 'build') return { id, kind: 'built', rawTx: runBuild(zkp, request.task, randomBytes) };
    return { id, kind: 'unblinded', output: runUnblind(zkp, request.task) };
  } catch (error) {
    if (isTrap(error)) {
      loading = loadZkp();
      // Bytes that make the library trap are nobody's payment; refusing them must not stop the rest of a scan.
      if (request.kind === 'unblind') return { id, kind: 'unblinded', output: undefined };
    }
    const message = error instanceof Error ? error.message : String(error);
    return { id, kind: 'failed', message, code: error instanceof SwapError ? error.code : undefined };
  }
}

parentPort?.on('message', (request: BlindingRequest) => {
  answerTo(request).then(
    (answer) => parentPort?.postMessage(answer),
    (error: unknown) => {
      setImmediate(() => {
        throw error; // ends this thread; the owner starts another
      });
    },
  );
});
