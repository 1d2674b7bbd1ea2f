/** Asks the buyer's own Electrum servers what they show about an HTLC. */
import { p2wshScriptPubKey } from '../core/htlc.js';
import { blockHeight, outpointKey, type BlockHash, type Txid } from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import { confirmations, type HistoryEntry, type LiquidChain } from '../liquid/chain.js';
import type { ServerView } from './deal.js';
import { printable } from './printable.js';

/** Transactions of a script that are looked at besides the funding; an HTLC of ours has one or two. */
const MAX_OTHERS = 20;

/** One server with the name to show. */
export type NamedChain = { readonly name: string; readonly chain: LiquidChain };

/**
 * Asks all servers the same.
 *
 * @returns what came back, and what kept the others from answering.
 * @throws SwapError of the first server if none answered.
 */
export async function askAll<T>(
  chains: readonly NamedChain[],
  ask: (named: NamedChain) => Promise<T>,
): Promise<{ answers: T[]; failures: SwapError[] }> {
  const failures: SwapError[] = [];
  const asked = await Promise.all(
    chains.map(async (named) => {
      try {
        return [await ask(named)];
      } catch (error) {
        if (!(error instanceof SwapError)) throw error;
        failures.push(error);
        return [];
      }
    }),
  );
  const answers = asked.flat(1);
  if (answers.length === 0) throw failures[0] ?? new Error('a buyer has at least one Electrum server');
  return { answers, failures };
}

async function proof(
  chain: LiquidChain,
  id: Txid,
  height: number,
): Promise<{ block: BlockHash } | { problem: string }> {
  try {
    return { block: await chain.proveInclusion(id, blockHeight(height)) };
  } catch (error) {
    return { problem: printable(errorChain(error)) };
  }
}

/**
 * Raw bytes of the newest transactions of a history besides the funding. Strangers may pay to the script as often as they
 * like, so the look back has an end; what it misses still shows in the list of unspent outputs.
 */
async function othersOf(
  chain: LiquidChain,
  history: readonly HistoryEntry[],
  fundingTxid: Txid,
): Promise<readonly Buffer[]> {
  const newest = history.filter((entry) => entry.txid !== fundingTxid).slice(-MAX_OTHERS);
  const raws = await Promise.all(newest.map(async (entry) => await chain.transaction(entry.txid)));
  return raws.filter((raw) => raw !== undefined);
}

async function observe({ name, chain }: NamedChain, witnessScript: Uint8Array, fundingTxid: Txid): Promise<ServerView> {
  const scriptPubKey = p2wshScriptPubKey(witnessScript);
  const [genesis, history, funding, unspent, feeRate] = await Promise.all([
    chain.genesisHash(),
    chain.history(scriptPubKey, { isFresh: true }),
    chain.transaction(fundingTxid),
    chain.unspent(scriptPubKey),
    chain.feeRate(),
  ]);
  const others = await othersOf(chain, history, fundingTxid);
  const tip = await chain.tip(); // last, so that what was found above is not newer than the tip
  const fundingHeight = history.find((entry) => entry.txid === fundingTxid)?.height;
  const isConfirmed = fundingHeight !== undefined && confirmations(fundingHeight, tip.height) > 0;
  const inclusion = isConfirmed ? await proof(chain, fundingTxid, fundingHeight) : { problem: 'not in a block' };
  const keys = new Set(unspent.map((entry) => outpointKey(entry.outpoint)));
  return { name, genesis, tip, funding, fundingHeight, inclusion, unspent: keys, others, feeRate };
}

/** The views of all servers, in order; a server that does not answer is a view with its problem. */
export async function observeHtlc(
  chains: readonly NamedChain[],
  witnessScript: Uint8Array,
  fundingTxid: Txid,
): Promise<ServerView[]> {
  return await Promise.all(
    chains.map(async (named) => {
      try {
        return await observe(named, witnessScript, fundingTxid);
      } catch (error) {
        if (!(error instanceof SwapError)) throw error;
        return { name: named.name, problem: printable(errorChain(error)) };
      }
    }),
  );
}
