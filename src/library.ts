/**
 * The public entry of the package: what a wallet needs to check a swap, to buy one, and to prove it afterwards.
 *
 * It is the only file that re-exports (docs/adr/0015-library.md); nothing in this repository imports it. Importing it
 * does nothing: no timer, no process handler, no file, no connection. docs/buyer-library.md explains it with examples.
 */

// Amounts, heights and identifiers: checked constructors and their types.
export {
  assetAmount,
  assetId,
  blockHash,
  blockHeight,
  msat,
  paymentHash,
  preimage,
  pubkey,
  quoteId,
  sat,
  satPerKvb,
  swapId,
  txid,
  unixSecs,
} from './core/units.js';
export type {
  AssetAmount,
  AssetId,
  BlockHash,
  BlockHeight,
  Msat,
  Outpoint,
  PaymentHash,
  Preimage,
  Pubkey,
  QuoteId,
  Sat,
  SatPerKvb,
  SwapId,
  Txid,
  UnixSecs,
} from './core/units.js';
export { decodeAddress, encodeAddress, LIQUID_NETWORKS, networkOfGenesis } from './core/network.js';
export type { LiquidNetwork, LiquidNetworkName, PayTo } from './core/network.js';
export { canonicalTerms, parseTerms, termsHash } from './core/terms.js';
export type { Terms } from './core/terms.js';

// Errors: each has a stable `code`.
export { SwapError } from './errors.js';
export type { ErrorCode, FieldViolation } from './errors.js';
export { BuyerError, RemoteError } from './buyer/buyerError.js';
export type { BuyerErrorCode, RemoteOutcome } from './buyer/buyerError.js';
export { VerificationRefused } from './buyer/verifyHandover.js';
export { createLogger } from './log.js';
export type { Logger } from './log.js';

// Verify a swap alone.
export { connectChains } from './buyer/connect.js';
export type { BuyerEndpoints, ElectrumEndpoints, Opened } from './buyer/connect.js';
export type { Buyer, ChainSide } from './buyer/buyer.js';
export { observeHtlc } from './buyer/observe.js';
export type { NamedChain } from './buyer/observe.js';
export type { Deal, Handover, ServerView, Surroundings } from './buyer/deal.js';
export { failedCodes, verifySwap } from './buyer/verify.js';
export type { VerificationReport } from './buyer/verify.js';
export { outlook } from './buyer/outlook.js';
export type { Outlook } from './buyer/outlook.js';
export { CHECK_CODES } from './buyer/check.js';
export type { Check, CheckCode } from './buyer/check.js';

// Buy.
export { initDataDir, isInitialized, findRecord, readRecord, readRecords } from './buyer/dataDir.js';
export { connectBuyer } from './buyer/connect.js';
export { openSeller } from './buyer/rpcClient.js';
export type { RpcConnection, RpcEndpoint, SellerClient } from './buyer/rpcClient.js';
export { listOffers, requestQuote } from './buyer/quote.js';
export type { SellerOffer, SellerOffers, SellerQuote } from './buyer/quote.js';
export { startPurchase } from './buyer/purchase.js';
export type { Wishes } from './buyer/purchase.js';
export { drivePurchase } from './buyer/session.js';
export type { DriveOptions, PurchaseEvent } from './buyer/drive.js';
export type { ExternalInvoice, ExternalPayer } from './buyer/externalPay.js';
export { isFinal } from './buyer/record.js';
export type { Progress, PurchaseRecord, Step, StoredHtlc } from './buyer/record.js';

// Claim from a kit.
export { claimKitFile } from './buyer/claimStep.js';
export { readClaimKit } from './buyer/claimKit.js';
export type { ClaimKit } from './buyer/claimKit.js';
export { claimFromKit } from './buyer/claimFromKit.js';
export type { ClaimEnd, ClaimNews } from './buyer/claimFollow.js';

// Evidence.
export { readEvidence, verifyEvidence } from './buyer/evidence.js';
export { failedEvidenceCodes } from './buyer/checkEvidence.js';
export type { EvidenceFacts, EvidenceReport } from './buyer/checkEvidence.js';
export { EVIDENCE_CODES } from './buyer/evidenceCheck.js';
export type { EvidenceCheck, EvidenceCode } from './buyer/evidenceCheck.js';
