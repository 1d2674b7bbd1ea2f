/** How an Electrum server of the buyer's can answer otherwise than it should. */
import { parseTransaction, rawOf } from '../../src/core/tx.js';
import { hex, reversedBytes } from '../../src/core/units.js';
import { scripthash } from '../../src/liquid/electrumAnswers.js';
import type { HostileProxy } from '../support/hostileProxy.js';
import type { Lie, Scene } from './lie.js';

export const METHOD = {
  history: 'blockchain.scripthash.get_history',
  unspent: 'blockchain.scripthash.listunspent',
  transaction: 'blockchain.transaction.get',
  merkle: 'blockchain.transaction.get_merkle',
  header: 'blockchain.block.header',
  tip: 'blockchain.headers.subscribe',
  estimate: 'blockchain.estimatefee',
  relay: 'blockchain.relayfee',
} as const;

/** Where a header has what. */
export const AT = { merkleRoot: 36, time: 68, height: 72 } as const;

type Entry = { readonly tx_hash: string; readonly height: number };

/** Entries of the HTLC's script, changed; other scripts get the truth. */
export function list(
  liar: HostileProxy,
  method: string,
  { scriptPubKey }: Scene,
  change: (found: Entry[]) => readonly Entry[],
): void {
  liar.lies.set(method, async ({ params, honest }) => {
    const found = (await honest()) as Entry[];
    return params[0] === scripthash(scriptPubKey) ? change(found) : found;
  });
}

export const answer = (
  liar: HostileProxy,
  method: string,
  tell: (honest: unknown, params: readonly unknown[]) => unknown,
): void => void liar.lies.set(method, async ({ params, honest }) => tell(await honest(), params));

/** The funding at another height. */
export const fundingAt =
  (height: (scene: Scene) => number): NonNullable<Lie['electrum']> =>
  (liar, scene) => {
    for (const method of [METHOD.history, METHOD.unspent]) {
      list(liar, method, scene, (found) =>
        found.map((entry) => (entry.tx_hash === scene.fundingTxid ? { ...entry, height: height(scene) } : entry)),
      );
    }
  };

/** The header, in hex, with some of its bytes replaced. */
export function headerWith(header: unknown, at: number, bytes: Uint8Array): string {
  const changed = Buffer.from(String(header), 'hex');
  changed.set(bytes, at);
  return hex(changed);
}

export const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

/** The tip so many blocks higher or lower, with a header that fits. */
export const tipOff =
  (blocks: number): NonNullable<Lie['electrum']> =>
  (liar) => {
    answer(liar, METHOD.tip, (honest) => {
      const { height, hex: header } = honest as { height: number; hex: string };
      return { height: height + blocks, hex: headerWith(header, AT.height, uint32(height + blocks)) };
    });
  };

/** A block that nobody mined, with nothing but the funding in it. */
export const madeUpBlock: NonNullable<Lie['electrum']> = (liar, scene) => {
  const { fundingTxid, forged, tip, rawFunding } = scene;
  const height = tip - 1;
  list(liar, METHOD.history, scene, () => [{ tx_hash: fundingTxid, height }]);
  list(liar, METHOD.unspent, scene, () =>
    (forged?.outpoints ?? []).map(({ outpoint }) => ({ tx_hash: fundingTxid, tx_pos: outpoint.vout, height })),
  );
  liar.lies.set(METHOD.transaction, async ({ params, honest }) =>
    params[0] === fundingTxid ? hex(rawFunding) : await honest(),
  );
  liar.lies.set(METHOD.merkle, () => ({ block_height: height, merkle: [], pos: 0 }));
  answer(liar, METHOD.header, (honest, [asked]) =>
    asked === height ? headerWith(honest, AT.merkleRoot, reversedBytes(fundingTxid)) : honest,
  );
};

/** Whatever spends the HTLC is kept back. */
export const spendKeptBack: NonNullable<Lie['electrum']> = (liar, scene) => {
  const { fundingTxid, forged } = scene;
  list(liar, METHOD.history, scene, (found) => found.filter((entry) => entry.tx_hash === fundingTxid));
  list(liar, METHOD.unspent, scene, () =>
    (forged?.outpoints ?? []).map(({ outpoint }) => ({
      tx_hash: fundingTxid,
      tx_pos: outpoint.vout,
      height: scene.tip - 1,
    })),
  );
};

/** Other bytes than those with the txid. */
export const otherBytes =
  (change: (raw: Buffer) => Buffer): NonNullable<Lie['electrum']> =>
  (liar, { fundingTxid, rawFunding }) => {
    liar.lies.set(METHOD.transaction, async ({ params, honest }) =>
      params[0] === fundingTxid ? hex(change(rawFunding)) : await honest(),
    );
  };

export const richer = (raw: Buffer): Buffer => {
  const tx = parseTransaction(raw);
  const [first] = tx.outs;
  first?.value.writeBigUInt64BE(first.value.readBigUInt64BE(1) + 1n, 1);
  return rawOf(tx);
};

export const rates =
  (estimate: number, relay?: number): NonNullable<Lie['electrum']> =>
  (liar) => {
    answer(liar, METHOD.estimate, () => estimate);
    if (relay !== undefined) answer(liar, METHOD.relay, () => relay);
  };
