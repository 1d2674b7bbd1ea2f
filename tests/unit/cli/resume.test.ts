/** Purchases beside one whose record is damaged: a bad disk block costs no more than what it held. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { findRecord, purchaseFolder, readRecord, readRecords } from '../../../src/buyer/dataDir.js';
import type { ExternalPayer } from '../../../src/buyer/externalPay.js';
import { drive, resume } from '../../../src/cli/drive.js';
import { EXIT, type ExitCode } from '../../../src/cli/exit.js';
import type { Output } from '../../../src/cli/output.js';
import type { Run } from '../../../src/cli/run.js';
import { PaymentStatus, SwapStatus } from '../../../src/gen/ln_liquid_swap/v1/swap.js';
import { payScene, usePayStage, type Scene } from '../buyer/payScene.js';

const stage = usePayStage();

/** A person who says to everything that the payment failed. */
function person(): ExternalPayer {
  return { show: () => undefined, answer: async () => Promise.resolve('failed') };
}

function run(): Run & { readonly results: unknown[] } {
  const results: unknown[] = [];
  const out: Output = {
    isJson: true,
    isLive: false,
    result: (value) => void results.push(value),
    progress: () => undefined,
    status: () => undefined,
  };
  const settings = { dataDir: stage.dir } as Run['settings']; // the rest is for connecting
  return { results, out, settings, interruptible: () => new AbortController().signal };
}

const stepOf = ({ record }: Scene): string | undefined => readRecord(stage.dir, record.number)?.progress.step;

/** Two purchases whose invoice was shown to a person, by the program as it was before. */
const twoShown = (): readonly [Scene, Scene] => [
  payScene(stage, { payer: { kind: 'external' } }),
  payScene(stage, { payer: { kind: 'external' } }),
];

describe('a purchase whose record is damaged', () => {
  const damage = (): Scene => {
    const [, second] = twoShown();
    writeFileSync(join(purchaseFolder(stage.dir, 0), 'session.json'), '{', { mode: 0o600 });
    stage.says = { status: SwapStatus.FUNDED, paymentStatus: PaymentStatus.CANCELED };
    return second;
  };
  it('does not keep another one from being found and driven', async () => {
    const second = damage();
    expect(findRecord(stage.dir, '1').number).toBe(1);
    expect(findRecord(stage.dir, second.htlc.swapId).number).toBe(1);
    expect(() => findRecord(stage.dir, '0')).toThrow('session.json');
    expect(() => readRecords(stage.dir)).toThrow('session.json');
    const record = findRecord(stage.dir, '1');
    const code: ExitCode = await drive(run(), { ...second.buyer, external: person() }, record, { timeoutSecs: 2 });
    expect(code).toBe(EXIT.unpaid);
  });
  it('is told beside the others when all are resumed', async () => {
    const second = damage();
    const made = run();
    const code = await resume(made, { ...second.buyer, external: person() }, true, 2);
    expect(stepOf(second)).toBe('unpaid');
    expect(code).toBe(EXIT.usage);
    expect(made.results).toMatchObject([{ purchases: [{ number: 0, error: { code: 'bad_config' } }, { number: 1 }] }]);
  });
});
