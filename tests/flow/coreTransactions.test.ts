/** Core's transactions on the sandbox's chain, which shares no code with them. */
import { explicitValue } from '../../src/sandbox/liquid/transaction.js';
import { NodeError, openChain } from '../../src/sandbox/liquid/chain.js';
import { OP_TRUE_SCRIPT } from '../../src/sandbox/liquid/spend.js';
import { coreTransactionsSuite, type JudgingChain } from '../support/coreTransactions.js';

const LEAST = 2_000_000n;

async function openSandboxChain(): Promise<JudgingChain> {
  const chain = await openChain({});
  const { ledger } = chain.state;
  return {
    freeCoin: () => {
      for (const [key, { script, value }] of ledger.coins) {
        const [txid = '', vout = '0'] = key.split(':');
        const amount = explicitValue(value) ?? 0n;
        if (!script.equals(OP_TRUE_SCRIPT) || amount < LEAST) continue;
        return Promise.resolve({ txid, vout: Number(vout), value: amount });
      }
      return Promise.reject(new Error('no free coin is left'));
    },
    verdict: (rawHex) => {
      try {
        return Promise.resolve(chain.broadcast(rawHex));
      } catch (error) {
        if (error instanceof NodeError) return Promise.resolve(error.message);
        throw error;
      }
    },
    mine: (blocks) => {
      chain.mine(blocks);
      return Promise.resolve();
    },
    height: () => Promise.resolve(chain.tip().height),
    hasCoin: (txid, vout) => Promise.resolve(ledger.coins.has(`${txid}:${vout}`)),
    close: () => {
      chain.close();
      return Promise.resolve();
    },
  };
}

coreTransactionsSuite(openSandboxChain);
