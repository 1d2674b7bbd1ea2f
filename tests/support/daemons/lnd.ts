/** lnd as a process over several lives, and what its operator does with it. */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import {
  authenticatedLndGrpc,
  createInvoice,
  getWalletInfo,
  grantAccess,
  type AuthenticatedLnd,
  type GetWalletInfoResult,
} from 'lightning';

import { hex, pubkey, type Preimage, type Pubkey } from '../../../src/core/units.js';
import { connectLnd } from '../../../src/lightning/lnd.js';
import type { HoldInvoiceRequest, LightningNode } from '../../../src/lightning/node.js';
import { createLogger } from '../../../src/log.js';
import { onFreePorts } from '../freePort.js';
import type { Software } from '../interoperability.js';
import { builtDaemon } from './binaries.js';
import { isPortTaken, startChild, type DaemonChild } from './child.js';
import type { FullNode } from './fullNode.js';

const READY_MS = 120_000;

export type LndOptions = {
  readonly dir: string;
  readonly name: string;
  readonly chain: FullNode;
  /** Of a fee server. */
  readonly feeUrl: string;
  /** More flags, e.g. `--max-cltv-expiry=...`. */
  readonly more?: readonly string[] | undefined;
};

type Ports = { readonly rpc: number; readonly p2p: number };

/** One node over several lives; its ports stay the same. */
export class LndProcess {
  readonly name: string;
  /** What the process wrote, over all its lives. */
  readonly logFile: string;
  readonly tlsCertFile: string;
  readonly adminMacaroonFile: string;
  readonly #options: LndOptions;
  readonly #dir: string;
  #ports: Ports | undefined;
  #child: DaemonChild | undefined;
  #lnd: AuthenticatedLnd | undefined;
  #nodeId: Pubkey | undefined;
  #version: string | undefined;

