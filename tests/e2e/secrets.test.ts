/** What the programs do with a secret that is given in the wrong place, and what a logger does with one. */
import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const DIST = fileURLToPath(new URL('../../dist', import.meta.url));
const WORDS = 'legal winner thank year wave sausage worth useful legal winner thank yellow';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'secrets-'));
});
afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

type Ended = { readonly code: number; readonly output: string };

const node = async (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> =>
  await new Promise((resolve) => {
    const options = { env: { ...process.env, ...env }, timeout: 20_000 };
    execFile(process.execPath, args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, output: stdout + stderr });
    });
  });

function config(mnemonicMode: number): string {
  const file = (name: string, text: string, mode: number): string => {
    const path = join(dir, name);
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  };
  const toml = `
[admin]
listen = "127.0.0.1:0"
token_file = "${file('token', 'admin-secret', 0o600)}"
[network]
name = "regtest"
[grpc]
listen = "127.0.0.1:0"
[electrum]
servers = ["tcp://127.0.0.1:1"]
[lightning]
address = "127.0.0.1:1"
token_file = "${file('node-token', 'node-secret', 0o600)}"
[wallet]
mnemonic_file = "${file('mnemonic', WORDS, mnemonicMode)}"
[database]
path = "${join(dir, 'swapd.db')}"
bundle_dir = "${dir}"
`;
  return file('swapd.toml', toml, 0o600);
}

describe.concurrent('a mnemonic', () => {
  it.each(['swapd', 'lnnoded', 'swap'])('as an option or a word of the command line is refused by %s', async (name) => {
    const program = join(DIST, { swapd: 'main.js', lnnoded: 'lnnode/main.js', swap: 'cli/main.js' }[name] ?? '');
    for (const args of [['--mnemonic', WORDS], [WORDS]]) {
      expect((await node([program, ...args])).code).toBeGreaterThan(0);
    }
  });
  it('in the environment is refused, and not shown', async () => {
    const path = config(0o600);
    const { code, output } = await node([join(DIST, 'main.js'), '--config', path], { SWAPD_WALLET__MNEMONIC: WORDS });
    expect(code).toBeGreaterThan(0);
    expect(output).toContain('wallet.mnemonic: expected a known key, found an unknown one');
    expect(output).not.toContain('winner');
  });
});

describe('a seller', () => {
  it('does not start with words that others can read', async () => {
    const { code, output } = await node([join(DIST, 'main.js'), '--config', config(0o644)]);
    expect(code).toBeGreaterThan(0);
    expect(output).toContain('0600');
    expect(output).not.toContain('winner');
  });
});

describe('a logger', () => {
  it('shows no secret, by the name of its field, at any level', async () => {
    const fields = ['preimage', 'mnemonic', 'seed', 'privateKey', 'token', 'macaroon', 'password', 'secret'];
    const line = Object.fromEntries(fields.map((field) => [field, 'hidden-value']));
    const script = `
      import { createLogger } from ${JSON.stringify(join(DIST, 'log.js'))};
      const log = createLogger('test', 'trace');
      const line = ${JSON.stringify(line)};
      log.trace(line, 'plain');
      log.error({ swap: line }, 'nested');`;
    const { code, output } = await node(['--input-type=module', '--eval', script]);
    expect([code, output.split('[redacted]').length - 1]).toEqual([0, 2 * fields.length]);
    expect(output).not.toContain('hidden-value');
  });
});
