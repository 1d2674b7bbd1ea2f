/** The Liquid half of a world: the chain, its Electrum server, and what the commands ask of it. */

/** A payment of the faucet. */
export type LiquidFaucetRequest = {
  /** Confidential or not. */
  readonly address: string;
  /** Display order. */
  readonly assetId: string;
  /** Smallest units. */
  readonly amount: bigint;
};

/** What the world needs of its Liquid chain. */
export type LiquidSide = {
  /** Hash of block 0, display order. */
  readonly genesis: string;
  /** The fee asset (L-BTC), display order. */
  readonly policyAsset: string;
  tip(): { readonly height: number; readonly hash: string };
  mempoolSize(): number;
  /** @returns hashes, oldest first. */
  mine(blocks: number): string[];
  /** Replaces the last blocks by one more; transactions return. @returns hashes of the new blocks. */
  reorg(blocks: number): string[];
  /** Pays from the faucet into the mempool. @returns the txid. */
  faucet(request: LiquidFaucetRequest): string;
  /** Issues an asset into the faucet. @returns its id, display order. */
  issue(amount: bigint, precision: number): string;
  /** Least relay fee, satoshi per 1000 virtual bytes. */
  floor(): bigint;
  setFloor(satPerKvb: bigint): void;
  close(): Promise<void>;
};

export function openLiquidSide(_options: {
  readonly dir: string;
  readonly port: number;
  readonly onError: (error: unknown) => void;
}): Promise<LiquidSide> {
  throw new Error('not there yet');
}
