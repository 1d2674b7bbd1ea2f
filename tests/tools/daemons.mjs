/**
 * Builds lnd, lncli and btcd at the versions that tests/daemons pins, once, into a cache folder outside the tree.
 * `--where` only prints that folder: nothing without Go, and the folder may not be there yet.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const MODULE = fileURLToPath(new URL('../daemons', import.meta.url));
/** `invoicesrpc` is the one that hold invoices need; the others are used by client libraries. */
const TAGS = 'autopilotrpc chainrpc invoicesrpc peersrpc signrpc walletrpc';
const PROGRAMS = ['btcd', 'lnd', 'lncli'];
const WAIT_MS = 30 * 60_000;

const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'ln-liquid-swap', 'daemons');

/** "go version go1.26.8 linux/amd64", or why there is none that can build the module. */
function goVersion() {
  const { status, stdout, stderr, error } = spawnSync('go', ['version'], { cwd: MODULE, encoding: 'utf8' });
  if (error !== undefined) return { why: 'Go is not installed' };
  return status === 0 ? { version: stdout.trim() } : { why: stderr.trim() };
}

function folderFor(version) {
  const key = createHash('sha256');
  for (const file of ['go.mod', 'go.sum']) key.update(readFileSync(join(MODULE, file)));
  key.update(`${TAGS}\n${PROGRAMS.join(' ')}\n${version}`);
  return join(cache, key.digest('hex').slice(0, 16));
}

/** Builds into a folder of its own, which becomes the cached one as a whole. @returns true if it worked */
function build(folder) {
  const part = `${folder}-part-`;
  for (const name of readdirSync(cache).filter((entry) => join(cache, entry).startsWith(part))) {
    rmSync(join(cache, name), { recursive: true, force: true }); // of a run that was killed
  }
  const fresh = mkdtempSync(part);
  try {
    const flags = ['-mod=readonly', '-trimpath', '-buildvcs=false', '-ldflags=-s -w', `-tags=${TAGS}`];
    const { status, signal } = spawnSync('go', ['build', ...flags, '-o', `${fresh}/`, 'tool'], {
      cwd: MODULE,
      env: { ...process.env, CGO_ENABLED: '0' },
      stdio: ['ignore', 2, 2],
    });
    if (status === 0) renameSync(fresh, folder);
    else process.stderr.write(`go build ended with ${status ?? signal}\n`);
    return status === 0;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Takes the lock, or waits until another run has built. The lock saves work; the rename is what keeps the cache whole. */
async function lock(file, isDone) {
  for (const deadline = Date.now() + WAIT_MS; ; await sleep(500)) {
    if (isDone()) return () => undefined;
    try {
      writeFileSync(file, `${process.pid}`, { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const owner = Number(readFileSync(file, { encoding: 'utf8', flag: 'a+' }));
    if (owner > 0 && !isAlive(owner)) rmSync(file, { force: true });
    if (Date.now() > deadline) throw new Error(`another run holds ${file}`);
  }
}

/** Builds unless it is there. @returns undefined if that was not possible */
async function provide(folder) {
  const isDone = () => existsSync(folder);
  if (isDone()) return 'cached';
  const started = performance.now();
  mkdirSync(cache, { recursive: true });
  const unlock = await lock(`${folder}.lock`, isDone);
  try {
    if (!isDone() && !build(folder)) return undefined;
  } finally {
    unlock();
  }
  return `built in ${((performance.now() - started) / 1000).toFixed(0)} s`;
}

const versionOf = (folder, program) =>
  execFileSync(join(folder, program), ['--version'], { encoding: 'utf8', env: { HOME: folder } }).trim();

const { version, why } = goVersion();
const folder = version === undefined ? '' : folderFor(version);
if (process.argv.includes('--where')) process.stdout.write(folder);
else if (version === undefined) {
  process.stdout.write(`lnd and btcd were not built, and their suites will be skipped: ${why}\n`);
} else {
  const how = await provide(folder);
  if (how === undefined) process.exitCode = 1;
  else process.stdout.write([...PROGRAMS.map((name) => versionOf(folder, name)), `${how}: ${folder}\n`].join('\n'));
}
