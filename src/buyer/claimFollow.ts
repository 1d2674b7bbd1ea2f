/** Follows a signed claim: broadcast until a spend of the asset has two confirmations, or until it needs another version. */
import { p2wshScriptPubKey } from '../core/htlc.js';
import type { BlockHeight, Txid } from '../core/units.js';
import { SwapError } from '../errors.js';
import { failpointsAroundCall } from '../failpoint.js';
import type { BroadcastOutcome } from '../liquid/chain.js';
import type { ChainSide } from './buyer.js';
import type { ClaimSource } from './claim.js';
import { bumpFor, conditionsOf, type Bump, type BumpReason, type ClaimVersion } from './claimBump.js';
import { agreedEnd, assetSpend, leastAdvanced, lookAtClaim, type ClaimView } from './claimLook.js';
import { askAll, type NamedChain } from './observe.js';
import { mayDecide, operatorsNeeded } from './operators.js';
import { watchChains } from './wait.js';

/** What happened to a claim, for people. */
export type ClaimNews =
  | { readonly kind: 'broadcast'; readonly server: string; readonly outcome: string }
  | { readonly kind: 'seen'; readonly txid: Txid; readonly confirmations: number }
  /** Another version was signed. */
  | { readonly kind: 'bumped'; readonly reason: BumpReason; readonly txid: Txid; readonly feeSat: bigint };

/** How it ended; `pending` when the signal was aborted first. */
export type ClaimEnd = { readonly kind: 'claimed' | 'refunded'; readonly txid: Txid } | { readonly kind: 'pending' };

/** The wait for a block ends after this long, for servers that forget to tell. */
const POLL_MS = 5_000;

type Shown = NamedChain & { readonly view: ClaimView };

const tooFew = (side: ChainSide, names: readonly string[]): SwapError =>
  new SwapError(
    'chain_unavailable',
    `expected ${operatorsNeeded(side)} servers of different operators to show the claim's end, found ${names.join(', ')}; it is followed until another does`,
  );

/** Whether that server needs to be told of the claim. */
function lacks({ view }: Shown, newest: ClaimVersion): boolean {
  const asset = assetSpend(view);
  const isThere = view.spends.some(({ txid }) => txid === newest.txid);
  return !isThere && (asset.kind === 'unspent' || asset.confirmations === 0);
}

export type FollowOptions = {
  /** All versions that were signed, newest last. */
  readonly versions: readonly ClaimVersion[];
  /** At this tip no better version could be made: none is asked for before the next block. */
  readonly stuckAt?: BlockHeight | undefined;
  readonly signal: AbortSignal;
  readonly onNews: (news: ClaimNews) => void;
  readonly onTrouble: (error: SwapError) => void;
};

class Follower {
  readonly #side: ChainSide;
  readonly #source: ClaimSource;
  readonly #options: FollowOptions;
  readonly #newest: ClaimVersion;
  #lastSeen = '';
  readonly #lastOutcomes = new Map<string, string>();
  #waitsSince: BlockHeight | undefined;
  #isToldOfDoubt = false;

  constructor(side: ChainSide, source: ClaimSource, options: FollowOptions) {
    const newest = options.versions.at(-1);
    if (newest === undefined) throw new Error('a claim that is followed has a version');
    this.#side = side;
    this.#source = source;
    this.#options = options;
    this.#newest = newest;
    this.#waitsSince = newest.height;
  }

  /** Looks, broadcasts where the claim is missing, and judges; undefined while it is right to wait. */
  async step(): Promise<ClaimEnd | Bump | undefined> {
    const shown = await this.#look();
    const views = shown.map(({ view }) => view);
    const end = views.length === 0 ? undefined : this.#ended(shown, views);
    if (end !== undefined) return end;
    const informed = new Set(shown.filter((each) => !lacks(each, this.#newest)).map(({ name }) => name));
    const outcomes = await this.#broadcast(this.#side.chains.filter(({ name }) => !informed.has(name)));
    if (views.length === 0) return undefined;
    const { tipHeight } = conditionsOf(views);
    const isConfirmed = views.some((view) => {
      const asset = assetSpend(view);
      return asset.kind !== 'unspent' && asset.confirmations > 0;
    });
    this.#waitsSince = isConfirmed ? tipHeight : (this.#waitsSince ?? tipHeight);
    const { stuckAt, versions } = this.#options;
    if (stuckAt !== undefined && tipHeight <= stuckAt) return undefined;
    return bumpFor({ source: this.#source, versions, views, outcomes, waitsSince: this.#waitsSince });
  }

  async #look(): Promise<Shown[]> {
    const own = new Map(this.#options.versions.map(({ txid, raw }) => [txid, raw]));
    try {
      const { answers, failures } = await askAll(this.#side.chains, async (named) => ({
        ...named,
        view: await lookAtClaim(named, this.#source, own),
      }));
      failures.forEach(this.#options.onTrouble);
      return answers;
    } catch (error) {
      if (!(error instanceof SwapError)) throw error;
      this.#options.onTrouble(error); // nobody can be asked; the claim is broadcast all the same
      return [];
    }
  }

  #ended(shown: readonly Shown[], views: readonly ClaimView[]): ClaimEnd | undefined {
    const state = leastAdvanced(views);
    if (state.kind === 'unspent') return undefined;
    const seen = `${state.txid} ${state.confirmations}`;
    if (seen !== this.#lastSeen) {
      this.#options.onNews({ kind: 'seen', txid: state.txid, confirmations: state.confirmations });
    }
    this.#lastSeen = seen;
    const end = agreedEnd(views);
    const names = shown.map(({ name }) => name);
    if (end === undefined || mayDecide(this.#side, names)) return end;
    if (!this.#isToldOfDoubt) this.#options.onTrouble(tooFew(this.#side, names));
    this.#isToldOfDoubt = true;
    return undefined;
  }

  async #broadcast(chains: readonly NamedChain[]): Promise<BroadcastOutcome[]> {
    return await Promise.all(
      chains.map(async ({ name, chain }) => {
        const send = (raw: Uint8Array) => failpointsAroundCall('broadcast claim', () => chain.broadcast(raw));
        let outcome = await send(this.#newest.raw);
        if (outcome.kind === 'rejected' && outcome.reason === 'missing_inputs') {
          // A reorganisation may have dropped the funding; who has it refuses it, and nothing is lost.
          await chain.broadcast(this.#source.fundingTx);
          outcome = await send(this.#newest.raw);
        }
        const text = outcome.kind === 'rejected' ? `rejected: ${outcome.text}` : outcome.kind;
        if (this.#lastOutcomes.get(name) !== text)
          this.#options.onNews({ kind: 'broadcast', server: name, outcome: text });
        this.#lastOutcomes.set(name, text);
        return outcome;
      }),
    );
  }
}

/**
 * Broadcasts the newest version again and again, wherever it is missing, until a spend of the asset has two confirmations
 * on every server that answers, and those are enough. Safe to run again after a crash: the same bytes.
 *
 * @returns `bump` when another version has to be signed: stored first, then followed in its place.
 */
export async function followClaim(
  side: ChainSide,
  source: ClaimSource,
  options: FollowOptions,
): Promise<ClaimEnd | Bump> {
  const follower = new Follower(side, source, options);
  const watch = watchChains(side.chains, p2wshScriptPubKey(source.witnessScript));
  try {
    while (!options.signal.aborted) {
      const result = await follower.step();
      if (result !== undefined) return result;
      await watch.next(POLL_MS, options.signal);
    }
    return { kind: 'pending' };
  } finally {
    watch.close();
  }
}
