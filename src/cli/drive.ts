/** Drives purchases with progress on stderr and the result on stdout. */
import type { Buyer } from '../buyer/buyer.js';
import { findRecord, readRecords } from '../buyer/dataDir.js';
import type { PurchaseEvent } from '../buyer/drive.js';
import { isFinal, type PurchaseRecord, type Step } from '../buyer/record.js';
import { drivePurchase } from '../buyer/session.js';
import { VerificationRefused } from '../buyer/verifyHandover.js';
import { withTimeout } from '../buyer/wait.js';
import { describeFailure, EXIT, EXIT_OF_STEP, failureLine, type ExitCode } from './exit.js';
import type { Run } from './run.js';
import { describeEvent, describePurchase, describeReport, purchaseView, reportView } from './views.js';

/** Drives one purchase and prints how far it came. Reaching `until` is success. */
export async function drive(
  run: Run,
  buyer: Buyer,
  record: PurchaseRecord,
  options: { readonly until?: Step; readonly timeoutSecs: number },
): Promise<ExitCode> {
  const { until, timeoutSecs } = options;
  try {
    const signal = withTimeout(run.signal, timeoutSecs * 1000);
    const end = await drivePurchase(buyer, record.number, {
      signal,
      onEvent: teller(run),
      ...(until === undefined ? {} : { until }),
    });
    run.out.result(purchaseView(end), () => describePurchase(end));
    const { step } = end.progress;
    const code = step === until ? EXIT.done : EXIT_OF_STEP[step];
    if (code === EXIT.unknown) run.out.progress(`not finished; continue with: swap buy --resume ${record.number}`);
    if (step === 'created') run.out.progress(`next: swap verify ${record.number}, then swap pay ${record.number}`);
    if (step === 'paid') run.out.progress(`next: swap claim ${record.number}, without delay`);
    return code;
  } catch (error) {
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

/** Prints progress; the same line twice in a row is no news. */
export function teller(run: Run): (event: PurchaseEvent) => void {
  let last: string | undefined;
  return (event) => {
    const line = describeEvent(event);
    if (line !== undefined && line !== last) run.out.progress(line);
    last = line;
  };
}

/** Drives all open purchases side by side; the worst end decides the exit code. */
export async function resume(run: Run, buyer: Buyer, which: true | string, timeoutSecs: number): Promise<ExitCode> {
  if (which !== true) return await drive(run, buyer, findRecord(buyer.dir, which), { timeoutSecs });
  const open = readRecords(buyer.dir).filter(({ progress }) => !isFinal(progress.step));
  const signal = withTimeout(run.signal, timeoutSecs * 1000);
  const ends = await Promise.all(
    open.map(async (record) => {
      const tell = teller({
        ...run,
        out: {
          ...run.out,
          progress: (line) => {
            run.out.progress(`#${record.number} ${line}`);
          },
        },
      });
      try {
        const end = await drivePurchase(buyer, record.number, { signal, onEvent: tell });
        return { code: EXIT_OF_STEP[end.progress.step], view: purchaseView(end), text: describePurchase(end) };
      } catch (error) {
        const { exitCode, code, message } = describeFailure(error);
        const report = error instanceof VerificationRefused ? reportView(error.report) : undefined;
        return {
          code: exitCode,
          view: { number: record.number, error: { code, message }, report },
          text: `#${record.number} ${code}: ${message}`,
        };
      }
    }),
  );
  run.out.result({ purchases: ends.map(({ view }) => view) }, () =>
    ends.length === 0 ? 'nothing to resume' : ends.map(({ text }) => text).join('\n\n'),
  );
  const worst: readonly ExitCode[] = [EXIT.failed, EXIT.refused, EXIT.usage, EXIT.unknown, EXIT.unpaid];
  return worst.find((code) => ends.some((end) => end.code === code)) ?? EXIT.done;
}
