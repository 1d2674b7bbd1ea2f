/** The sandbox's Liquid side as other programs use it: the chain and its faucet in one. */
import type { AssetId, BlockHash, Txid } from '../../core/units.js';
import { openChain, type Chain, type ChainOptions } from './chain.js';
import { issueStock, payGift, type Gift, type IssueRequest } from './faucet.js';
import { GENESIS_HASH, POLICY_ASSET } from './regtest.js';
import type { ChainTip } from './state.js';

export { decodeAddress } from './address.js';
export { NodeError } from './chain.js';
export { listenElectrum, type ElectrumServer } from './electrumServer.js';

/** The chain in figures. */
type ChainStatus = {
  readonly tip: ChainTip;
  /** Txids that wait for a block, parents first. */
  readonly mempool: readonly Txid[];
  /** Satoshi per 1000 virtual bytes. */
  readonly relayFloor: bigint;
};

/** A Liquid regtest chain with a faucet. */
export type LiquidSandbox = Chain & {
  readonly genesis: BlockHash;
  readonly policyAsset: AssetId;
  /**
   * Pays L-BTC of the free coins, or an asset of the faucet's own issue; blinded if a blinding key is given. The payment
   * waits in the mempool.
   * @throws SwapError `insufficient_inventory`, `invalid_argument`; NodeError if the transaction is refused (e.g. dust).
   */
  faucet(gift: Gift): Txid;
  /** Issues an asset into the faucet's stock. @throws SwapError `invalid_argument`. */
  issueAsset(request: IssueRequest): { readonly assetId: AssetId; readonly txid: Txid };
  /** What a transaction is and where: its raw hex, and its height unless it waits. */
  transaction(id: Txid): { readonly rawHex: string; readonly height: number | undefined } | undefined;
  status(): ChainStatus;
};

/**
 * Opens the chain stored in a directory or starts a new one; without a directory it lives in memory.
 *
 * @throws Error if the stored chain is damaged.
 */
export async function openLiquidChain(options: ChainOptions = {}): Promise<LiquidSandbox> {
  const chain = await openChain(options);
  const { state } = chain;
  return {
    ...chain,
    genesis: GENESIS_HASH,
    policyAsset: POLICY_ASSET,
    faucet: (gift) => payGift(chain, gift),
    issueAsset: (request) => issueStock(chain, request),
    transaction: (id) => {
      const known = state.transactions.get(id);
      return known === undefined ? undefined : { rawHex: known.rawHex, height: known.height };
    },
    status: () => ({
      tip: chain.tip(),
      mempool: [...state.ledger.mempool.keys()],
      relayFloor: state.ledger.policy.relayFloor,
    }),
  };
}
