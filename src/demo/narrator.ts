/** Tells what happens in a purchase while it is driven, and mines whenever the story needs a block. */
import { setTimeout as delay } from 'node:timers/promises';

import type { Buyer } from '../buyer/buyer.js';
import type { PurchaseEvent } from '../buyer/drive.js';
import { askAll } from '../buyer/observe.js';
import type { AdminClient } from '../buyer/rpcClient.js';
import type { PurchaseRecord } from '../buyer/record.js';
import type { VerificationReport } from '../buyer/verify.js';
import { parseHtlcWitnessScript } from '../core/htlc.js';
import { parseTransaction } from '../core/tx.js';
import { displayHex, hex, txid, type AssetId, type Txid } from '../core/units.js';
import { SwapStatus, type Swap } from '../gen/ln_liquid_swap/v1/swap.js';
import type { Logger } from '../log.js';
import { chapter, checkLine, fact, why } from './print.js';
import type { DemoWorld } from './world.js';

/** Blocks that make a spend final. */
export const FINAL_BLOCKS = 2;
/** Every step takes a second or so; a machine that builds something else meanwhile may take long. */
export const PATIENCE_MS = 120_000;
const LOOK_MS = 100;

/** Everybody in the story, and what is sold. */
export type Tour = {
  readonly world: DemoWorld;
  readonly buyer: Buyer;
  readonly admin: AdminClient;
  readonly log: Logger;
  readonly assets: { readonly asset: AssetId; readonly lbtc: AssetId };
  readonly precision: number;
};

/** The first word of the seller that has a funding. */
function showFunding(swap: Swap): void {
  const terms = parseHtlcWitnessScript(swap.witnessScript);
  fact(`swap ${hex(swap.swapId)}`);
  fact(`the seller signed and stored funding ${displayHex(swap.fundingTxid)}, and broadcasts it`);
  fact(`HTLC: claim with the preimage of ${terms.paymentHash}`);
  fact(`      and the buyer's key, or refund to the seller from Liquid block ${terms.refundHeight} on`);
  why('no invoice yet: it appears only when the funding is deep enough, so the buyer cannot pay for nothing');
}

function showReport(report: VerificationReport): void {
  for (const { ok, code, sentence, expected, found } of report.checks) {
    checkLine(ok, ok ? sentence : `${code}: expected ${expected}, found ${found}`);
  }
  const { facts } = report;
  if (facts !== undefined)
    fact(
      `total CLTV of the payment capped at ${facts.maxTotalCltvDelta} Bitcoin blocks, by the buyer's own arithmetic`,
    );
}

/**
 * Mines once the buyer's own server shows the transaction: the seller tells its txid before it sends it.
 *
 * @returns the new height.
 */
export async function mineWith(tour: Tour, id: Txid, blocks: number): Promise<number> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await isShown(tour, id))) {
    if (Date.now() > deadline) throw new Error(`transaction ${id} was not sent in ${PATIENCE_MS / 1000} s`);
    await delay(LOOK_MS);
  }
  return await tour.world.mineLiquid(blocks);
}

async function isShown({ buyer }: Tour, id: Txid): Promise<boolean> {
  const { answers } = await askAll(buyer.chains, async ({ chain }) => await chain.transaction(id));
  return answers.some((raw) => raw !== undefined);
}

/** One purchase told. */
export type Narrator = {
  readonly onEvent: (event: PurchaseEvent) => void;
  /** Resolves when every block is mined. */
  readonly settled: () => Promise<void>;
  /** What to say when the story did not get to its end. */
  readonly stuck: (record: PurchaseRecord) => Error;
};

/** Mines when the story needs a block, and tells what happens meanwhile. */
export function narrator(tour: Tour): Narrator {
  const seen = new Set<string>();
  const work: Promise<unknown>[] = [];
  let problem = 'nothing is known to be wrong';
  const mining = (blocks: Promise<void>): void => {
    blocks.catch(() => undefined); // thrown by settled()
    work.push(blocks);
  };
  const once = (key: string, tell: () => void): void => {
    if (seen.has(key)) return;
    seen.add(key);
    tell();
  };
  const onSwap = (swap: Swap): void => {
    if (swap.status !== SwapStatus.CREATED || swap.fundingTxid.length === 0) return;
    once('funding', () => {
      showFunding(swap);
      mining(
        mineWith(tour, txid(displayHex(swap.fundingTxid)), 1).then((height) => {
          fact(`mined Liquid block ${height}: the funding has 1 confirmation`);
        }),
      );
    });
  };
  const onEvent = (event: PurchaseEvent): void => {
    switch (event.kind) {
      case 'swap':
        onSwap(event.swap);
        return;
      case 'report':
        once('report', () => {
          chapter(4, 'The buyer verifies everything from its own Electrum connection');
          showReport(event.report);
        });
        return;
      case 'payment':
        once(`payment ${event.state}`, () => {
          tellPayment(event.state);
        });
        return;
      case 'claim':
        if (event.news.kind !== 'broadcast') return;
        once('claim', () => {
          mining(
            tour.world.mineLiquid(FINAL_BLOCKS).then((height) => {
              fact(`mined ${FINAL_BLOCKS} blocks, tip ${height}: the claim is final`);
            }),
          );
        });
        return;
      case 'step':
        if (event.record.progress.step === 'claiming') tellClaim(event.record.progress.claims.at(-1));
        return;
      case 'waiting':
        problem = event.problem;
        return;
      default:
        throw new Error(`unknown event ${JSON.stringify(event satisfies never)}`);
    }
  };
  return {
    onEvent,
    settled: async () => {
      await Promise.all(work);
    },
    stuck: ({ number, progress: { step } }) =>
      new Error(`purchase ${number} did not get further than "${step}" in ${PATIENCE_MS / 1000} s: ${problem}`),
  };
}

function tellPayment(state: string): void {
  if (state === 'SENDING') {
    chapter(5, 'The buyer pays the Lightning invoice');
    why('the claim kit was written first: it claims without the seller, whatever happens to it');
  } else if (state === 'SUCCEEDED') {
    fact(
      "the seller's node held the payment, the settle gate opened, the seller committed SETTLING and released the preimage",
    );
    why(
      "depth, unspent outputs, amount, refund height and the node's deadline were all checked before the seller took the money",
    );
  } else {
    fact(`payment ${state}`);
  }
}

function tellClaim(claim: { readonly txid: string; readonly raw: string } | undefined): void {
  if (claim === undefined) return;
  chapter(6, 'The buyer claims the asset with the preimage');
  const [input] = parseTransaction(Buffer.from(claim.raw, 'hex')).ins;
  fact(`claim ${claim.txid}`);
  fact(`preimage in its witness: ${hex(input?.witness[2] ?? Buffer.alloc(0))}`);
  why('the fee comes out of the L-BTC in the HTLC, so a buyer without L-BTC can claim');
}
