/** `swapd recover --bundles`: refunds from seed and recovery bundles, with the database gone. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { seedFromMnemonic } from './core/keys.js';
import type { SwapId } from './core/units.js';
import { bundleIds, readBundle, type Bundle } from './engine/bundle.js';
import type { EngineContext } from './engine/context.js';
import { createReconciler, type Reconciler } from './engine/reconcile.js';
import { adoptBundle, outcomeOf, type Outcome } from './engine/recovery.js';
import { acceptTip, judgedTip } from './engine/tip.js';
import { errorChain, SwapError } from './errors.js';
import { readMnemonicFile } from './liquid/walletFile.js';
import { createLogger } from './log.js';
import { lockDatabase } from './store/db.js';
import { peekFundings } from './store/peek.js';
import { checkConfig, type SwapdConfig } from './swapdConfig.js';
import { openStoreAt, wire } from './wire.js';

/** Without --wait things that are under way get this long. */
const SOON_MS = 10_000;
const SOON_PAUSE_MS = 500;
const BLOCK_PAUSE_MS = 5_000;

/** What the operator has to know before typing --accept-payment-risk. */
export const RISK_MEANS =
  'Accepting the payment risk of a swap means: it is refunded although no Lightning node reports its payment as canceled. ' +
  'If it was paid in the meantime, the buyer loses its money to you, or claims the asset before your refund confirms.';

export type BundleRecovery = {
  /** Folder of the bundles; nothing is written to it. */
  readonly dir: string;
  /** Swaps whose payment risk the operator accepts. */
  readonly risks: ReadonlySet<SwapId>;
  /** Go on until every refund that was sent has its confirmations. */
  readonly isWaiting: boolean;
  readonly say: (line: string) => void;
};

/**
 * Refunds what may be refunded now. It works on a database of its own, which is thrown away: running it again starts from
 * the chain and the node.
 *
 * @returns what became of every bundle that the configured database does not know.
 * @throws SwapError `bad_config`, also while the daemon runs.
 */
export async function recoverBundles(config: SwapdConfig, recovery: BundleRecovery): Promise<readonly Outcome[]> {
  const { network } = checkConfig(config);
  const seed = seedFromMnemonic(readMnemonicFile(config.wallet.mnemonic_file));
  const { path } = config.database;
  const lock = existsSync(dirname(resolve(path))) ? lockDatabase(path) : undefined;
  const dir = mkdtempSync(join(tmpdir(), 'swapd-recover-'));
  try {
    const bundles = forgottenBundles(path, recovery);
    if (bundles.length === 0) return [];
    const store = openStoreAt(join(dir, 'recover.sqlite'));
    const log = createLogger('swapd', config.log.level === 'debug' ? 'debug' : 'error');
    const { ctx, close } = await wire(config, { network, store, seed, bundleDir: dir, log });
    // The wallet has spent coins that this database never knew. All that it knows was proved by chain and node.
    ctx.comparison.pending.delete('the chain');
    try {
      return await drive(ctx, bundles, recovery);
    } finally {
      close();
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
    lock?.[Symbol.dispose]();
  }
}

type Candidate = { readonly id: SwapId; readonly bundle: Bundle | SwapError };

/** Bundles that no working database takes care of. */
function forgottenBundles(path: string, { dir, say }: BundleRecovery): readonly Candidate[] {
  const known = peekFundings(path);
  if (known === undefined && existsSync(path)) say(`The database ${path} is damaged: it counts as gone.`);
  const candidates = bundleIds(dir).map((id): Candidate => ({ id, bundle: read(dir, id) }));
  const forgotten = candidates.filter(({ id, bundle }) => {
    const funding = known?.get(id);
    return funding === undefined || (!(bundle instanceof SwapError) && bundle.fundingTxid !== funding);
  });
  const others = candidates.length - forgotten.length;
  if (others > 0) {
    say(`${others} swaps are known to the database ${path}: the daemon takes care of them.`);
    say('To recover them without it, move the database away.');
  }
  if (forgotten.length === 0) say(`There is no other bundle in ${dir}.`);
  return forgotten;
}

function read(dir: string, id: SwapId): Bundle | SwapError {
  try {
    return readBundle(dir, id);
  } catch (error) {
    if (error instanceof SwapError) return error;
    throw error;
  }
}

async function drive(
  ctx: EngineContext,
  candidates: readonly Candidate[],
  { risks, isWaiting, say }: BundleRecovery,
): Promise<readonly Outcome[]> {
  const reconciler = createReconciler(ctx);
  const told = new Map<SwapId, string>();
  const end = Date.now() + SOON_MS;
  for (;;) {
    const outcomes = await round(ctx, reconciler, { candidates, risks });
    const isSoon = outcomes.some(({ kind }) => kind === 'soon');
    const isConfirming = outcomes.some(({ kind }) => kind === 'confirming');
    const isLast = isWaiting ? !isSoon && !isConfirming : !isSoon || Date.now() > end;
    candidates.forEach(({ id }, i) => {
      const outcome = outcomes[i];
      if (outcome === undefined || (!isLast && outcome.kind === 'soon') || told.get(id) === outcome.text) return;
      told.set(id, outcome.text);
      say(`${id}  ${outcome.text}`);
    });
    if (isLast) return outcomes;
    await delay(isSoon ? SOON_PAUSE_MS : BLOCK_PAUSE_MS);
  }
}

/** Adopts what is not adopted, drives everything on, and tells where it stands. */
async function round(
  ctx: EngineContext,
  reconciler: Reconciler,
  { candidates, risks }: { readonly candidates: readonly Candidate[]; readonly risks: ReadonlySet<SwapId> },
): Promise<readonly Outcome[]> {
  const away = await orOutcome(async () => {
    const { tip, problem } = await judgedTip(ctx);
    await ctx.wallet.sync(); // refunds are paid to it
    acceptTip(ctx, tip, problem);
    return undefined;
  });
  if (away !== undefined) return candidates.map(() => away);
  const failures: (Outcome | undefined)[] = [];
  for (const { id, bundle } of candidates) {
    failures.push(await orOutcome(() => adopt(ctx, bundle, risks.has(id))));
  }
  await reconciler.reconcileAll();
  return Promise.all(
    candidates.map(async ({ id }, i) => failures[i] ?? (await orOutcome(() => outcomeOf(ctx, id))) ?? NOTHING),
  );
}

const NOTHING: Outcome = { kind: 'later', text: 'nothing is known about it' };

async function adopt(
  ctx: EngineContext,
  bundle: Bundle | SwapError,
  isRiskAccepted: boolean,
): Promise<Outcome | undefined> {
  if (bundle instanceof SwapError) throw bundle;
  const isAdopted = await adoptBundle(ctx, bundle, { isRiskAccepted });
  if (isAdopted) return undefined;
  return { kind: 'later', text: `no server has its funding ${bundle.fundingTxid}: there is nothing to refund so far` };
}

/** A wrong bundle is refused; a server or node that is away may come back. */
async function orOutcome(work: () => Promise<Outcome | undefined>): Promise<Outcome | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SwapError)) throw error;
    switch (error.code) {
      case 'invalid_argument':
        return { kind: 'refused', text: error.message };
      case 'lightning_unavailable':
        return { kind: 'soon', text: 'the Lightning node does not answer, and only its report of CANCELED counts' };
      default:
        return { kind: 'soon', text: errorChain(error) };
    }
  }
}
