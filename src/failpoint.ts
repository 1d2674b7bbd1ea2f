/**
 * Named points between two effects where a test ends the process as a power cut would. Compiled in and inert: nothing
 * happens unless the environment names a point. An operator never sets these variables.
 *
 * `FAILPOINT=<name>` or `FAILPOINT=<name>:<n>`: SIGKILL of the own process at the first, or the n-th, hit of the name.
 * `FAILPOINT_TRACE=<file>`: appends the name of every hit, one a line.
 */
import { appendFileSync } from 'node:fs';

type Armed = { readonly name: string; readonly hit: number };

const armed = parseFailpoint(process.env['FAILPOINT'] ?? '');
const traceFile = process.env['FAILPOINT_TRACE'] ?? '';
let hits = 0;

/** What `FAILPOINT` asks for, undefined when it is empty. */
function parseFailpoint(text: string): Armed | undefined {
  if (text === '') return undefined;
  const [, name, hit] = /^(.*):(\d+)$/.exec(text) ?? [];
  return name === undefined || hit === undefined ? { name: text, hit: 1 } : { name, hit: Number.parseInt(hit, 10) };
}

/** Ends the process here, without any clean-up, if the environment says so. */
export function failpoint(name: string): void {
  if (traceFile !== '') appendFileSync(traceFile, `${name}\n`);
  if (armed?.name !== name) return;
  hits += 1;
  if (hits < armed.hit) return;
  process.kill(process.pid, 'SIGKILL');
  for (;;); // the kernel ends the process in an instant; nothing may run until it does
}

/** A database commit between its two failpoints, `before commit <what>` and `after commit <what>`. */
export function failpointsAroundCommit<T>(what: string, commit: () => T): T {
  failpoint(`before commit ${what}`);
  const committed = commit();
  failpoint(`after commit ${what}`);
  return committed;
}

/** A call to the outside between its two failpoints, `before call <what>` and `after call <what>`; a failed call hits both. */
export async function failpointsAroundCall<T>(what: string, call: () => Promise<T>): Promise<T> {
  failpoint(`before call ${what}`);
  try {
    return await call();
  } finally {
    failpoint(`after call ${what}`);
  }
}
