/** What LDK wants to know about the chain: its Filter's registrations of this process. LDK repeats them at every start. */
import { outpointKey, type Outpoint, type Txid } from '../../core/units.js';

/** Things to ask a server about: transactions by id, and outputs for what spends them. */
export type Interests = { readonly txids: readonly Txid[]; readonly outputs: readonly Outpoint[] };

export type Watch = ReturnType<typeof makeWatch>;

/** An empty list. */
export function makeWatch() {
  const txids = new Set<Txid>();
  const outputs = new Map<string, Outpoint>();
  let fresh: { txids: Txid[]; outputs: Outpoint[] } = { txids: [], outputs: [] };
  return {
    addTransaction: (id: Txid): void => {
      if (!txids.has(id)) fresh.txids.push(id);
      txids.add(id);
    },
    addOutput: (point: Outpoint): void => {
      if (!outputs.has(outpointKey(point))) fresh.outputs.push(point);
      outputs.set(outpointKey(point), point);
    },
    all: (): Interests => ({ txids: [...txids], outputs: [...outputs.values()] }),
    /** What was added since the last call; undefined if nothing was. */
    takeFresh: (): Interests | undefined => {
      const taken = fresh;
      fresh = { txids: [], outputs: [] };
      return taken.txids.length + taken.outputs.length === 0 ? undefined : taken;
    },
  };
}
