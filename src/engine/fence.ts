/**
 * FENCED: this database may be an old copy (docs/protocol.md section 3, docs/adr/0013).
 *
 * What an old copy does not know is told by others: the generation's side file and the recovery bundles at boot, the
 * wallet's spent coins with every sync, the Lightning node's invoices with the first contact. A sign of it is stored and
 * stands until the operator accepts it. What was not looked at yet counts as a sign, too, but is never stored.
 */
import { hashPreimage } from '../core/htlc.js';
import { blockHeight, swapId } from '../core/units.js';
import type { Swap } from '../core/swap.js';
import { errorChain, SwapError } from '../errors.js';
import type { HoldInvoice } from '../lightning/node.js';
import type { HistoryEntry } from '../liquid/chain.js';
import { dropFinding, isKnownFinding, openFindings, saveFinding, type Finding } from '../store/fence.js';
import { knownFundings } from '../store/restored.js';
import { swapIdOfHash } from '../store/swaps.js';
import { isOwnTx } from '../store/txs.js';
import { bundleIds, readBundle } from './bundle.js';
import type { Comparison, EngineContext } from './context.js';

/** More of them are counted, not told. */
const TOLD_FINDINGS = 20;
/** Transactions looked at side by side. */
const BATCH = 20;

/** At the start nothing was compared. */
export const newComparison = (): Comparison => ({
  pending: new Set(['the chain', 'the node']),
  knownSpends: new Set(),
  withNode: undefined,
});

/** Why the daemon is FENCED, as sentences; undefined if it is not. */
export function fenceReason({ health, comparison }: Pick<EngineContext, 'health' | 'comparison'>): string | undefined {
  if (health.fence !== undefined) return health.fence;
  const { pending } = comparison;
  return pending.size === 0 ? undefined : `not yet compared with ${[...pending].join(' and ')}`;
}

/**
 * Whether a swap has to be treated as FENCED. A cancellation that is committed waits for no comparison with the node: every
 * later copy of this database knows it, too, so none can have settled. A node that is gone for ever keeps no refund back.
 */
export function isFencedFor({ health, comparison }: EngineContext, swap: Swap): boolean {
  if (health.fence !== undefined || comparison.pending.has('the chain')) return true;
  return comparison.pending.has('the node') && swap.payment !== 'CANCELED';
}

/** The findings as one text. */
export function tellFindings(findings: readonly Finding[]): string | undefined {
  if (findings.length === 0) return undefined;
  const told = findings.slice(0, TOLD_FINDINGS).map(({ text }) => text);
  const untold = findings.length - told.length;
  return [...told, ...(untold > 0 ? [`and ${untold} more`] : [])].join('; ');
}

/**
 * The comparison with the files beside the bundles, at boot and before an offline command. What they told at an earlier
 * boot and do not tell any more is dropped: a folder that was not mounted, a newer database that was put back in time.
 *
 * @returns everything that is found and not accepted.
 */
export function compareWithFiles(
  ctx: Pick<EngineContext, 'store' | 'generation' | 'bundleDir' | 'now' | 'log'>,
): readonly Finding[] {
  const { store } = ctx;
  const found = [...generationFindings(ctx.generation.problem), ...bundleFindings(ctx)];
  const keyOf = ({ kind, id }: Finding): string => `${kind} ${id}`;
  const foundKeys = new Set(found.map(keyOf));
  const ofFiles = openFindings(store).filter(({ kind }) => kind === 'generation' || kind === 'bundle');
  const gone = ofFiles.filter((finding) => !foundKeys.has(keyOf(finding)));
  const fresh = found.filter((finding) => !isKnownFinding(store, finding));
  if (gone.length > 0 || fresh.length > 0) {
    store.tx(() => {
      for (const finding of gone) dropFinding(store, finding);
      for (const finding of fresh) saveFinding(store, finding, ctx.now());
    });
  }
  return openFindings(store);
}

/** The numbers only rise and stand still until they are accepted, so the same text never comes back after that. */
const generationFindings = (problem: string | undefined): Finding[] =>
  problem === undefined ? [] : [{ kind: 'generation', id: problem, text: problem }];

