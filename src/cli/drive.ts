/** Drives purchases with progress on stderr and the result on stdout. */
import type { Buyer } from '../buyer/buyer.js';
import { findRecord, readableRecords, readRecord } from '../buyer/dataDir.js';
import { isFinal, type PurchaseRecord, type Step } from '../buyer/record.js';
import { whatIsSafe } from '../buyer/safety.js';
import { drivePurchase } from '../buyer/session.js';
import { VerificationRefused } from '../buyer/verifyHandover.js';
import { withTimeout } from '../buyer/wait.js';
import { describeFailure, EXIT, EXIT_OF_STEP, failureLine, type ExitCode } from './exit.js';
import { narrate } from './progress.js';
import type { Run } from './run.js';
import { describePurchase, describeReport, purchaseView, reportView } from './views.js';

/** What Ctrl-C leaves behind, for each of these purchases as they are on disk. */
const safetyOf = (dir: string, numbers: readonly number[]) => (): string => {
  const sentences = numbers.flatMap((number) => {
    const record = readRecord(dir, number);
    return record === undefined ? [] : [`#${number}: ${whatIsSafe(record.progress)}`];
  });
  return sentences.join(' ');
};

/** Drives one purchase and prints how far it came. Reaching `until` is success. */
export async function drive(
  run: Run,
  buyer: Buyer,
  record: PurchaseRecord,
  options: { readonly until?: Step; readonly timeoutSecs: number },
): Promise<ExitCode> {
  const { until, timeoutSecs } = options;
  const { number } = record;
  const narrator = narrate(run.out);
  try {
    const signal = withTimeout(run.interruptible(safetyOf(buyer.dir, [number])), timeoutSecs * 1000);
    const { onEvent } = narrator;
    const end = await drivePurchase(buyer, number, { signal, onEvent, ...(until === undefined ? {} : { until }) });
    narrator.close();
    run.out.result(purchaseView(end), () => describePurchase(end));
    const { step } = end.progress;
    const code = step === until ? EXIT.done : EXIT_OF_STEP[step];
    if (code === EXIT.unknown) run.out.progress(`not finished; continue with: swap buy --resume ${number}`);
    if (step === 'created') run.out.progress(`next: swap verify ${number}, then swap pay ${number}`);
    if (step === 'paid') run.out.progress(`next: swap claim ${number}, without delay`);
    return code;
  } catch (error) {
    narrator.close();
    if (error instanceof VerificationRefused) return refused(run, record, error);
    throw error;
  }
}

/** The purchase and the report make one result; the line of the error follows. */
function refused(run: Run, record: PurchaseRecord, error: VerificationRefused): ExitCode {
  const end = findRecord(run.settings.dataDir, String(record.number));
  run.out.result({ ...purchaseView(end), ...reportView(error.report) }, () => describeReport(error.report));
  run.out.progress(failureLine(describeFailure(error)));
  return EXIT.refused;
}

/** Drives all open purchases side by side; the worst end decides the exit code. */
export async function resume(run: Run, buyer: Buyer, which: true | string, timeoutSecs: number): Promise<ExitCode> {
  if (which !== true) return await drive(run, buyer, findRecord(buyer.dir, which), { timeoutSecs });
  const { records, damaged } = readableRecords(buyer.dir);
  const open = records.filter(({ progress }) => !isFinal(progress.step));
  const numbers = open.map(({ number }) => number);
  const signal = withTimeout(run.interruptible(safetyOf(buyer.dir, numbers)), timeoutSecs * 1000);
  const driven = await Promise.all(open.map(async (record) => await resumeOne(run, buyer, record, signal)));
  const ends = [...damaged.map(({ number, error }) => endOf(number, error)), ...driven];
  run.out.result({ purchases: ends.map(({ view }) => view) }, () =>
    ends.length === 0 ? 'nothing to resume' : ends.map(({ text }) => text).join('\n\n'),
  );
  const worst: readonly ExitCode[] = [EXIT.failed, EXIT.refused, EXIT.usage, EXIT.unknown, EXIT.unpaid];
  return worst.find((code) => ends.some((end) => end.code === code)) ?? EXIT.done;
}

type End = { readonly code: ExitCode; readonly view: object; readonly text: string };

/** One of several: its trouble is not that of the others. */
async function resumeOne(run: Run, buyer: Buyer, { number }: PurchaseRecord, signal: AbortSignal): Promise<End> {
  const narrator = narrate({ ...run.out, isLive: false }, `#${number} `);
  try {
    const end = await drivePurchase(buyer, number, { signal, onEvent: narrator.onEvent });
    return { code: EXIT_OF_STEP[end.progress.step], view: purchaseView(end), text: describePurchase(end) };
  } catch (error) {
    return endOf(number, error);
  } finally {
    narrator.close();
  }
}

function endOf(number: number, error: unknown): End {
  const { exitCode, code, message } = describeFailure(error);
  const report = error instanceof VerificationRefused ? reportView(error.report) : undefined;
  return {
    code: exitCode,
    view: { number, error: { code, message }, report },
    text: `#${number} ${code}: ${message}`,
  };
}
