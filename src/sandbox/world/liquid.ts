/** The Liquid half of a world: the chain, its Electrum server, and what the commands ask of it. */
import { assetId, satPerKvb } from '../../core/units.js';
import { decodeAddress, listenElectrum, openLiquidChain } from '../liquid/world.js';
import { HOST } from './layout.js';

/** A payment of the faucet. */
type LiquidGift = {
  /** Confidential or not. */
  readonly address: string;
  /** Display order. */
  readonly assetId: string;
  /** Smallest units. */
  readonly amount: bigint;
};

/** A new asset, all of it for the faucet. `amount` in smallest units. */
type LiquidIssue = { readonly ticker: string; readonly precision: number; readonly amount: bigint };

/** What the world needs of its Liquid chain. */
export type LiquidSide = {
  /** Hash of block 0, display order. */
  readonly genesis: string;
  /** The fee asset (L-BTC), display order. */
  readonly policyAsset: string;
  tip(): { readonly height: number; readonly hash: string };
  mempoolSize(): number;
  mine(blocks: number): void;
  /** Replaces the last blocks by one more. Their transactions are mined again, or vanish with `isDropping`. */
  reorg(blocks: number, isDropping: boolean): void;
  /** Pays from the faucet into the mempool. @returns the txid. */
  faucet(gift: LiquidGift): string;
  /** Issues into the mempool. @returns the asset's id, display order. */
  issue(request: LiquidIssue): string;
  /** Least relay fee, satoshi per 1000 virtual bytes. */
  floor(): bigint;
  setFloor(rate: bigint): void;
  close(): Promise<void>;
};

/** Opens the chain of a folder and serves it. */
export async function openLiquidSide({
  dir,
  port,
}: {
  readonly dir: string;
  readonly port: number;
}): Promise<LiquidSide> {
  const chain = await openLiquidChain({ dir });
  const server = await listenElectrum(chain, { host: HOST, port });
  return {
    genesis: chain.genesis,
    policyAsset: chain.policyAsset,
    tip: () => chain.tip(),
    mempoolSize: () => chain.status().mempool.length,
    mine: (blocks) => {
      chain.mine(blocks);
    },
    reorg: (blocks, isDropping) => {
      chain.reorg(blocks, { dropTransactions: isDropping });
      chain.mine(blocks + 1);
    },
    faucet: ({ address, assetId: id, amount }) =>
      chain.faucet({ ...decodeAddress(address), assetId: assetId(id), amount }),
    issue: (request) => chain.issueAsset(request).assetId,
    floor: () => chain.status().relayFloor,
    setFloor: (rate) => {
      chain.setRelayFloor(satPerKvb(rate));
    },
    close: async () => {
      await server.close();
      chain.close();
    },
  };
}
