/** The package as a stranger gets it: packed, unpacked into a project of its own, with its declared dependencies only. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { z } from 'zod';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const packageSchema = z.object({ name: z.string(), dependencies: z.record(z.string(), z.string()) });

/** A project that has installed the package. */
export type Project = {
  readonly dir: string;
  /** Names of the files in the package. */
  readonly packed: readonly string[];
  /** Compiles every .ts file of the project. @returns what the compiler says of it and of our types: nothing if all is well. */
  readonly compile: () => string;
  readonly close: () => void;
};

function link(modules: string, name: string): void {
  const target = join(modules, name);
  mkdirSync(dirname(target), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules', name), target);
}

/** Packs what the last build left in dist/, so that nothing of the repository is in reach but the tarball. */
export function installPacked(files: ReadonlyMap<string, string>): Project {
  const dir = mkdtempSync(join(tmpdir(), 'swap-library-'));
  const tarball = execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', dir], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }).trim();
  const { name, dependencies } = packageSchema.parse(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')));
  const modules = join(dir, 'node_modules');
  mkdirSync(join(modules, name), { recursive: true });
  execFileSync('tar', ['-xzf', join(dir, tarball), '-C', join(modules, name), '--strip-components=1']);
  for (const dependency of [...Object.keys(dependencies), '@types/node']) link(modules, dependency);
  writeFileSync(join(dir, 'package.json'), JSON.stringify({ name: 'wallet', type: 'module', private: true }));
  writeFileSync(
    join(dir, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        ...{ target: 'ES2023', lib: ['ES2023'], module: 'NodeNext', types: ['node'], strict: true },
        ...{ exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, noUnusedLocals: true },
        ...{ verbatimModuleSyntax: true, skipLibCheck: false },
      },
      include: ['*.ts'],
    }),
  );
  for (const [file, text] of files) writeFileSync(join(dir, file), text);
  return {
    dir,
    packed: execFileSync('tar', ['-tzf', join(dir, tarball)], { encoding: 'utf8' })
      .trim()
      .split('\n')
      .map((path) => path.replace(/^package\//, '')),
    compile: () => compile(dir),
    close: () => {
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function compile(dir: string): string {
  try {
    return execFileSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', dir], {
      encoding: 'utf8',
    });
  } catch (error) {
    if (!(error instanceof Error) || !('stdout' in error)) throw error;
    // One declaration file of liquidjs-lib does not compile with any program; it is not about us.
    const said = String(error.stdout).split('\n');
    return said.filter((line) => !line.includes('node_modules/liquidjs-lib/src/psetv2/globals.d.ts')).join('\n');
  }
}

/** The examples of a page: its TypeScript blocks that begin with a file name. */
export function examplesOf(page: string): Map<string, string> {
  const text = readFileSync(join(ROOT, page), 'utf8');
  const blocks = [...text.matchAll(/^```ts\n\/\/ ([a-z]+\.ts)\n(.*?)^```$/gms)];
  return new Map(blocks.map(([, file = '', code = '']) => [file, code]));
}
