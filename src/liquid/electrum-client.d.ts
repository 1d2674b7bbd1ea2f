/** The members of electrum-client 0.0.6 that the connection builds on; the package ships no types. */
declare module 'electrum-client' {
  import type { Socket } from 'node:net';

  class ElectrumClient {
    constructor(port: number, host: string, protocol?: 'tcp' | 'tls', options?: object);
    conn: Socket;
    /** 0 while requests are refused. */
    status: 0 | 1;
    connect(): Promise<void>;
    close(): void;
    /** Rejects with what stands in the answer's `error` (any JSON), or with an Error when {@link onClose} runs. */
    request(method: string, params: readonly unknown[]): Promise<unknown>;
    /** Settles the request with that id, if it is still open. */
    response(message: { readonly id: number; readonly error?: unknown; readonly result?: unknown }): void;
    onRecv(chunk: Buffer): void;
    onMessage(line: string): void;
    /** Rejects every open request. */
    onClose(): void;
  }
  export = ElectrumClient;
}
