import { createPrivateKey, X509Certificate } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { makeCertificate } from '../../../src/lnnode/tls.js';

const NOW = Date.parse('2026-11-21T00:00:00Z');

describe('the certificate that a node makes', () => {
  const { cert, key } = makeCertificate(['node.example', '192.0.2.7', '2001:db8::1', '::1'], NOW);
  const read = new X509Certificate(cert);

  it('is signed by its own key', () => {
    expect(read.verify(read.publicKey)).toBe(true);
    expect(read.checkPrivateKey(createPrivateKey(key))).toBe(true);
    expect(read.checkIssued(read)).toBe(true);
    expect(read.ca).toBe(true);
  });
  it('is for its names and addresses, and for no other', () => {
    expect(read.checkHost('node.example')).toBe('node.example');
    for (const ip of ['192.0.2.7', '2001:db8::1', '::1']) expect(read.checkIP(ip)).toBe(ip);
    expect(read.checkHost('other.example')).toBeUndefined();
    expect(read.checkIP('192.0.2.8')).toBeUndefined();
    expect(read.checkIP('2001:db8::2')).toBeUndefined();
  });
  it('holds for ten years from a day ago', () => {
    expect([Date.parse(read.validFrom), Date.parse(read.validTo)]).toEqual([
      Date.parse('2026-11-20T00:00:00Z'),
      NOW + 3650 * 86_400_000,
    ]);
    const late = new X509Certificate(makeCertificate(['a'], Date.parse('2045-01-01T00:00:00Z')).cert);
    expect(new Date(late.validTo).getUTCFullYear()).toBe(2054);
  });
  it('has a number and a key of its own each time', () => {
    const other = new X509Certificate(makeCertificate(['node.example']).cert);
    expect(other.serialNumber).not.toBe(read.serialNumber);
    expect(other.verify(read.publicKey)).toBe(false);
  });
  it('may have more names than fit into a short element', () => {
    const names = Array.from({ length: 50 }, (_, i) => `host-${i}.a-rather-long-domain.example`);
    const long = new X509Certificate(makeCertificate(names).cert);
    expect(names.filter((name) => long.checkHost(name) === undefined)).toEqual([]);
  });
});
