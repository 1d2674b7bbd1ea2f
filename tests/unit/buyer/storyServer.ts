/** An Electrum server on a real socket that shows what a story says, until a test makes it lie. */
import { hex, reversedBytes, type Txid } from '../../../src/core/units.js';
import { parseTransaction, txidOf } from '../../../src/core/tx.js';
import { p2wshScriptPubKey } from '../../../src/core/htlc.js';
import { scripthash } from '../../../src/liquid/electrumAnswers.js';
import {
  headerVector,
  ServerFault,
  startHostileElectrum,
  type HostileElectrum,
} from '../../support/hostileElectrum.js';
import type { AnsweringServer } from './honest.js';

const MERKLE_ROOT_AT = 36;
const HEIGHT_AT = 72;

/** A header of that height whose block holds one transaction. */
function headerOf(height: number, only: Txid): string {
  const bytes = Buffer.from(headerVector(1).hex, 'hex');
  reversedBytes(only).copy(bytes, MERKLE_ROOT_AT);
  bytes.writeUInt32LE(height, HEIGHT_AT);
  return hex(bytes);
}

/** Serves the view; `spends` are other transactions of the HTLC's script, and unconfirmed. */
export async function serveStory(
  view: AnsweringServer,
  witnessScript: Uint8Array,
  spends: readonly Buffer[] = [],
): Promise<HostileElectrum> {
  const server = await startHostileElectrum();
  const { funding = Buffer.alloc(0), fundingHeight = 0, tip } = view;
  const id = txidOf(parseTransaction(funding));
  const raws = new Map([funding, ...spends].map((raw) => [txidOf(parseTransaction(raw)) as string, raw]));
  const script = scripthash(p2wshScriptPubKey(witnessScript));
  const history = [...raws.keys()].map((txHash) => ({ tx_hash: txHash, height: txHash === id ? fundingHeight : 0 }));
  const unspent = [...view.unspent].map((key) => {
    const [txHash = '', vout = ''] = key.split(':');
    return { tx_hash: txHash, tx_pos: parseInt(vout, 10), height: fundingHeight };
  });
  const ofScript =
    (entries: readonly object[]) =>
    ([asked]: readonly unknown[]): readonly object[] =>
      asked === script ? entries : [];
  server.methods.set('blockchain.headers.subscribe', () => ({ height: tip.height, hex: headerOf(tip.height, id) }));
  server.methods.set('blockchain.block.header', ([height]) =>
    height === 0 ? headerVector(0).hex : headerOf(Number(height), id),
  );
  server.methods.set('blockchain.scripthash.get_history', ofScript(history));
  server.methods.set('blockchain.scripthash.listunspent', ofScript(unspent));
  server.methods.set('blockchain.transaction.get', ([asked]) => {
    const raw = raws.get(String(asked));
    if (raw === undefined) throw new ServerFault('missing transaction');
    return hex(raw);
  });
  server.methods.set('blockchain.transaction.get_merkle', ([, height]) => ({
    block_height: height,
    merkle: [],
    pos: 0,
  }));
  server.methods.set('blockchain.estimatefee', () => 0.000001);
  return server;
}