function bundleFindings({ store, bundleDir, log }: Pick<EngineContext, 'store' | 'bundleDir' | 'log'>): Finding[] {
  const known = knownFundings(store);
  return bundleIds(bundleDir).flatMap((id): Finding[] => {
    const funding = known.get(id);
    if (funding === undefined) {
      const what = known.has(id) ? 'does not know that this swap was funded' : 'does not know this swap';
      return [{ kind: 'bundle', id, text: `bundle ${id}: the database ${what}` }];
    }
    try {
      const { fundingTxid } = readBundle(bundleDir, id);
      if (fundingTxid === funding) return [];
      return [{ kind: 'bundle', id, text: `bundle ${id}: the database does not know its funding ${fundingTxid}` }];
    } catch (error) {
      log.error({ cause: errorChain(error) }, 'recovery bundle damaged'); // the database has all that it said
      return [];
    }
  });
}

/**
 * The comparison with the wallet's coins, to be repeated after every sync: whoever else spends them has this seed, be it
 * this daemon in a time that the database does not know, or another one.
 *
 * @throws SwapError `chain_unavailable`; then it is not done and has to be repeated. `read_only` if nothing can be stored.
 */
export async function compareWithChain(ctx: EngineContext): Promise<void> {
  const { store, comparison } = ctx;
  const unknown: HistoryEntry[] = [];
  for (const spend of ctx.wallet.spends()) {
    if (comparison.knownSpends.has(spend.txid)) continue;
    if (isOwnTx(store, spend.txid)) comparison.knownSpends.add(spend.txid);
    else if (!isKnownFinding(store, { kind: 'spend', id: spend.txid })) unknown.push(spend);
  }
  for (let start = 0; start < unknown.length; start += BATCH) {
    const batch = unknown.slice(start, start + BATCH);
    const isReal = await Promise.all(batch.map((spend) => isRealSpend(ctx, spend)));
    report(
      ctx,
      batch
        .filter((_, i) => isReal[i])
        .map(({ txid }) => ({
          kind: 'spend',
          id: txid,
          text: `transaction ${txid} spends coins of this wallet, and the database does not know it`,
        })),
    );
  }
  comparison.pending.delete('the chain');
}

/** A server may make spends up; it cannot make up a signature of ours or a place in a block. */
async function isRealSpend(ctx: EngineContext, { txid, height }: HistoryEntry): Promise<boolean> {
  const raw = await ctx.chain.transaction(txid);
  if (raw === undefined) throw new SwapError('chain_unavailable', `server lists transaction ${txid} and has it not`);
  if (ctx.wallet.hasSigned(raw)) return true;
  ctx.log.warn({ txid, height }, 'the server shows a spend of the wallet that the wallet did not sign');
  if (height <= 0) return false;
  await ctx.chain.proveInclusion(txid, blockHeight(height));
  return true;
}

/**
 * The comparison with the node's invoices; once is enough, because every later one is in the database first. Who asks while
 * it runs waits for the same one: to list many invoices costs a node a lot.
 */
export async function compareWithNode(ctx: EngineContext): Promise<void> {
  const { comparison } = ctx;
  if (!comparison.pending.has('the node')) return;
  comparison.withNode ??= compareInvoices(ctx).finally(() => {
    comparison.withNode = undefined;
  });
  await comparison.withNode;
}

async function compareInvoices(ctx: EngineContext): Promise<void> {
  const invoices = await ctx.lightning.listHoldInvoices(ctx.labelPrefix);
  const unknown = invoices.filter(
    (invoice) => isOurs(ctx, invoice) && swapIdOfHash(ctx.store, invoice.paymentHash) === undefined,
  );
  report(
    ctx,
    unknown.map(({ paymentHash, state }) => ({
      kind: 'invoice',
      id: paymentHash,
      text: `the node has our invoice ${paymentHash} (${state}), and the database does not know it`,
    })),
  );
  ctx.comparison.pending.delete('the node');
}

/** A node that others use, too, lets them write any label; but only this seed has the preimage that belongs to it. */
function isOurs({ labelPrefix, keys }: EngineContext, { label, paymentHash }: HoldInvoice): boolean {
  const id = label.slice(labelPrefix.length);
  return /^[0-9a-f]{32}$/.test(id) && hashPreimage(keys.preimageFor(swapId(id))) === paymentHash;
}

/** From here on the daemon is FENCED, also if the findings cannot be stored. */
function report(ctx: EngineContext, found: readonly Finding[]): void {
  const fresh = found.filter((finding) => !isKnownFinding(ctx.store, finding));
  if (fresh.length === 0) return;
  ctx.health.fence ??= tellFindings(fresh);
  for (const { text } of fresh) ctx.log.error({ finding: text }, 'FENCED: this database may be an old copy');
  ctx.store.tx(() => {
    for (const finding of fresh) saveFinding(ctx.store, finding, ctx.now());
  });
  ctx.health.fence = tellFindings(openFindings(ctx.store));
}
