import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { ElectrumConnection, parseElectrumServer } from '../../../src/liquid/electrumConnection.js';
import { startHostileElectrum, type HostileElectrum } from '../../support/hostileElectrum.js';

const OPENSSL = 'openssl';
const hasOpenssl = ((): boolean => {
  try {
    execFileSync(OPENSSL, ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

/** A key and a self-signed certificate for one name, made for this test run only. */
function selfSigned(dir: string, subjectAltName: string): { key: Buffer; cert: Buffer } {
  const name = subjectAltName.replaceAll(/[^a-z0-9]/gi, '-');
  const [key, cert] = [join(dir, `${name}.key`), join(dir, `${name}.crt`)];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const subject = ['-subj', '/CN=test only', '-addext', `subjectAltName=${subjectAltName}`, '-days', '2'];
  execFileSync(OPENSSL, ['req', '-x509', ...curve, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { key: readFileSync(key), cert: readFileSync(cert) };
}

describe.skipIf(!hasOpenssl)('TLS', () => {
  let dir: string;
  let server: HostileElectrum;
  let own: { key: Buffer; cert: Buffer };
  let other: { key: Buffer; cert: Buffer };

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'electrum-tls-'));
    own = selfSigned(dir, 'IP:127.0.0.1');
    other = selfSigned(dir, 'DNS:elsewhere.example');
    server = await startHostileElectrum({ tls: own });
  });
  afterAll(async () => {
    await server.close();
    rmSync(dir, { recursive: true });
  });

  const connectTo = async (url: string, ca: Buffer | undefined): Promise<unknown> => {
    const connection = new ElectrumConnection({
      server: parseElectrumServer(url),
      connectTimeoutMs: 5_000,
      requestTimeoutMs: 5_000,
      ...(ca === undefined ? {} : { ca }),
    });
    try {
      await connection.connect();
      return await connection.request('server.version', []);
    } finally {
      connection.close();
    }
  };

  it('is accepted from a server whose certificate is given', async () => {
    expect(await connectTo(server.url, own.cert)).toEqual(['hostile', '1.4']);
  });

  it('is refused from a server that the system does not know', async () => {
    await expect(connectTo(server.url, undefined)).rejects.toThrow(/self-signed certificate/);
  });

  it('is refused from a server with another certificate than the given one', async () => {
    await expect(connectTo(server.url, other.cert)).rejects.toThrow(/connection failed: .*(self-signed|verify)/);
  });

  it('is refused from a server whose certificate is for another name', async () => {
    const impostor = await startHostileElectrum({ tls: other });
    await expect(connectTo(impostor.url, other.cert)).rejects.toThrow(/does not match|not in the cert's list/);
    await impostor.close();
  });

  it('is refused from a server without TLS', async () => {
    const plain = await startHostileElectrum();
    await expect(connectTo(plain.url.replace('tcp', 'ssl'), own.cert)).rejects.toThrow(
      /connection failed|closed the connection/,
    );
    await plain.close();
  });
});
