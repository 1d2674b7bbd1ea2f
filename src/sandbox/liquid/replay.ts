/**
 * Replays recorded verdicts of a real Elements node on the sandbox's ledger. The format: an event log of transactions
 * tested, sent and mined, with the node's answer to each.
 */
import { z } from 'zod';

import { txid } from '../../core/units.js';
import { judge } from './acceptance.js';
import { addToMempool, connectBlock, createLedger, type Ledger } from './ledger.js';
import { assetBytes, parseTransaction } from './transaction.js';
import type { Zkp } from './zkp.js';

const hexText = z.string().regex(/^([0-9a-f]{2})*$/, 'expected lower-case hex');
const identifier = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hex digits');
const count = z.int().nonnegative();
const rate = z.int().nonnegative();

const coinSchema = z.object({
  txid: identifier,
  vout: count,
  script: hexText,
  asset: hexText,
  value: hexText,
  nonce: hexText,
  height: count,
});

const testSchema = z.object({
  op: z.literal('test'),
  name: z.string(),
  hex: z.string(),
  node: z.object({
    allowed: z.boolean().optional(),
    undecodable: z.boolean().optional(),
    'reject-reason': z.string().optional(),
    vsize: count.optional(),
    fees: z.object({ base: z.number().nonnegative() }).optional(),
  }),
  sent: z.boolean().optional(),
});

const mineSchema = z.object({ op: z.literal('mine'), height: count, mtp: count, txids: z.array(identifier) });

/** A file of vectors. Keys that are not listed are for readers. */
export const vectorFileSchema = z.object({
  meta: z.object({
    lbtc: identifier,
    minrelaytxfee_sat_per_kvb: rate.default(100),
    dustrelayfee_sat_per_kvb: rate.default(100),
    acceptdiscountct: z.boolean().default(true),
    dynafed_active: z.boolean().default(true),
    start: z.object({ height: count, mtp: count }),
    utxos: z.array(coinSchema),
  }),
  vectors: z.array(z.discriminatedUnion('op', [testSchema, mineSchema])),
});

export type VectorFile = z.infer<typeof vectorFileSchema>;
type TestVector = z.infer<typeof testSchema>;
type MineEvent = z.infer<typeof mineSchema>;

/** One recorded verdict beside the sandbox's. */
export type Comparison = { readonly name: string; readonly expected: string; readonly found: string };

const INCREMENTAL_RATE = 100n;
const SAT_PER_COIN = 100_000_000;

const bytes = (text: string): Buffer => Buffer.from(text, 'hex');

function ledgerOf(zkp: Zkp, { meta }: VectorFile): Ledger {
  const ledger = createLedger(zkp, {
    policyAsset: assetBytes(meta.lbtc),
    relayFloor: BigInt(meta.minrelaytxfee_sat_per_kvb),
    dustRate: BigInt(meta.dustrelayfee_sat_per_kvb),
    incrementalRate: INCREMENTAL_RATE,
    isDiscounted: meta.acceptdiscountct,
    isDynafed: meta.dynafed_active,
  });
  ledger.tip = { height: meta.start.height, medianTime: meta.start.mtp };
  for (const { txid: id, vout, height, ...coin } of meta.utxos) {
    const [script, asset, value, nonce] = [coin.script, coin.asset, coin.value, coin.nonce].map(bytes);
    if (script === undefined || asset === undefined || value === undefined || nonce === undefined) continue;
    ledger.coins.set(`${id}:${vout}`, { script, asset, value, nonce, height });
  }
  return ledger;
}

function expectedOf({ node }: TestVector): string {
  if (node.undecodable === true) return 'undecodable';
  if (node.allowed !== true) return node['reject-reason'] ?? 'refused without a reason';
  const fee = node.fees === undefined ? '' : ` fee ${Math.round(node.fees.base * SAT_PER_COIN)}`;
  return `allowed${fee}${node.vsize === undefined ? '' : ` vsize ${node.vsize}`}`;
}

function foundOf(ledger: Ledger, { hex, node }: TestVector): string {
  const tx = parseTransaction(hex);
  if (tx === undefined) return 'undecodable';
  const verdict = judge(ledger, tx);
  if (!verdict.allowed) return verdict.refusal.reason;
  const fee = node.fees === undefined ? '' : ` fee ${verdict.fee.toString()}`;
  return `allowed${fee}${node.vsize === undefined ? '' : ` vsize ${verdict.vsize}`}`;
}

/** What the node took is taken, whatever the sandbox thinks of it, so that later vectors meet the node's state. */
function follow(ledger: Ledger, { name, hex }: TestVector): void {
  const tx = parseTransaction(hex);
  if (tx === undefined) throw new Error(`"${name}": sent, but its hex is no transaction`);
  addToMempool(ledger, tx);
}

function mine(ledger: Ledger, event: MineEvent): void {
  const txs = event.txids.map((id) => {
    const entry = ledger.mempool.get(txid(id));
    if (entry === undefined) throw new Error(`block ${event.height}: ${id} is not in the mempool`);
    return entry.tx;
  });
  if (event.height !== ledger.tip.height + 1) {
    throw new Error(`block ${event.height}: expected height ${ledger.tip.height + 1}`);
  }
  connectBlock(ledger, txs, event.mtp);
}

/**
 * Replays a file, one comparison per tested transaction.
 *
 * @throws Error if the events contradict each other (a block of unknown transactions, a gap in heights).
 */
export function replayVectors(zkp: Zkp, file: VectorFile): Comparison[] {
  const ledger = ledgerOf(zkp, file);
  const comparisons: Comparison[] = [];
  for (const event of file.vectors) {
    if (event.op === 'mine') {
      mine(ledger, event);
      continue;
    }
    comparisons.push({ name: event.name, expected: expectedOf(event), found: foundOf(ledger, event) });
    if (event.sent === true) follow(ledger, event);
  }
  return comparisons;
}
