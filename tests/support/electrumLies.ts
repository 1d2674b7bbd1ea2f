/** The lies that an Electrum server can tell a seller, ready to be told by a {@link HostileProxy}. */
import { z } from 'zod';

import { p2wshScriptPubKey } from '../../src/core/htlc.js';
import type { FundedSwap } from '../../src/core/swap.js';
import { parseTransaction, rawOf, txidOf } from '../../src/core/tx.js';
import type { Txid } from '../../src/core/units.js';
import { scripthash } from '../../src/liquid/electrumAnswers.js';
import type { LiquidSandbox } from '../../src/sandbox/liquid/world.js';
import { ServerFault } from './hostileElectrum.js';
import type { HostileProxy, Lie } from './hostileProxy.js';

const HISTORY = 'blockchain.scripthash.get_history';
const UNSPENT = 'blockchain.scripthash.listunspent';
const STATUS = 'blockchain.scripthash.subscribe';
const TRANSACTION = 'blockchain.transaction.get';
const TIP = 'blockchain.headers.subscribe';
const HEADER = 'blockchain.block.header';
/** Bytes before the height in a header: version, previous block, merkle root, time. */
const HEIGHT_OFFSET = 72;

const entriesSchema = z.array(z.looseObject({ tx_hash: z.string(), height: z.number() }));
type Entry = z.infer<typeof entriesSchema>[number];

export const htlcScript = (swap: FundedSwap): Buffer => p2wshScriptPubKey(swap.witnessScript);

/** Answers about one script only; all others get the truth. */
function about(scriptPubKey: Uint8Array, change: (entries: Entry[]) => readonly Entry[]): Lie {
  return async ({ params, honest }) => {
    const entries = entriesSchema.parse(await honest());
    return params[0] === scripthash(scriptPubKey) ? change(entries) : entries;
  };
}

/** The server says that something changed at the script, so that clients ask. */
function stir(liar: HostileProxy, scriptPubKey: Uint8Array): void {
  liar.notify(STATUS, [scripthash(scriptPubKey), 'ab'.repeat(32)]);
}

/** Shows a transaction of the script at another height, in its history and among its unspent outputs. */
export function showAt(liar: HostileProxy, script: Uint8Array, shown: { id: Txid; height: number }): void {
  const lie = about(script, (entries) =>
    entries.map((entry) => (entry.tx_hash === shown.id ? { ...entry, height: shown.height } : entry)),
  );
  liar.lies.set(HISTORY, lie);
  liar.lies.set(UNSPENT, lie);
  stir(liar, script);
}

/** Lists another transaction at the script, has its bytes, and shows nothing there as unspent. */
export function showSpend(liar: HostileProxy, script: Uint8Array, shown: { raw: Buffer; height: number }): void {
  const id = txidOf(parseTransaction(shown.raw));
  liar.lies.set(
    HISTORY,
    about(script, (entries) => [
      ...entries.filter((entry) => entry.tx_hash !== id),
      { tx_hash: id, height: shown.height },
    ]),
  );
  liar.lies.set(
    UNSPENT,
    about(script, () => []),
  );
  showBytes(liar, shown.raw);
  stir(liar, script);
}

/** Shows these bytes as the transaction with that id. */
export function showBytes(liar: HostileProxy, raw: Buffer): void {
  const id = txidOf(parseTransaction(raw));
  liar.lies.set(TRANSACTION, async ({ params, honest }) => (params[0] === id ? raw.toString('hex') : await honest()));
}

/** Keeps a transaction back: not listed, not there, what it spends of the script is shown as unspent. */
export function withhold(
  liar: HostileProxy,
  script: Uint8Array,
  kept: { id: Txid; unspent?: FundedSwap | undefined },
): void {
  liar.lies.set(
    HISTORY,
    about(script, (entries) => entries.filter((entry) => entry.tx_hash !== kept.id)),
  );
  const { unspent } = kept;
  if (unspent !== undefined) {
    liar.lies.set(
      UNSPENT,
      about(script, () =>
        unspent.outpoints.map(({ outpoint }) => ({ tx_hash: outpoint.txid, tx_pos: outpoint.vout, height: 1 })),
      ),
    );
  }
  liar.lies.set(TRANSACTION, async ({ params, honest }) => {
    if (params[0] === kept.id) throw new ServerFault('missing transaction');
    return await honest();
  });
  stir(liar, script);
}

/** The header that the chain's last block would have at another height. */
function headerAt(sandbox: LiquidSandbox, height: number): string {
  const real = sandbox.state.blocks[height] ?? sandbox.state.blocks.at(-1);
  const bytes = Buffer.from(real?.rawHeader ?? []);
  bytes.writeUInt32LE(height, HEIGHT_OFFSET);
  return bytes.toString('hex');
}

/**
 * The server stays at that height, whatever the chain does. Below the chain's tip it shows real blocks, above it made-up
 * ones.
 */
export function stayAt(liar: HostileProxy, sandbox: LiquidSandbox, height: number): void {
  const tip = { height, hex: headerAt(sandbox, height) };
  liar.lies.set(TIP, () => tip);
  liar.lies.set(HEADER, ({ params }) => {
    if (Number(params[0]) > height) throw new ServerFault('missing header');
    return headerAt(sandbox, Number(params[0]));
  });
  liar.notices = (method, params) => (method === TIP ? undefined : params);
  liar.notify(TIP, [tip]);
}

/** The claim with the witnesses of a refund, signed by nobody: its id is that of the claim. */
export function asFakeRefund(claim: Buffer, swap: FundedSwap): Buffer {
  return withWitness(claim, [Buffer.alloc(71, 1), Buffer.alloc(33, 2), Buffer.alloc(0), swap.witnessScript]);
}

/** The claim with 32 bytes that are not S. */
export function asClaimWithoutS(claim: Buffer, swap: FundedSwap): Buffer {
  return withWitness(claim, [
    Buffer.alloc(71, 1),
    Buffer.alloc(33, 2),
    Buffer.alloc(32, 3),
    Buffer.of(1),
    swap.witnessScript,
  ]);
}

/** The transaction without any witness: its id stays. */
export const stripped = (raw: Buffer): Buffer => withWitness(raw, []);

function withWitness(raw: Buffer, witness: readonly Buffer[]): Buffer {
  const tx = parseTransaction(raw);
  tx.ins.forEach((_, i) => {
    tx.setWitness(i, [...witness]);
  });
  return rawOf(tx);
}

/** Lists a transaction at a script that has none; with `raw` it can show it. */
export function showDeposit(
  liar: HostileProxy,
  script: Uint8Array,
  shown: { readonly id: Txid; readonly height: number; readonly raw?: Buffer },
): void {
  liar.lies.set(
    HISTORY,
    about(script, (entries) => [...entries, { tx_hash: shown.id, height: shown.height }]),
  );
  if (shown.raw !== undefined) showBytes(liar, shown.raw);
  stir(liar, script);
}
