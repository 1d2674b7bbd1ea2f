/** A chain as an object of functions, so that a test can put its own in place of one. */
import type { LiquidChain } from '../../src/liquid/chain.js';

/** The methods of a port as plain functions. */
export function plainChain(chain: LiquidChain): LiquidChain {
  return {
    genesisHash: () => chain.genesisHash(),
    tip: () => chain.tip(),
    tips: () => chain.tips(),
    blockAt: (height) => chain.blockAt(height),
    disagreement: () => chain.disagreement(),
    history: (script, options) => chain.history(script, options),
    transaction: (id) => chain.transaction(id),
    unspent: (script) => chain.unspent(script),
    proveInclusion: (id, height) => chain.proveInclusion(id, height),
    broadcast: (raw) => chain.broadcast(raw),
    feeRate: () => chain.feeRate(),
    subscribe: (script) => {
      chain.subscribe(script);
    },
    unsubscribe: (script) => {
      chain.unsubscribe(script);
    },
    onChange: (listener) => chain.onChange(listener),
    close: () => {
      chain.close();
    },
  };
}
