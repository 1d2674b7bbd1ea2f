/**
 * A certificate of the node's own, signed by itself, for callers that are not on this machine. They get a copy of it and
 * trust nothing else. Written out by hand (RFC 5280, one fixed shape) because Node makes keys and signatures but no
 * certificates, and the libraries that do bring dozens of packages into a process that holds money.
 */
import { generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { isIP, isIPv4 } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';

import { writeDurable } from './files.js';

const DAY_MS = 86_400_000;
const VALID_DAYS = 3650;

const hexOf = (text: string): Buffer => Buffer.from(text, 'hex');

/** One DER element: tag, length, content. */
function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  if (content.length < 128) return Buffer.concat([Buffer.from([tag, content.length]), content]);
  return Buffer.concat([Buffer.from([tag, 0x82, content.length >> 8, content.length & 0xff]), content]);
}

const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts);
const oid = (hex: string): Buffer => der(0x06, hexOf(hex));
const ECDSA_WITH_SHA256 = sequence(oid('2a8648ce3d040302'));

function time(at: Date): Buffer {
  const text = at.toISOString().replace(/[-:T]|\.\d+/g, ''); // YYYYMMDDHHMMSSZ
  return at.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(text.slice(2))) : der(0x18, Buffer.from(text));
}

function ipBytes(ip: string): Buffer {
  if (isIPv4(ip)) return Buffer.from(ip.split('.').map(Number));
  const [head = '', tail] = ip.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const left = groups(head);
  const right = groups(tail ?? '');
  const middle = tail === undefined ? [] : Array<string>(8 - left.length - right.length).fill('0');
  return hexOf([...left, ...middle, ...right].map((group) => group.padStart(4, '0')).join(''));
}

const alternativeName = (name: string): Buffer =>
  isIP(name) === 0 ? der(0x82, Buffer.from(name, 'ascii')) : der(0x87, ipBytes(name));

const extension = (id: string, isCritical: boolean, value: Uint8Array): Buffer =>
  sequence(oid(id), ...(isCritical ? [hexOf('0101ff')] : []), der(0x04, value));

/** A key and a certificate for these host names and addresses, as PEM. */
export function makeCertificate(names: readonly string[], now = Date.now()): { cert: string; key: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40; // positive, and never shorter
  const issuer = sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from('lnnoded')))));
  const extensions = sequence(
    extension('551d11', false, sequence(...names.map(alternativeName))), // subjectAltName
    extension('551d13', true, sequence(hexOf('0101ff'))), // basicConstraints: its own authority
    extension('551d0f', true, hexOf('03020284')), // keyUsage: digitalSignature, keyCertSign
    extension('551d25', false, sequence(oid('2b06010505070301'))), // extKeyUsage: serverAuth
  );
  const body = sequence(
    der(0xa0, hexOf('020102')), // version 3
    der(0x02, serial),
    ECDSA_WITH_SHA256,
    issuer,
    sequence(time(new Date(now - DAY_MS)), time(new Date(now + VALID_DAYS * DAY_MS))),
    issuer,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  );
  const signature = sign('sha256', body, privateKey);
  const whole = sequence(body, ECDSA_WITH_SHA256, der(0x03, Buffer.from([0]), signature));
  return {
    cert: new X509Certificate(whole).toString(),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** Names by which callers may reach the address, besides those that the operator adds. */
function namesOf(host: string, more: readonly string[]): string[] {
  const isEverywhere = host === '0.0.0.0' || host === '::';
  const addresses = Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80'))
    .map(({ address }) => address);
  return [...new Set([...more, ...(isEverywhere ? addresses : [host]), hostname(), 'localhost', '127.0.0.1', '::1'])];
}

/** The node's own certificate and key: made at the first start (0600), then the same for ever. */
export function ownCertificate(
  dataDir: string,
  host: string,
  more: readonly string[],
): { certFile: string; keyFile: string } {
  const [certFile, keyFile] = [join(dataDir, 'tls.cert'), join(dataDir, 'tls.key')];
  if (!existsSync(certFile) || !existsSync(keyFile)) {
    const { cert, key } = makeCertificate(namesOf(host, more));
    writeDurable(keyFile, key);
    writeDurable(certFile, cert);
  }
  return { certFile, keyFile };
}
