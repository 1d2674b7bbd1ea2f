/** A Lightning peer by hand (BOLT 8 and the first step of BOLT 1), to say what no honest node says. */
import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import { secp256k1 } from '@noble/curves/secp256k1.js';

const INIT = 16;
const TAG_BYTES = 16;
const ROTATE_AFTER = 1000;
const EMPTY = Buffer.alloc(0);

const sha256 = (...parts: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest();
const ecdh = (secret: Uint8Array, point: Uint8Array): Buffer => sha256(secp256k1.getSharedSecret(secret, point, true));

function hkdf(salt: Uint8Array, secret: Uint8Array): [Buffer, Buffer] {
  const out = Buffer.from(hkdfSync('sha256', secret, salt, EMPTY, 64));
  return [out.subarray(0, 32), out.subarray(32)];
}

function nonce(count: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32LE(count, 4);
  return bytes;
}

function seal(key: Uint8Array, count: number, aad: Uint8Array, text: Uint8Array): Buffer {
  const cipher = createCipheriv('chacha20-poly1305', key, nonce(count), { authTagLength: TAG_BYTES });
  cipher.setAAD(aad, { plaintextLength: text.length });
  return Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
}

function unseal(key: Uint8Array, count: number, aad: Uint8Array, sealed: Uint8Array): Buffer {
  const decipher = createDecipheriv('chacha20-poly1305', key, nonce(count), { authTagLength: TAG_BYTES });
  decipher.setAAD(aad, { plaintextLength: sealed.length - TAG_BYTES });
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  return Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()]);
}

/** One direction of a connection; its key changes after a thousand uses. */
class Stream {
  #chain: Buffer;
  #key: Buffer;
  #count = 0;

  constructor(chain: Buffer, key: Buffer) {
    this.#chain = chain;
    this.#key = key;
  }

  seal(text: Uint8Array): Buffer {
    return seal(...this.#next(), EMPTY, text);
  }

  unseal(sealed: Uint8Array): Buffer {
    return unseal(...this.#next(), EMPTY, sealed);
  }

  #next(): [Buffer, number] {
    if (this.#count === ROTATE_AFTER) {
      [this.#chain, this.#key] = hkdf(this.#chain, this.#key);
      this.#count = 0;
    }
    return [this.#key, this.#count++];
  }
}

/** A message as one buffer. */
export function message(type: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(type);
  return Buffer.concat([head, payload]);
}

/** Opens a socket to `host:port`; nothing is sent. */
export async function rawSocket(address: string): Promise<Socket> {
  const [host = '', port = ''] = address.split(':');
  const socket = connect(Number(port), host);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** True if the other side ends the connection within the time. */
export function isClosed(socket: Socket, ms: number): Promise<boolean> {
  if (socket.destroyed) return Promise.resolve(true);
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      resolve(false);
    }, ms);
    socket.once('close', () => {
      clearTimeout(timer);
      resolve(true);
    });
    socket.resume();
  });
}

/** A connection after the handshake. */
export class RawPeer {
  readonly socket: Socket;
  /** What the node said in its init: echoed, it pleases the node. */
  readonly theirInit: Buffer;
  /** 33 bytes. */
  readonly nodeId: Buffer;
  readonly #out: Stream;
  readonly #back: Stream;

  private constructor(socket: Socket, { out, back, nodeId }: Handshake, theirInit: Buffer) {
    this.socket = socket;
    this.nodeId = nodeId;
    this.#out = out;
    this.#back = back;
    this.theirInit = theirInit;
  }

  /** Handshake with a fresh key, up to the node's init message. */
  static async connect(address: string, nodeId: Uint8Array): Promise<RawPeer> {
    const socket = await rawSocket(address);
    const shaken = await handshake(socket, nodeId);
    const init = await receive(socket, shaken.back);
    return new RawPeer(socket, shaken, init.subarray(2));
  }

  /** The next message of a type, without the type; those before it are dropped. */
  async next(type: number): Promise<Buffer> {
    for (;;) {
      const plain = await receive(this.socket, this.#back);
      if (plain.readUInt16BE() === type) return plain.subarray(2);
    }
  }

  /** The encrypted form of a message: type and payload, or whatever is given instead. */
  seal(plain: Uint8Array): Buffer {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(plain.length);
    return Buffer.concat([this.#out.seal(length), this.#out.seal(plain)]);
  }

  send(plain: Uint8Array): void {
    this.socket.write(this.seal(plain));
  }

  /** Answers with the node's own features. */
  greet(): void {
    this.send(message(INIT, this.theirInit));
  }
}

/** Exactly so many bytes; the socket stays paused in between. */
async function take(socket: Socket, count: number): Promise<Buffer> {
  for (;;) {
    const chunk = socket.read(count) as Buffer | null;
    if (chunk !== null) return chunk;
    if (socket.destroyed) throw new Error('the node closed the connection');
    await Promise.race([once(socket, 'readable'), once(socket, 'close')]);
  }
}

async function receive(socket: Socket, back: Stream): Promise<Buffer> {
  const length = back.unseal(await take(socket, 2 + TAG_BYTES)).readUInt16BE();
  return back.unseal(await take(socket, length + TAG_BYTES));
}

type Handshake = { readonly out: Stream; readonly back: Stream; readonly nodeId: Buffer };

async function handshake(socket: Socket, nodeId: Uint8Array): Promise<Handshake> {
  const own = secp256k1.utils.randomSecretKey();
  const fresh = secp256k1.utils.randomSecretKey();
  let chain = sha256(Buffer.from('Noise_XK_secp256k1_ChaChaPoly_SHA256'));
  let seen = sha256(sha256(chain, Buffer.from('lightning')), nodeId);
  let key: Buffer;
  const point = secp256k1.getPublicKey(fresh, true);
  seen = sha256(seen, point);
  [chain, key] = hkdf(chain, ecdh(fresh, nodeId));
  const first = seal(key, 0, seen, EMPTY);
  seen = sha256(seen, first);
  socket.write(Buffer.concat([Buffer.alloc(1), point, first]));

  const answer = await take(socket, 50);
  const theirs = answer.subarray(1, 34);
  seen = sha256(seen, theirs);
  [chain, key] = hkdf(chain, ecdh(fresh, theirs));
  unseal(key, 0, seen, answer.subarray(34));
  seen = sha256(seen, answer.subarray(34));

  const ownId = Buffer.from(secp256k1.getPublicKey(own, true));
  const identity = seal(key, 1, seen, ownId);
  seen = sha256(seen, identity);
  [chain, key] = hkdf(chain, ecdh(own, theirs));
  socket.write(Buffer.concat([Buffer.alloc(1), identity, seal(key, 0, seen, EMPTY)]));
  const [out, back] = hkdf(chain, EMPTY);
  return { out: new Stream(chain, out), back: new Stream(chain, back), nodeId: ownId };
}
