/** Processes that stand still. */
import { readdirSync, readFileSync } from 'node:fs';

const DEADLINE_MS = 20_000;
const LOOK_MS = 2;

/** True if a thread stands still, or is gone. */
function isStopped(pid: number, thread: string): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 1).startsWith(' T ');
  } catch {
    return true;
  }
}

/**
 * Stops a process in its tracks, or lets it go on. Returns when every thread stands still: one of them has to run to stop
 * the others, and on a busy machine these answer calls until then. Only Linux tells.
 */
export function freezeProcess(pid: number, isFrozen: boolean): void {
  process.kill(pid, isFrozen ? 'SIGSTOP' : 'SIGCONT');
  if (!isFrozen || process.platform !== 'linux') return;
  const deadline = Date.now() + DEADLINE_MS;
  while (!readdirSync(`/proc/${pid}/task`).every((thread) => isStopped(pid, thread))) {
    if (Date.now() > deadline) throw new Error(`process ${pid} does not stop`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_MS);
  }
}
