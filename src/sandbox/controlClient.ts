/** The other end of the control socket. */
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

import { z } from 'zod';

import type { ControlRequest } from './control.js';
import { WorldError } from './problem.js';

/** Starting a program may take this long. */
const ANSWER_TIMEOUT_MS = 180_000;

const answerSchema = z.union([
  z.object({ ok: z.literal(true), result: z.record(z.string(), z.unknown()) }),
  z.object({ ok: z.literal(false), error: z.object({ code: z.string(), message: z.string() }) }),
]);
const worldSchema = z.object({ control: z.string() });

/** The control socket of the world of a folder. @throws WorldError `world_unavailable` if there never was one. */
function controlSocketOf(dir: string): string {
  const path = join(dir, 'world.json');
  if (!existsSync(path)) throw notRunning(dir);
  try {
    return worldSchema.parse(JSON.parse(readFileSync(path, 'utf8'))).control;
  } catch (cause) {
    throw new WorldError('bad_config', `${path}: expected a world file, found something else`, { cause });
  }
}

const notRunning = (dir: string): WorldError =>
  new WorldError(
    'world_unavailable',
    `no world runs in ${dir}; start it with: npx --no sandbox run --dir ${dir} (or name its folder with --dir)`,
  );

/**
 * Sends one request to the world of a folder.
 *
 * @throws WorldError `world_unavailable` if none runs or it does not answer, or the code that it answers.
 */
export async function askWorld(dir: string, request: ControlRequest): Promise<Record<string, unknown>> {
  const line = await exchange(dir, controlSocketOf(dir), JSON.stringify(request));
  const answer = answerSchema.safeParse(JSON.parse(line));
  if (!answer.success) throw new WorldError('world_unavailable', 'expected an answer of a world, found something else');
  if (answer.data.ok) return answer.data.result;
  const { code, message } = answer.data.error;
  throw new WorldError(isUsage(code) ? 'invalid_argument' : 'failed', message);
}

const isUsage = (code: string): boolean => code === 'invalid_argument';

function exchange(dir: string, path: string, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(path, () => socket.write(`${line}\n`));
    socket.setEncoding('utf8');
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => {
      socket.destroy();
      reject(new WorldError('world_unavailable', `the world in ${dir} did not answer within 60 s`));
    });
    socket.on('data', (chunk: string) => {
      answer += chunk;
      const end = answer.indexOf('\n');
      if (end < 0) return;
      socket.end();
      resolve(answer.slice(0, end));
    });
    socket.on('error', () => {
      reject(notRunning(dir));
    });
    socket.on('close', () => {
      reject(new WorldError('world_unavailable', `the world in ${dir} went away before it answered`));
    });
  });
}

/** True if a world answers on this socket. */
export function isAnswering(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => {
      resolve(false);
    });
  });
}
