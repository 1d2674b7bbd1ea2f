/** The signature rules of segwit version 0: strict DER (BIP66), low S, defined hash types, compressed keys, NULLFAIL. */
import { verify } from 'tiny-secp256k1';

import { failScript } from './scriptError.js';
import { SIGHASH_ANYONECANPAY, SIGHASH_RANGEPROOF, SIGHASH_SINGLE } from './signatureHash.js';

const HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n;
const DER_SEQUENCE = 0x30;
const DER_INTEGER = 0x02;

/** r and s as 32 bytes each; zero where a number does not fit, which no key ever verifies. */
type Signature = { readonly r: Buffer; readonly s: Buffer };

/** One positive, minimally encoded integer. */
function isStrictInteger(bytes: Buffer): boolean {
  const [first, second] = bytes;
  if (first === undefined || (first & 0x80) !== 0) return false;
  return first !== 0 || second === undefined || (second & 0x80) !== 0;
}

function toScalar(integer: Buffer): Buffer {
  const digits = integer[0] === 0 ? integer.subarray(1) : integer;
  return digits.length > 32 ? Buffer.alloc(32) : Buffer.concat([Buffer.alloc(32 - digits.length), digits]);
}

function decodeDer(der: Buffer): Signature | undefined {
  const rLength = der[3] ?? 0;
  const sLength = der[5 + rLength] ?? 0;
  const isFramed =
    der.length >= 8 &&
    der.length <= 72 &&
    der[0] === DER_SEQUENCE &&
    der[1] === der.length - 2 &&
    der[2] === DER_INTEGER &&
    der[4 + rLength] === DER_INTEGER &&
    6 + rLength + sLength === der.length;
  if (!isFramed) return undefined;
  const r = der.subarray(4, 4 + rLength);
  const s = der.subarray(6 + rLength);
  return isStrictInteger(r) && isStrictInteger(s) ? { r: toScalar(r), s: toScalar(s) } : undefined;
}

function assertSignatureEncoding(signature: Buffer, isDynafed: boolean): Signature {
  const decoded = decodeDer(signature.subarray(0, -1));
  if (decoded === undefined) failScript('derEncoding');
  if (BigInt(`0x${decoded.s.toString('hex')}`) > HALF_ORDER) failScript('highS');
  const flags = SIGHASH_ANYONECANPAY | (isDynafed ? SIGHASH_RANGEPROOF : 0);
  const outputType = signature.readUInt8(signature.length - 1) & ~flags;
  if (outputType < 1 || outputType > SIGHASH_SINGLE) failScript('hashType');
  return decoded;
}

function assertPubkeyEncoding(pubkey: Buffer): void {
  const isCompressed = pubkey.length === 33 && (pubkey[0] === 2 || pubkey[0] === 3);
  const isUncompressed = pubkey.length === 65 && pubkey[0] === 4;
  if (!isCompressed && !isUncompressed) failScript('pubkeyType');
  if (!isCompressed) failScript('witnessPubkeyType');
}

function isValid(hash: Buffer, pubkey: Buffer, { r, s }: Signature): boolean {
  try {
    return verify(hash, pubkey, Buffer.concat([r, s]));
  } catch {
    return false; // a key that is no point, or a scalar out of range
  }
}

/**
 * Whether the signature (DER and hash type) signs what `hashFor` gives. Only an empty signature may be false: any other
 * failure ends the script.
 */
export function checkSignature(
  signature: Buffer,
  pubkey: Buffer,
  context: { readonly isDynafed: boolean; readonly hashFor: (hashType: number) => Buffer },
): boolean {
  const decoded = signature.length === 0 ? undefined : assertSignatureEncoding(signature, context.isDynafed);
  assertPubkeyEncoding(pubkey);
  if (decoded === undefined) return false;
  const hash = context.hashFor(signature.readUInt8(signature.length - 1));
  if (!isValid(hash, pubkey, decoded)) failScript('nullFail');
  return true;
}