  constructor(options: LndOptions) {
    this.#options = options;
    this.name = options.name;
    this.#dir = join(options.dir, options.name);
    mkdirSync(this.#dir, { recursive: true });
    this.logFile = join(this.#dir, 'lnd.log');
    this.tlsCertFile = join(this.#dir, 'tls.cert');
    this.adminMacaroonFile = join(this.#dir, 'data/chain/bitcoin/regtest/admin.macaroon');
  }

  /** host:port of its gRPC. By name: the TLS library warns of addresses. */
  get rpcAddress(): string {
    return `localhost:${this.#known(this.#ports).rpc}`;
  }

  /** host:port for peers. */
  get peerAddress(): string {
    return `127.0.0.1:${this.#known(this.#ports).p2p}`;
  }

  get nodeId(): Pubkey {
    return this.#known(this.#nodeId);
  }

  /** As it calls itself, e.g. `0.20.1-beta`; the commit only if its build knew one. */
  get software(): Software {
    return softwareOf(this.#known(this.#version));
  }

  /** Client with every right, for what only an operator does; it outlives restarts. */
  get lnd(): AuthenticatedLnd {
    return this.#known(this.#lnd);
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  get pid(): number {
    return this.#known(this.#child).pid;
  }

  /** Starts and waits until the RPC answers and the chain is followed. */
  async start(): Promise<void> {
    if (this.#ports === undefined) {
      await onFreePorts((rpc, p2p) => this.#startOn({ rpc, p2p }), isPortTaken);
    } else await this.#startOn(this.#ports);
  }

  /** @returns its exit code, null after a signal that it did not handle */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number | null> {
    const child = this.#child;
    this.#child = undefined;
    return (await child?.stop(signal)) ?? null;
  }

  async restart(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    await this.stop(signal);
    await this.start();
  }

  /** Stops the process in its tracks, or lets it go on. */
  freeze(isFrozen: boolean): void {
    this.#child?.freeze(isFrozen);
  }

  /** The port on this node with a macaroon of just these rights, e.g. `invoices:read`; `close` it. */
  async connect(permissions: readonly string[]): Promise<LightningNode> {
    const { rpcAddress: address, tlsCertFile } = this;
    const macaroonFile = await this.bakeMacaroon(permissions);
    return connectLnd({ address, tlsCertFile, macaroonFile, log: createLogger('test', 'silent') });
  }

  /** An invoice that lnd settles by itself, with the fields of a request. */
  async addPlainInvoice(preimage: Preimage, request: HoldInvoiceRequest): Promise<void> {
    await createInvoice({
      lnd: this.lnd,
      secret: hex(preimage),
      mtokens: request.amountMsat.toString(),
      description: request.label,
      description_hash: request.descriptionHash,
      cltv_delta: request.minFinalCltvDelta,
      expires_at: new Date(Date.now() + request.expirySecs * 1000).toISOString(),
    });
  }

  /** All that the process wrote. */
  log(): string {
    return readFileSync(this.logFile, 'utf8');
  }

  /** A macaroon with just these rights, e.g. `invoices:read`. @returns its file */
  async bakeMacaroon(permissions: readonly string[]): Promise<string> {
    const { macaroon } = await grantAccess({ lnd: this.lnd, permissions: [...permissions] });
    const file = join(this.#dir, `${permissions.join('_').replaceAll(/[^a-z_]/g, '-')}.macaroon`);
    writeFileSync(file, Buffer.from(macaroon, 'base64'), { mode: 0o600 });
    return file;
  }

  async #startOn(ports: Ports): Promise<void> {
    const child = await startChild({
      name: `lnd ${this.name}`,
      program: builtDaemon('lnd'),
      dir: this.#dir,
      logFile: this.logFile,
      args: this.#args(ports),
    });
    this.#child = child;
    try {
      await child.until(
        'its TLS certificate and macaroon',
        () => Promise.resolve([this.tlsCertFile, this.adminMacaroonFile].every(isWritten)),
        READY_MS,
      );
      const { lnd } = authenticatedLndGrpc({
        cert: readFileSync(this.tlsCertFile).toString('base64'),
        macaroon: readFileSync(this.adminMacaroonFile).toString('base64'),
        socket: `localhost:${ports.rpc}`,
      });
      const info = await child.until('its RPC at the tip of the chain', () => syncedInfo(lnd), READY_MS);
      this.#lnd = lnd;
      this.#nodeId = pubkey(info.public_key);
      this.#version = info.version;
      this.#ports = ports;
    } catch (error) {
      await this.stop('SIGKILL');
      throw error;
    }
  }

  #args({ rpc, p2p }: Ports): string[] {
    const { chain, feeUrl, more = [] } = this.#options;
    return [
      `--lnddir=${this.#dir}`,
      '--bitcoin.regtest',
      ...chain.lndFlags,
      `--fee.url=${feeUrl}`,
      '--noseedbackup',
      `--rpclisten=127.0.0.1:${rpc}`,
      `--listen=127.0.0.1:${p2p}`,
      '--norest',
      '--nobootstrap',
      '--trickledelay=50',
      '--bitcoin.defaultchanconfs=1',
      `--alias=${this.name}`,
      '--debuglevel=info',
      ...more,
    ];
  }

  #known<T>(value: T | undefined): T {
    if (value === undefined) throw new Error(`lnd ${this.name} is not running`);
    return value;
  }
}

/** lnd by the version that it tells. */
export const softwareOf = (version: string): Software => ({
  program: 'lnd',
  version: version.replace(/ commit=$/, ''),
});

/** A file is there for a moment before it has anything in it. */
const isWritten = (file: string): boolean => (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0;

/** No call of lnd has a deadline of its own. */
async function syncedInfo(lnd: AuthenticatedLnd): Promise<GetWalletInfoResult | undefined> {
  const info = await Promise.race([
    getWalletInfo({ lnd }),
    new Promise<undefined>((resolve) => {
      setTimeout(resolve, 5_000, undefined).unref();
    }),
  ]);
  return info?.is_synced_to_chain === true ? info : undefined;
}
