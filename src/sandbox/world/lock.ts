/** One world per folder: two would write the same chains. */
import { createHash } from 'node:crypto';
import { createServer } from 'node:net';

import { isAnswering } from '../controlClient.js';
import { WorldError } from '../problem.js';

/** Frees the folder for the next world. */
export type Unlock = () => void;

/**
 * Takes the folder until `unlock` or the end of this process, however it ends.
 *
 * On Linux the lock is an abstract socket, which the kernel frees; elsewhere the running world's control socket tells.
 *
 * @throws WorldError `world_already_running`.
 */
export async function lockWorld(dir: string, controlSocket: string): Promise<Unlock> {
  const taken = new WorldError(
    'world_already_running',
    `a world runs in ${dir} already; see: npx --no sandbox status --dir ${dir}`,
  );
  if (await isAnswering(controlSocket)) throw taken;
  if (process.platform !== 'linux') return () => undefined;
  const server = createServer((socket) => socket.destroy());
  const isMine = await new Promise<boolean>((resolve) => {
    server.once('error', () => {
      resolve(false);
    });
    server.listen(`\0ln-liquid-swap-world-${createHash('sha256').update(dir).digest('hex')}`, () => {
      resolve(true);
    });
  });
  if (!isMine) throw taken;
  server.unref();
  return () => {
    server.close();
  };
}
