/** world.json: where everything in a world is, for programs and scripts. It holds secrets, so its mode is 0600. */
import type { WorldAsset } from './files.js';

/** A Lightning node of the world. `pid` is null while it does not run. */
export type WorldNode = {
  readonly address: string;
  /** Null: plain text on loopback. */
  readonly tls_cert: string | null;
  readonly token_file: string;
  readonly node_id: string;
  readonly p2p: string;
  readonly pid: number | null;
  readonly dir: string;
};

/** The seller daemon. `pid` is null while it does not run. */
type WorldSeller = {
  readonly address: string;
  readonly admin: string;
  readonly tls_cert: string | null;
  /** Null: no token is needed. */
  readonly token_file: string | null;
  readonly admin_token_file: string;
  readonly pid: number | null;
  readonly config: string;
  readonly database: string;
};

/** The whole file. Version 1 of its format. */
export type WorldFile = {
  readonly version: 1;
  readonly network: 'regtest';
  /** Hash of Liquid's block 0, display order. */
  readonly genesis: string;
  readonly policy_asset: string;
  readonly assets: Readonly<Record<string, WorldAsset>>;
  readonly electrum: { readonly host: string; readonly port: number };
  readonly bitcoin_rpc: { readonly url: string; readonly user: string; readonly password: string };
  readonly swapd: WorldSeller;
  readonly lnnoded: { readonly seller: WorldNode; readonly buyer: WorldNode };
  /** Path of the control socket. */
  readonly control: string;
  readonly pid: number;
};
