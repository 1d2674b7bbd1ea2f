/** One look at everything that matters: which transactions are in which blocks of the own chain. */
import { outpointKey, type BlockHash, type Outpoint, type Txid } from '../../core/units.js';
import type { EsploraSource } from './esplora.js';
import { MAX_REORG } from './headerChain.js';
import type { OwnChain, Prover, ProvenTx } from './prove.js';
import type { Interests } from './watch.js';

/** Requests at a time. */
const PARALLEL = 8;

/** What the wallet asks about: it never reads a witness. */
export type WalletInterests = Interests & {
  /** Hex of the SHA256 of each script. */
  readonly scriptHashes: readonly string[];
};

/** A transaction, who wants it, and the questions that it answers. */
export type Finding = { readonly proven: ProvenTx; readonly isForLdk: boolean; readonly questions: readonly string[] };

const NOTHING: WalletInterests = { txids: [], outputs: [], scriptHashes: [] };

/** Remembers what was delivered, per question and block, so that each answer is given once. */
export function makeScanner(source: EsploraSource, prover: Prover) {
  /** By block: "question txid". */
  const told = new Map<BlockHash, Set<string>>();
  /** Questions with one answer: the height of the block that had it. */
  const answered = new Map<string, number>();

  const isTold = (question: string, id: Txid, hash: BlockHash): boolean =>
    told.get(hash)?.has(`${question} ${id}`) === true;

  return {
    /** Asks; in order of the chain. @throws at the first refusal or missing answer: then nothing holds */
    look: async (
      own: OwnChain,
      tipHeight: number,
      forLdk: Interests,
      forWallet: WalletInterests = NOTHING,
    ): Promise<Finding[]> => {
      const found: Finding[] = [];
      const tasks: (() => Promise<void>)[] = [];
      const ask = (question: string, isForLdk: boolean, answer: () => Promise<ProvenTx | undefined>): void => {
        if (tipHeight - (answered.get(question) ?? tipHeight) > MAX_REORG) return;
        tasks.push(async () => {
          const proven = await answer();
          if (proven === undefined || isTold(question, proven.txid, proven.block.hash)) return;
          found.push({ proven, isForLdk, questions: [question] });
        });
      };
      const askAll = ({ txids, outputs }: Interests, isForLdk: boolean): void => {
        const who = isForLdk ? 'ldk' : 'wallet';
        for (const id of txids) ask(`${who} tx ${id}`, isForLdk, () => prover.transaction(id, own));
        for (const point of outputs) {
          ask(`${who} output ${outpointKey(point)}`, isForLdk, () => prover.spender(point, own, isForLdk));
        }
      };
      askAll(forLdk, true);
      askAll(forWallet, false);
      for (const hash of forWallet.scriptHashes) {
        tasks.push(async () => {
          const question = `script ${hash}`;
          for (const claim of await source.history(hash)) {
            if (isTold(question, claim.txid, claim.blockHash)) continue;
            const proven = await prover.prove(claim, own);
            if (proven !== undefined) found.push({ proven, isForLdk: false, questions: [question] });
          }
        });
      }
      await inParallel(tasks);
      return merged(found);
    },
    delivered: ({ proven, questions }: Finding): void => {
      const { hash, height } = proven.block;
      const set = told.get(hash) ?? new Set();
      told.set(hash, set);
      for (const question of questions) {
        set.add(`${question} ${proven.txid}`);
        if (!question.startsWith('script')) answered.set(question, height);
      }
    },
    /** A block left the chain: its transactions are told again if it comes back. */
    disconnected: (hash: BlockHash, height: number): void => {
      told.delete(hash);
      for (const [question, at] of answered) if (at >= height) answered.delete(question);
    },
  };
}

/** Each transaction once, in order of the chain. What LDK gets is the copy that was proven for it. */
export function merged(found: readonly Finding[]): Finding[] {
  const byId = new Map<Txid, Finding>();
  for (const finding of found) {
    const known = byId.get(finding.proven.txid);
    const better = known?.isForLdk === true && !finding.questions.some(isAboutOutput) ? known : finding;
    const questions = [...(known?.questions ?? []), ...finding.questions];
    byId.set(finding.proven.txid, {
      proven: better.proven,
      isForLdk: finding.isForLdk || known?.isForLdk === true,
      questions,
    });
  }
  return [...byId.values()].sort(
    ({ proven: a }, { proven: b }) => a.block.height - b.block.height || a.position - b.position,
  );
}

/** True for LDK's questions whose answers have a proven witness. */
const isAboutOutput = (question: string): boolean => question.startsWith('ldk output ');

async function inParallel(tasks: readonly (() => Promise<void>)[]): Promise<void> {
  const waiting = tasks.values();
  const worker = async (): Promise<void> => {
    for (const task of waiting) await task();
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}

/** Outputs that appear more than once count once. */
export const distinctOutputs = (points: readonly Outpoint[]): Outpoint[] => [
  ...new Map(points.map((point) => [outpointKey(point), point])).values(),
];
