/**
 * Preloaded (`node --import`) into every program that the world starts: ends it when the world is gone, however it went.
 * The programs themselves know nothing of the world.
 */
import { isMainThread } from 'node:worker_threads';

/** After the wish to end comes the end. */
const GRACE_MS = 5_000;

if (isMainThread && process.channel) {
  process.channel.unref();
  process.on('disconnect', () => {
    process.kill(process.pid, 'SIGTERM');
    setTimeout(() => process.exit(1), GRACE_MS).unref();
  });
}
