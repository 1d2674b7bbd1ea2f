/** Which peers are connected, over which connection, and what waits to be sent to them. Lives in memory only. */
import { hex, pubkey, type Pubkey } from '../core/units.js';
import { NodeError } from './errors.js';

/** Bytes that may wait for one peer, and what each message counts besides its payload. */
const MAX_QUEUE_BYTES = 4 * 1024 * 1024;
const MESSAGE_OVERHEAD = 100;

/** A connection as its messages see it. */
export type Line = {
  /** Bytes that it takes now. */
  room(): number;
  /** More waits than it takes now: it runs a turn once there is room. */
  wantRoom(): void;
  /** Reads nothing from it while it is held. */
  hold(isHeld: boolean): void;
};

/** A custom message: who it comes from or goes to, its type, and the bytes after the type. */
export type CustomMessage = { readonly nodeId: Pubkey; readonly type: number; readonly payload: Uint8Array };

type Link = { readonly nodeId: Pubkey; readonly line: Line; queue: CustomMessage[]; bytes: number };

export type Links = ReturnType<typeof makeLinks>;

const sizeOf = ({ payload }: CustomMessage): number => payload.length + MESSAGE_OVERHEAD;

/** The connections of one node. All calls that change something are made inside a turn. */
export function makeLinks() {
  const links = new Map<string, Link>();
  const waiting = new Set<Link>();
  const held = new Set<Line>();
  let readingFrom: Line | undefined;

  const takeFrom = (link: Link): CustomMessage[] => {
    const room = link.line.room();
    let bytes = 0;
    let count = 0;
    for (const message of link.queue) {
      if (bytes >= room) break;
      bytes += sizeOf(message);
      count += 1;
    }
    const taken = link.queue.slice(0, count);
    link.queue = link.queue.slice(count);
    link.bytes -= bytes;
    if (link.queue.length === 0) waiting.delete(link);
    else link.line.wantRoom();
    return taken;
  };

  return {
    /** Marks whose bytes LDK reads in `body`: a handshake that ends in it belongs to this connection. */
    reading: <T>(line: Line, body: () => T): T => {
      readingFrom = line;
      try {
        return body();
      } finally {
        readingFrom = undefined;
      }
    },
    /** LDK finished a handshake. @returns the new peer */
    up: (rawId: Uint8Array): Pubkey => {
      if (readingFrom === undefined) throw new Error('a handshake ends while bytes of the peer are read');
      const nodeId = pubkey(hex(rawId));
      links.set(nodeId, { nodeId, line: readingFrom, queue: [], bytes: 0 });
      return nodeId;
    },
    /** LDK lost a peer, and with it what waited for it. @returns the peer */
    down: (rawId: Uint8Array): Pubkey => {
      const nodeId = pubkey(hex(rawId));
      const link = links.get(nodeId);
      if (link !== undefined) waiting.delete(link);
      links.delete(nodeId);
      return nodeId;
    },
    /** The connected peer with these 33 bytes. */
    peer: (rawId: Uint8Array): Pubkey | undefined => links.get(hex(rawId))?.nodeId,
    isUp: (nodeId: Pubkey): boolean => links.has(nodeId),
    nodeIds: (): Pubkey[] => [...links.values()].map(({ nodeId }) => nodeId),
    /** The peer at the other end of a connection; undefined before the handshake is complete. */
    peerOf: (line: Line): Pubkey | undefined => [...links.values()].find((link) => link.line === line)?.nodeId,
    /** Queues a message. @throws NodeError `peer_not_connected`, `send_queue_full` */
    push: (message: CustomMessage): void => {
      const link = links.get(message.nodeId);
      if (link === undefined) throw new NodeError('peer_not_connected', `peer ${message.nodeId} is not connected`);
      const bytes = link.bytes + sizeOf(message);
      if (bytes > MAX_QUEUE_BYTES) {
        const text = `peer ${message.nodeId}: expected at most ${MAX_QUEUE_BYTES} bytes in its queue, found ${bytes}`;
        throw new NodeError('send_queue_full', text);
      }
      link.queue.push(message);
      link.bytes = bytes;
      waiting.add(link);
    },
    /** Reads nothing from a peer until `release`. */
    hold: (nodeId: Pubkey): void => {
      const line = links.get(nodeId)?.line;
      if (line === undefined) return;
      held.add(line);
      line.hold(true);
    },
    /** Reads from all peers again. */
    release: (): void => {
      for (const line of held) line.hold(false);
      held.clear();
    },
    /** What LDK may have now: no more than the connections take, so that nothing piles up inside LDK. */
    take: (): CustomMessage[] => [...waiting].flatMap(takeFrom),
  };
}
