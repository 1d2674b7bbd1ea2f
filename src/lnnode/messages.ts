/** Custom messages of applications: which types are known, who gets what comes in, and sending. */
import type { Pubkey } from '../core/units.js';
import { makeBackpressure } from './backpressure.js';
import { NodeError } from './errors.js';
import { makeFeed } from './feed.js';
import type { CustomMessage, Links } from './links.js';
import type { Turns } from './ldk/turn.js';

/** Types below belong to the protocol (BOLT 1). */
export const MIN_MESSAGE_TYPE = 32_768;
export const MAX_MESSAGE_TYPE = 65_535;
/** A message of the protocol has at most 65,535 bytes, two of them its type. */
export const MAX_PAYLOAD_BYTES = 65_533;

/** Bytes that may wait for one subscriber, and what each message counts besides its payload. */
const MAX_WAITING_BYTES = 32 * 1024 * 1024;
const MESSAGE_OVERHEAD = 200;

/** A message of a peer; `sequence` counts them from 1 since the node started. */
export type ReceivedMessage = CustomMessage & { readonly sequence: bigint };

export type MessagesParts = {
  readonly links: Links;
  readonly turns: Turns;
  /** Types that are known for ever. */
  readonly types: readonly number[];
};

export type Messages = ReturnType<typeof makeMessages>;

/** The custom messages of one node. */
export function makeMessages({ links, turns, types }: MessagesParts) {
  const configured = new Set(types);
  const subscribed = new Map<number, number>(); // type -> how many subscriptions want it
  const feed = makeFeed<ReceivedMessage>({
    most: MAX_WAITING_BYTES,
    weigh: ({ payload }) => payload.length + MESSAGE_OVERHEAD,
    taken: () => {
      backpressure.taken();
    },
  });
  const { hold, release } = links;
  const backpressure = makeBackpressure({ backlog: feed.backlog, hold, release });
  let sequence = 0n;

  const count = (type: number, change: 1 | -1): void => {
    const next = (subscribed.get(type) ?? 0) + change;
    if (next === 0) subscribed.delete(type);
    else subscribed.set(type, next);
  };

  return {
    isKnown: (type: number): boolean => configured.has(type) || subscribed.has(type),
    /** Called inside a turn. */
    received: (message: CustomMessage): void => {
      const numbered = { ...message, sequence: ++sequence };
      turns.after(() => {
        feed.publish(numbered);
        backpressure.handedOut(message.nodeId);
      });
    },
    /** Queues a message for the connection. @throws NodeError `peer_not_connected`, `send_queue_full` */
    send: (nodeId: Pubkey, type: number, payload: Uint8Array): void => {
      turns.run(() => {
        links.push({ nodeId, type, payload });
      });
    },
    /**
     * Messages of these types from now on; none means the configured ones. The types are known as long as the
     * subscription stands. @throws NodeError `invalid_argument` if that is no type at all, `too_slow`
     */
    subscribe: (wanted: readonly number[], signal: AbortSignal): AsyncIterable<ReceivedMessage> => {
      const accepted = wanted.length === 0 ? configured : new Set(wanted);
      if (accepted.size === 0) {
        throw new NodeError('invalid_argument', 'types: expected at least one, found none, and none is configured');
      }
      for (const type of accepted) count(type, 1);
      return feed.subscribe(signal, {
        accepts: ({ type }) => accepted.has(type),
        ended: () => {
          for (const type of accepted) count(type, -1);
        },
      });
    },
    close: (): void => {
      feed.close();
    },
  };
}
