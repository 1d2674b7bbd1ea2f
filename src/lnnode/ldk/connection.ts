/**
 * One TCP connection of LDK's PeerManager. Bytes that LDK wants to send wait in an outbox until the turn is durable; a
 * full socket buffer is reported back to LDK and cleared again by "drain".
 */
import type { Socket } from 'node:net';

import * as ldk from 'lightningdevkit';

import type { Line } from '../links.js';
import { flag } from './result.js';
import type { Turns } from './turn.js';

/** Bytes LDK may queue in one turn before it is told that the buffer is full, and what each chunk counts besides. */
const MAX_OUTBOX_BYTES = 256 * 1024;
const CHUNK_OVERHEAD = 64;
/**
 * Bytes LDK gets at once. It looks only between two reads whether its answers pile up, and a ping of 40 bytes may ask for
 * an answer of 65 kB.
 */
const SLICE_BYTES = 1024;
/** Time for the last bytes of a connection that LDK ended. */
const CLOSE_MS = 5000;

/** What LDK says about bytes: go on, wait until it has written its own, or close. */
export type Verdict = 'more' | 'pause' | 'end';

export type Connection = Line & {
  readonly socket: Socket;
  /** Queues bytes that LDK handed over as a return value. */
  push(data: Uint8Array): void;
  /** Closes after the turn's bytes are out. */
  close(): void;
  /** Writes what the turn queued. */
  flush(): void;
};

export type ConnectionParts = {
  readonly socket: Socket;
  readonly plug: Plug;
  /** Runs a turn, unless the node stops. */
  readonly enter: (body: () => void) => void;
  /** Hands bytes to LDK. Called inside a turn. */
  readonly read: (slice: Uint8Array) => Verdict;
  /** There is room for bytes that LDK or a queue holds back. Called inside a turn. */
  readonly spaceAvailable: () => void;
};

/** LDK's handle of a connection; used again for another one, since the bindings never forget a trait object. */
export type Plug = {
  readonly descriptor: ldk.SocketDescriptor;
  id: bigint;
  send: (data: Uint8Array, mayResume: boolean) => number;
  disconnect: () => void;
};

/** Hands out plugs; one goes back only after LDK has dropped it. */
export function makePlugs(turns: Turns) {
  const free: Plug[] = [];
  let lastId = 0n;
  const make = (): Plug => {
    const plug: Plug = {
      id: 0n,
      send: () => 0,
      disconnect: () => undefined,
      descriptor: ldk.SocketDescriptor.new_impl({
        send_data: (data, mayResume) => turns.guarded('send_data', () => plug.send(data, flag(mayResume))),
        disconnect_socket: () => {
          plug.disconnect();
        },
        eq: (other) => other.hash() === plug.id,
        hash: () => plug.id,
      }),
    };
    return plug;
  };
  return {
    take: (): Plug => {
      const plug = free.pop() ?? make();
      plug.id = ++lastId;
      return plug;
    },
    giveBack: (plug: Plug): void => {
      plug.send = () => 0;
      plug.disconnect = () => undefined;
      free.push(plug);
    },
  };
}

/** Ties a socket to LDK. */
export function makeConnection(parts: ConnectionParts): Connection {
  const { socket, plug, enter } = parts;
  let outbox: Uint8Array[] = [];
  let outboxBytes = 0;
  let unread: Buffer = Buffer.alloc(0);
  let isPaused = false; // LDK wants no bytes
  let isHeld = false; // nobody takes what it says
  let isFull = false; // the socket's own buffer
  let wasRefused = false; // someone was told that there is no room, and waits
  let isClosing = false;
  let isEnded = false;

  const close = (): void => {
    isClosing = true;
  };
  const room = (): number => (isFull ? 0 : Math.max(0, MAX_OUTBOX_BYTES - outboxBytes));
  const wantRoom = (): void => {
    wasRefused = true;
  };
  const push = (data: Uint8Array): void => {
    outbox.push(data);
    outboxBytes += data.length + CHUNK_OVERHEAD;
  };
  const retry = (): void => {
    if (!wasRefused || isFull || isClosing) return;
    wasRefused = false;
    setImmediate(() => {
      if (!isClosing) enter(parts.spaceAvailable);
    });
  };
  const readOn = (): void => {
    while (unread.length > 0 && !isPaused && !isHeld && !isClosing) {
      const slice = unread.subarray(0, SLICE_BYTES);
      unread = unread.subarray(SLICE_BYTES);
      const verdict = parts.read(slice);
      if (verdict === 'end') close();
      if (verdict === 'pause') {
        isPaused = true;
        socket.pause();
      }
    }
  };
  const goOn = (): void => {
    setImmediate(() => {
      if (isClosing)
        socket.resume(); // to see its end
      else enter(readOn);
      if (!isPaused && !isHeld) socket.resume();
    });
  };
  const resume = (): void => {
    if (!isPaused) return;
    isPaused = false;
    goOn();
  };
  const hold = (next: boolean): void => {
    isHeld = next;
    if (isHeld) socket.pause();
    else goOn();
  };
  socket.on('data', (data) => {
    if (isClosing) return;
    unread = unread.length === 0 ? data : Buffer.concat([unread, data]);
    enter(readOn);
  });
  socket.on('close', () => {
    // the plug may belong to another connection by now
    isClosing = true;
    isEnded = true;
    unread = Buffer.alloc(0);
  });
  socket.on('drain', () => {
    isFull = false;
    retry();
  });
  plug.disconnect = close;
  plug.send = (data, mayResume) => {
    if (mayResume) resume();
    if (data.length === 0) return 0;
    if (room() === 0) {
      wantRoom();
      return 0;
    }
    push(data);
    return data.length;
  };
  return {
    socket,
    room,
    wantRoom,
    hold,
    push,
    close,
    flush: () => {
      const chunks = outbox;
      outbox = [];
      outboxBytes = 0;
      socket.cork();
      for (const chunk of chunks) if (!socket.write(chunk)) isFull = true;
      socket.uncork();
      retry();
      if (!isClosing || isEnded) return;
      isEnded = true;
      socket.end(() => socket.destroy());
      setTimeout(() => socket.destroy(), CLOSE_MS).unref();
    },
  };
}
