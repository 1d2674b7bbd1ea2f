/** What a verification compares: the buyer's own side of the deal, what the seller handed over, what servers show. */
import type { LiquidNetworkName } from '../core/network.js';
import type { AcceptedTip } from '../core/tipRule.js';
import type { ProfileName } from '../core/timelock.js';
import type {
  AssetAmount,
  AssetId,
  BlockHash,
  Msat,
  Pubkey,
  QuoteId,
  Sat,
  SatPerKvb,
  SwapId,
  Txid,
  UnixSecs,
} from '../core/units.js';
import type { Tip } from '../liquid/chain.js';

/** What the buyer asked for and accepted, stored before CreateSwap. */
export type Deal = {
  readonly network: LiquidNetworkName;
  readonly genesis: BlockHash;
  /** Pinned on first use or given by the user. */
  readonly sellerNodeId: Pubkey;
  readonly quoteId: QuoteId;
  readonly assetId: AssetId;
  readonly assetAmount: AssetAmount;
  readonly priceMsat: Msat;
  readonly feeSubsidySat: Sat;
  readonly profile: ProfileName;
  readonly refundDeltaBlocks: number;
  /** Depth the buyer asked for. */
  readonly minFundingConfs: number;
  readonly invoiceExpirySecs: number;
  readonly claimPubkey: Pubkey;
};

/** What the seller handed over. Nothing in it is believed. */
export type Handover = {
  readonly swapId: SwapId;
  readonly bolt11: string;
  readonly witnessScript: Uint8Array;
  readonly fundingTxid: Txid;
};

/** What one Electrum server of the buyer shows about the HTLC, or why it shows nothing. */
export type ServerView =
  | {
      /** `ssl://host:port` or `tcp://host:port`. */
      readonly name: string;
      readonly genesis: BlockHash;
      readonly tip: Tip;
      /** Raw funding transaction, if the server has it. */
      readonly funding: Buffer | undefined;
      /** Signed height from the script's history; undefined when the funding is not in it. */
      readonly fundingHeight: number | undefined;
      /** Block of a proven inclusion, or why there is none. */
      readonly inclusion: { readonly block: BlockHash } | { readonly problem: string };
      /** Keys of the unspent outpoints of the HTLC script. */
      readonly unspent: ReadonlySet<string>;
      /** Raw transactions of the script's history besides the funding; spends are read out of these bytes. */
      readonly others: readonly Buffer[];
      readonly feeRate: SatPerKvb;
    }
  | { readonly name: string; readonly problem: string };

/** Everything else that a verification needs. */
export type Surroundings = {
  readonly servers: readonly ServerView[];
  readonly now: UnixSecs;
  readonly lastAcceptedTip: AcceptedTip | undefined;
  /** The user's word that one server is enough on mainnet. */
  readonly isSingleServerTrusted: boolean;
  /** Confirmed L-BTC of the buyer's own wallet, which may pay the claim instead of the subsidy; 0 when not asked. */
  readonly ownLbtcSat: Sat;
};
