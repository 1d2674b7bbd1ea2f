// Puts the programs into node_modules/.bin, where "npx --no swap" finds them. A "bin" in package.json would make npx
// install this folder into its cache first and run its scripts again (docs/adr/0009).
import { chmodSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';

const PROGRAMS = { swapd: 'main.js', swap: 'cli/main.js', lnnoded: 'lnnode/main.js', sandbox: 'sandbox/main.js' };

const root = new URL('../../', import.meta.url);
mkdirSync(new URL('node_modules/.bin/', root), { recursive: true });
for (const [name, entry] of Object.entries(PROGRAMS)) {
  const link = new URL(`node_modules/.bin/${name}`, root);
  chmodSync(new URL(`dist/${entry}`, root), 0o755);
  rmSync(link, { force: true });
  symlinkSync(`../../dist/${entry}`, link);
}
