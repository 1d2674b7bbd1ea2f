/** A lie: where a seller, or one of the buyer's own servers, deviates from the truth, and what it is refused with. */
import type { Terms } from '../../src/core/terms.js';
import type { BlockHeight, PaymentHash, Txid } from '../../src/core/units.js';
import type { Swap } from '../../src/gen/ln_liquid_swap/v1/swap.js';
import type { LiquidChain } from '../../src/liquid/chain.js';
import type { InvoiceParts } from '../support/bolt11Parts.js';
import type { Forged, Forgery } from '../support/forge.js';
import type { HostileProxy } from '../support/hostileProxy.js';
import type { SellerLie } from '../support/lyingSeller.js';

/** What becomes of a forged funding before it is handed over; `confirmed` as deep as was asked unless it is said. */
export type Fate = 'confirmed' | 'shallow' | 'unconfirmed' | 'never sent' | 'claimed' | 'refunded';

/** What the seller hands over, and what is true. */
export type Scene = {
  /** The honest swap, funded and payable. */
  readonly honest: Swap;
  readonly terms: Terms;
  readonly forged: Forged | undefined;
  readonly bolt11: string;
  readonly witnessScript: Buffer;
  readonly scriptPubKey: Buffer;
  readonly fundingTxid: Txid;
  readonly rawFunding: Buffer;
  readonly tip: BlockHeight;
  /** Block of the funding that is handed over; undefined if it is in none. */
  readonly fundingHeight: number | undefined;
  /** Every payment hash that this lie could make someone pay. */
  readonly hashes: ReadonlySet<PaymentHash>;
  /** The truth about the chain. */
  readonly chain: LiquidChain;
  /** A transaction of somebody else's, deep in the chain. */
  readonly strangersTxid: Txid;
};

export type Lie = {
  readonly name: string;
  /** Every check that it fails, or the code of the error: these and no others. None: it is harmless. */
  readonly codes: readonly string[];
  readonly forgery?: Forgery;
  readonly fate?: Fate;
  /** The terms that the invoice commits to, made from those that fit the HTLC. */
  readonly terms?: (fitting: Terms, honest: Terms) => Terms;
  readonly invoice?: (fitting: InvoiceParts, honest: Terms) => InvoiceParts;
  /** Signs the invoice in place of the seller's node. */
  readonly signer?: Uint8Array;
  readonly bolt11?: (signed: string) => string;
  /** Told by the seller after it handed over what was forged. */
  readonly seller?: (scene: Scene) => SellerLie;
  /**
   * What the buyer has heard before the lie: `nothing` not even that the swap is stored, `its id` (unless it is said)
   * nothing else, `the truth` which HTLC the seller funded.
   */
  readonly heard?: 'nothing' | 'its id' | 'the truth';
  /** Where the purchase ends if it is refused: `unpaid`, or `none` if it was not even begun. */
  readonly step?: 'none';
  /** Told from the quote on; nothing is forged. */
  readonly quote?: SellerLie;
  /** Told by one of the buyer's servers. */
  readonly electrum?: (liar: HostileProxy, scene: Scene) => void | Promise<void>;
  /** The lying server cannot be used at all. */
  readonly isMute?: boolean;
  /** The lying server is the only one. */
  readonly isAlone?: boolean;
};
