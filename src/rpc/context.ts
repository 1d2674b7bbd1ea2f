/** What the handlers get besides the engine's parts. */
import type { CallContext } from 'nice-grpc-common';

import type { HtlcReport } from '../core/facts.js';
import type { SwapId } from '../core/units.js';
import type { EngineContext } from '../engine/context.js';
import type { Reconciler } from '../engine/reconcile.js';
import type { ConfiguredOffer } from './offers.js';

type Limits = {
  readonly maxInflightSwaps: number;
  readonly maxOpenUnpaidPerPrincipal: number;
  readonly maxAssetSharePerPrincipalPpm: number;
  readonly maxAssetSharePpm: number;
  readonly createPerMinute: number;
  readonly maxStreamsPerPrincipal: number;
};

/** An answer of the chain and what it was asked for. */
type ShownHtlc = { readonly key: string; readonly at: number; readonly report: Promise<HtlcReport | undefined> };

export type RpcContext = EngineContext & {
  readonly reconciler: Reconciler;
  readonly offers: readonly ConfiguredOffer[];
  readonly limits: Limits;
  readonly version: string;
  readonly startedAt: number;
  readonly trustsSingleElectrum: boolean;
  /** What was shown of each HTLC last. */
  readonly shownHtlcs: Map<SwapId, ShownHtlc>;
};

/** A call with its authenticated caller. */
export type BuyerCall = CallContext & {
  readonly principal: string;
  /** Unix milliseconds by which the answer should be out. */
  readonly answerBy: number;
};
