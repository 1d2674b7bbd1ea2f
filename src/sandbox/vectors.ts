/**
 * Program: replays vector files of a real Elements node on the sandbox's ledger, prints what differs and ends with
 * "A of N agree". Exit 0 if all agree, 1 if some differ, 2 if a file cannot be used.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { z } from 'zod';

import { errorChain } from '../errors.js';
import { replayVectors, vectorFileSchema, type Comparison } from './liquid/replay.js';
import { loadZkp, type Zkp } from './liquid/zkp.js';

const EXIT_DIFFERENT = 1;
const EXIT_USAGE = 2;

/** npm runs its scripts in the package's folder; paths are meant from where the user stands. */
function startFolder(): string {
  const { npm_lifecycle_event: script, INIT_CWD: npmStartedIn } = process.env;
  return script === 'vectors' && npmStartedIn !== undefined ? npmStartedIn : process.cwd();
}

/** A file's comparisons. @throws Error with one line if it is missing or malformed. */
function replayFile(zkp: Zkp, path: string): Comparison[] {
  try {
    const parsed = vectorFileSchema.safeParse(JSON.parse(readFileSync(resolve(startFolder(), path), 'utf8')));
    if (!parsed.success) throw new Error(firstProblem(parsed.error));
    return replayVectors(zkp, parsed.data);
  } catch (error) {
    throw new Error(`${path}: ${errorChain(error)}`, { cause: error });
  }
}

function firstProblem({ issues }: z.ZodError): string {
  const [first] = issues;
  return first === undefined ? 'malformed' : `${first.path.join('.')}: ${first.message}`;
}

async function main(paths: readonly string[]): Promise<number> {
  if (paths.length === 0) {
    process.stderr.write('vectors: expected FILE..., found no file\n');
    return EXIT_USAGE;
  }
  const zkp = await loadZkp();
  let comparisons: Comparison[];
  try {
    comparisons = paths.flatMap((path) => replayFile(zkp, path));
  } catch (error) {
    process.stderr.write(
      `vectors: ${(error instanceof Error ? error.message : String(error)).replaceAll('\n', ' ')}\n`,
    );
    return EXIT_USAGE;
  }
  const different = comparisons.filter(({ expected, found }) => expected !== found);
  for (const { name, expected, found } of different) {
    process.stdout.write(`${name}: expected ${expected}, found ${found}\n`);
  }
  process.stdout.write(`${comparisons.length - different.length} of ${comparisons.length} agree\n`);
  return different.length === 0 ? 0 : EXIT_DIFFERENT;
}

process.exitCode = await main(process.argv.slice(2));
