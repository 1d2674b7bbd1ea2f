/**
 * ldk-server's gRPC: HTTP/2 over TLS, one frame a request, signed with its key. The library for gRPC cannot be used: the
 * signature covers the frame, which it makes itself.
 */
import { createHmac } from 'node:crypto';
import { connect, type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';

import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

const CALL_MS = 20_000;
const FRAME_HEADER = 5;

/** Field number and value; false, 0 and undefined as such are left out by the caller. */
export type Field = readonly [number, bigint | boolean | string | readonly Field[]];
/** A message as it came: numbers as bigint, everything else as bytes. */
export type Message = ReadonlyMap<number, readonly (bigint | Uint8Array)[]>;

export type LdkServerClient = {
  /** @throws Error with the server's status and words */
  call(method: string, fields: readonly Field[]): Promise<Message>;
  /** Events from now on, until the connection ends. */
  events(onEvent: (event: Message) => void): void;
  close(): void;
};

export function encode(fields: readonly Field[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const [number, value] of fields) {
    if (typeof value === 'bigint') writer.tag(number, WireType.Varint).uint64(value);
    else if (typeof value === 'boolean') writer.tag(number, WireType.Varint).bool(value);
    else if (typeof value === 'string') writer.tag(number, WireType.LengthDelimited).string(value);
    else writer.tag(number, WireType.LengthDelimited).bytes(encode(value));
  }
  return writer.finish();
}

export function decode(bytes: Uint8Array): Message {
  const reader = new BinaryReader(bytes);
  const message = new Map<number, (bigint | Uint8Array)[]>();
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (wireType === WireType.Varint) message.set(number, [...(message.get(number) ?? []), BigInt(reader.uint64())]);
    else if (wireType === WireType.LengthDelimited)
      message.set(number, [...(message.get(number) ?? []), reader.bytes()]);
    else reader.skip(wireType, number);
  }
  return message;
}

export const textOf = (message: Message | undefined, number: number): string => {
  const value = message?.get(number)?.[0];
  return value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : '';
};
export const numberOf = (message: Message | undefined, number: number): bigint => {
  const value = message?.get(number)?.[0];
  return typeof value === 'bigint' ? value : 0n;
};
export const messagesOf = (message: Message | undefined, number: number): Message[] =>
  (message?.get(number) ?? []).flatMap((value) => (value instanceof Uint8Array ? [decode(value)] : []));

function frame(fields: readonly Field[]): Buffer {
  const body = encode(fields);
  const header = Buffer.alloc(FRAME_HEADER); // no compression, then the length
  header.writeUInt32BE(body.length, 1);
  return Buffer.concat([header, body]);
}

/** `HMAC seconds:hex`, over the seconds as 8 bytes and the whole frame. */
function signature(apiKey: string, unixSecs: number, body: Uint8Array): string {
  const seconds = Buffer.alloc(8);
  seconds.writeBigUInt64BE(BigInt(unixSecs));
  return `HMAC ${unixSecs}:${createHmac('sha256', apiKey).update(seconds).update(body).digest('hex')}`;
}

/** Connects lazily, and again after the server was away. */
export function connectLdkServer(address: string, ca: Buffer, apiKey: string): LdkServerClient {
  let session: ClientHttp2Session | undefined;
  const open = (method: string, fields: readonly Field[]): ClientHttp2Stream => {
    if (session === undefined || session.closed || session.destroyed) {
      session = connect(`https://${address}`, { ca });
      session.on('error', () => undefined); // every stream has it too
    }
    const body = frame(fields);
    const stream = session.request({
      ':method': 'POST',
      ':path': `/api.LightningNode/${method}`,
      'content-type': 'application/grpc+proto',
      te: 'trailers',
      'x-auth': signature(apiKey, Math.floor(Date.now() / 1000), body),
    });
    stream.end(body);
    return stream;
  };
  return {
    call: (method, fields) =>
      new Promise((resolve, reject) => {
        const stream = open(method, fields);
        let received: Buffer = Buffer.alloc(0);
        let [status, words] = ['', ''];
        const read = (headers: IncomingHttpHeaders): void => {
          const { 'grpc-status': code, 'grpc-message': message } = headers;
          if (typeof code === 'string') status = code;
          if (typeof message === 'string') words = message;
        };
        stream.setTimeout(CALL_MS, () => stream.destroy(new Error(`${method}: no answer in time`)));
        stream.on('response', read).on('trailers', read).on('error', reject);
        stream.on('data', (part: Buffer) => (received = Buffer.concat([received, part])));
        stream.on('end', () => {
          if (status === '0') resolve(decode(received.subarray(FRAME_HEADER)));
          else reject(new Error(`${method}: ${words} (${status})`));
        });
      }),
    events: (onEvent) => {
      let received: Buffer = Buffer.alloc(0);
      const stream = open('SubscribeEvents', []);
      stream.on('error', () => undefined); // events are lost with the connection
      stream.on('data', (part: Buffer) => {
        received = Buffer.concat([received, part]);
        while (received.length >= FRAME_HEADER) {
          const end = FRAME_HEADER + received.readUInt32BE(1);
          if (received.length < end) return;
          onEvent(decode(received.subarray(FRAME_HEADER, end)));
          received = received.subarray(end);
        }
      });
    },
    close: () => session?.destroy(),
  };
}
