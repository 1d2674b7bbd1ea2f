/** Hands changes to subscribers; a slow one is cut off instead of filling the memory. */
import { NodeError } from './errors.js';

const MAX_WAITING = 1000;

export type Feed<T> = {
  publish(item: T): void;
  /** Items from now on, until the signal aborts. @throws NodeError `too_slow` */
  subscribe(signal: AbortSignal): AsyncIterable<T>;
  /** Ends all subscriptions with NodeError `shutting_down`. */
  close(): void;
};

type Queue<T> = { readonly items: T[]; isLost: boolean; wake: () => void };

/** A feed without history. */
export function makeFeed<T>(): Feed<T> {
  const queues = new Set<Queue<T>>();
  let isClosed = false;

  async function* drain(queue: Queue<T>, signal: AbortSignal): AsyncIterable<T> {
    const abort = (): void => {
      queue.wake();
    };
    signal.addEventListener('abort', abort);
    try {
      while (!signal.aborted) {
        if (isClosed) throw new NodeError('shutting_down', 'the node is shutting down');
        if (queue.isLost) throw new NodeError('too_slow', `subscriber: more than ${MAX_WAITING} changes waited`);
        const item = queue.items.shift();
        if (item !== undefined) yield item;
        else {
          await new Promise<void>((resolve) => {
            queue.wake = resolve;
          });
        }
      }
    } finally {
      signal.removeEventListener('abort', abort);
      queues.delete(queue);
    }
  }

  return {
    publish: (item) => {
      for (const queue of queues) {
        if (queue.items.length >= MAX_WAITING) queue.isLost = true;
        else queue.items.push(item);
        queue.wake();
      }
    },
    subscribe: (signal) => {
      const queue: Queue<T> = { items: [], isLost: false, wake: () => undefined };
      queues.add(queue); // at once: nothing between the call and the first read is missed
      return drain(queue, signal);
    },
    close: () => {
      isClosed = true;
      for (const queue of queues) queue.wake();
    },
  };
}
