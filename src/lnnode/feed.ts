/** Hands changes to subscribers; a slow one is cut off instead of filling the memory. */
import { NodeError } from './errors.js';

const MAX_WAITING = 1000;
/** A subscriber that lets items wait and takes none for so long does not read. */
const IDLE_MS = 1000;

type Subscription<T> = {
  /** Only items for which it is true; all without it. */
  readonly accepts?: (item: T) => boolean;
  /** Called once, as soon as nothing more will be queued, whether or not the subscriber still reads. */
  readonly ended?: () => void;
};

export type Feed<T> = {
  publish(item: T): void;
  /** Weight of what waits for the subscriber that is furthest behind, of those that read. */
  readonly backlog: () => number;
  /** Items from now on, until the signal aborts. @throws NodeError `too_slow` */
  subscribe(signal: AbortSignal, subscription?: Subscription<T>): AsyncIterable<T>;
  /** Ends all subscriptions with NodeError `shutting_down`. */
  close(): void;
};

export type FeedLimit<T> = {
  /** Greatest weight of the items that wait for one subscriber. */
  readonly most: number;
  readonly weigh: (item: T) => number;
  /** Called when a subscriber took an item or ended. */
  readonly taken?: () => void;
};

type Queue<T> = {
  readonly subscription: Subscription<T>;
  items: T[];
  weight: number;
  takenAt: number;
  isLost: boolean;
  wake: () => void;
};

/** A feed without history; a thousand items may wait if no limit is given. */
export function makeFeed<T>(limit: FeedLimit<T> = { most: MAX_WAITING, weigh: () => 1 }): Feed<T> {
  const { most, weigh } = limit;
  const queues = new Set<Queue<T>>();
  let isClosed = false;

  const end = (queue: Queue<T>): void => {
    if (!queues.delete(queue)) return;
    queue.subscription.ended?.();
    limit.taken?.();
  };

  const offer = (queue: Queue<T>, item: T): void => {
    if (queue.subscription.accepts?.(item) === false) return;
    const weight = queue.weight + weigh(item);
    if (weight > most) {
      queue.isLost = true;
      queue.items = []; // a subscriber that reads nothing must not hold them
      end(queue);
    } else {
      if (queue.items.length === 0) queue.takenAt = performance.now(); // it could not take any before
      queue.items.push(item);
      queue.weight = weight;
    }
    queue.wake();
  };

  async function* drain(queue: Queue<T>, signal: AbortSignal): AsyncIterable<T> {
    try {
      while (!signal.aborted) {
        if (isClosed) throw new NodeError('shutting_down', 'the node is shutting down');
        if (queue.isLost) throw new NodeError('too_slow', 'subscriber: too many changes waited');
        const item = queue.items.shift();
        if (item !== undefined) {
          queue.weight -= weigh(item);
          queue.takenAt = performance.now();
          limit.taken?.();
          yield item;
        } else {
          await new Promise<void>((resolve) => {
            queue.wake = resolve;
          });
        }
      }
    } finally {
      end(queue);
    }
  }

  return {
    publish: (item) => {
      for (const queue of [...queues]) offer(queue, item);
    },
    backlog: () => {
      const reading = [...queues].filter(({ takenAt }) => performance.now() - takenAt < IDLE_MS);
      return Math.max(0, ...reading.map(({ weight }) => weight));
    },
    subscribe: (signal, subscription = {}) => {
      const queue: Queue<T> = { subscription, items: [], weight: 0, takenAt: 0, isLost: false, wake: () => undefined };
      queues.add(queue); // at once: nothing between the call and the first read is missed
      const abort = (): void => {
        end(queue);
        queue.wake();
      };
      signal.addEventListener('abort', abort);
      if (signal.aborted) abort();
      return drain(queue, signal);
    },
    close: () => {
      isClosed = true;
      for (const queue of queues) queue.wake();
    },
  };
}
