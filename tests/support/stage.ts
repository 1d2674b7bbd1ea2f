/** A chain and two nodes, started from nothing in a folder of their own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { ChainProgram, ChannelPaymentStage, NodeProgram } from './channelPayment.js';

type StartNode<Chain extends ChainProgram> = (dir: string, name: string, chain: Chain) => Promise<NodeProgram>;

type StageParts<Chain extends ChainProgram> = {
  /** Starts it in a folder. */
  readonly chain: (dir: string) => Promise<Chain>;
  readonly payer: StartNode<Chain>;
  readonly payee: StartNode<Chain>;
};

/** `close` ends it; with `KEEP_E2E=1` the folder stays and is named. */
export type RunningStage = ChannelPaymentStage & { close(): Promise<void> };

/** Everything from nothing. */
export async function startStage<Chain extends ChainProgram>(parts: StageParts<Chain>): Promise<RunningStage> {
  const dir = mkdtempSync(join(tmpdir(), 'channel-payment-'));
  const started: { stop(): Promise<void> }[] = [];
  const close = async (): Promise<void> => {
    for (const program of started.reverse()) await program.stop();
    if (process.env['KEEP_E2E'] === '1') process.stdout.write(`kept: ${dir}\n`);
    else rmSync(dir, { recursive: true, force: true });
  };
  try {
    const chain = await parts.chain(join(dir, 'chain'));
    started.push(chain);
    const payer = await parts.payer(dir, 'payer', chain);
    started.push(payer);
    const payee = await parts.payee(dir, 'payee', chain);
    started.push(payee);
    return { chain, payer, payee, close };
  } catch (error) {
    await close();
    throw error;
  }
}
