/**
 * Follows a chain through an Esplora server: the node's own header chain, and proven transactions instead of whole
 * blocks. A round asks about everything that LDK and the wallet watch, for all new blocks at once, before anything is
 * applied; whatever LDK begins to watch while it looks at a block is asked for before the next one.
 *
 * What a transaction is confirmed in, or no longer, is decided by the own header chain alone: a server that forgets a
 * transaction or falls behind changes nothing.
 */
import type { BlockHash } from '../../core/units.js';
import type { HeaderRows, StoredHeader } from '../store/headers.js';
import type { EsploraSource } from './esplora.js';
import { freshnessProblem } from './freshness.js';
import { makeHeaderChain, type ChainStep } from './headerChain.js';
import type { Network } from './headers.js';
import { makeProver, type OwnBlock, type OwnChain } from './prove.js';
import { makeScanner, merged, type Finding, type WalletInterests } from './scan.js';
import type { Watch } from './watch.js';

/** Everything is asked again this often without a new block: an index may lag behind the server's own tip. */
const RESCAN_MS = 60_000;

/** A block of the own chain with those of its transactions that matter, in order. */
export type FilteredBlock = OwnBlock & { readonly findings: readonly Finding[] };

/** What follows the chain; each call that changes something is one turn. */
export type ConfirmListener = {
  walletInterests(): WalletInterests;
  connectFiltered(block: FilteredBlock): void;
  /** Transactions that were found after their block was connected. */
  confirmLate(block: FilteredBlock): void;
  /** A reorg as a whole: from the tip down, then up again. */
  reorganizeFiltered(gone: readonly StoredHeader[], fresh: readonly FilteredBlock[]): void;
};

export type ConfirmFollower = ReturnType<typeof makeConfirmFollower>;

export type ConfirmFollowerParts = {
  readonly source: EsploraSource;
  readonly headers: HeaderRows;
  readonly network: Network;
  /** LDK's registrations. */
  readonly watch: Watch;
};

/** Makes the follower; nothing happens before `round`. */
export function makeConfirmFollower({ source, headers, network, watch }: ConfirmFollowerParts) {
  const chain = makeHeaderChain({ source, headers, network });
  const scanner = makeScanner(source, makeProver(source, network));
  let syncedAt = Number.NEGATIVE_INFINITY;
  const problem = (): string => freshnessProblem(chain.tip(), network, performance.now() - syncedAt);
  let lookedAt = Number.NEGATIVE_INFINITY;
  let isUnfinished = true;

  const apply = async (step: ChainStep, found: Finding[], own: OwnChain, listener: ConfirmListener): Promise<void> => {
    const top = step.branch.at(-1)?.height ?? chain.tip().height;
    /** Below are blocks of the own chain; a branch that is to come may begin lower than the old tip. */
    let next = step.branch[0]?.height ?? top + 1;
    let waiting: Finding[] = [];
    /** Hands over what belongs to the blocks that are connected already; the rest waits. */
    const deliver = (findings: readonly Finding[]): void => {
      const all = merged([...waiting, ...findings]);
      waiting = all.filter(({ proven }) => proven.block.height >= next);
      for (const block of byBlock(all.filter(({ proven }) => proven.block.height < next))) {
        listener.confirmLate(block);
        block.findings.forEach(scanner.delivered);
      }
    };
    /** What LDK registered meanwhile, also deeper and deeper. */
    const lookAgain = async (): Promise<void> => {
      for (let fresh = watch.takeFresh(); fresh !== undefined; fresh = watch.takeFresh()) {
        deliver(await scanner.look(own, top, fresh));
      }
    };
    const take = ({ header, height }: ChainStep['branch'][number]): FilteredBlock => {
      const findings = waiting.filter(({ proven }) => proven.block.height === height);
      waiting = waiting.filter(({ proven }) => proven.block.height !== height);
      return { hash: header.hash, height, header: header.bytes, findings };
    };
    deliver(found);
    await lookAgain();
    if (step.gone.length > 0) {
      const fresh = step.branch.map(take);
      listener.reorganizeFiltered(step.gone, fresh);
      next = top + 1;
      for (const { hash, height } of step.gone) scanner.disconnected(hash, height);
      for (const { findings } of fresh) findings.forEach(scanner.delivered);
      await lookAgain();
      return;
    }
    for (const planned of step.branch) {
      const block = take(planned);
      listener.connectFiltered(block);
      next = block.height + 1;
      block.findings.forEach(scanner.delivered);
      await lookAgain();
    }
  };

  return {
    kind: 'confirm' as const,
    tip: chain.tip,
    start: chain.start,
    /** One comparison with the server; brings the listener to its tip. @throws if the server is away or lies. */
    round: async (listener: ConfirmListener): Promise<void> => {
      const step = await chain.step();
      if (step === undefined) return; // the server is behind: it does not count as synced
      const now = performance.now();
      const isDue = isUnfinished || step.branch.length > 0 || now - lookedAt > RESCAN_MS;
      const fresh = watch.takeFresh();
      if (isDue || fresh !== undefined) {
        isUnfinished = true; // until everything below worked
        const own = afterStep(step, headers);
        const top = step.branch.at(-1)?.height ?? chain.tip().height;
        const found = isDue
          ? await scanner.look(own, top, watch.all(), listener.walletInterests())
          : await scanner.look(own, top, fresh ?? { txids: [], outputs: [] });
        await apply(step, found, own, listener);
        isUnfinished = false;
        if (isDue) lookedAt = now;
      }
      syncedAt = performance.now();
    },
    /** True once a round ended at the server's tip. */
    hasSynced: (): boolean => syncedAt > Number.NEGATIVE_INFINITY,
    /** Why money does not move now; empty while the view of the chain is fresh. */
    problem,
    isSynced: (): boolean => problem() === '',
  };
}

/** The own best chain as it will be after a step. */
function afterStep({ gone, branch }: ChainStep, headers: HeaderRows): OwnChain {
  const coming = new Map<BlockHash, OwnBlock>(
    branch.map(({ header, height }) => [header.hash, { hash: header.hash, height, header: header.bytes }]),
  );
  const leaving = new Set<BlockHash>(gone.map(({ hash }) => hash));
  return (hash) => {
    const block = coming.get(hash);
    if (block !== undefined || leaving.has(hash)) return block;
    const stored = headers.find(hash);
    return stored?.isBest === true ? stored : undefined;
  };
}

/** Findings grouped by block; they are in order of the chain. */
function byBlock(findings: readonly Finding[]): FilteredBlock[] {
  const blocks = new Map<BlockHash, Finding[]>();
  for (const finding of findings) {
    const { hash } = finding.proven.block;
    blocks.set(hash, [...(blocks.get(hash) ?? []), finding]);
  }
  return [...blocks.values()].flatMap((group) =>
    group[0] === undefined ? [] : [{ ...group[0].proven.block, findings: group }],
  );
}
