import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';

import { htlcEnd } from '../../../src/lnnode/chain/htlcEnds.js';

const preimage = randomBytes(32);
const revocationKey = Buffer.concat([Buffer.of(2), randomBytes(32)]);
const signature = randomBytes(71);
const EMPTY = Buffer.alloc(0);

const ripemd160 = (data: Uint8Array): string => createHash('ripemd160').update(data).digest('hex');
const sha256 = (data: Uint8Array): Buffer => createHash('sha256').update(data).digest();
const paymentHash160 = ripemd160(sha256(preimage));

const key = (): string => `21${randomBytes(33).toString('hex')}`;
const begin = `76a914${ripemd160(sha256(revocationKey))}8763ac67${key()}7c82012087`;

/** BOLT 3's scripts, with or without the line for anchors. */
const offered = (anchors: string): Buffer =>
  Buffer.from(`${begin}6475527c${key()}52ae67a914${paymentHash160}88ac68${anchors}68`, 'hex');
const received = (anchors: string): Buffer =>
  Buffer.from(`${begin}63a914${paymentHash160}88527c${key()}52ae677503a1b20cb175ac68${anchors}68`, 'hex');

describe.each([
  ['static remote keys', ''],
  ['anchors', '51b275'],
])('the end of an HTLC with %s', (_, anchors) => {
  it.each([
    ['our preimage for what the peer offered', offered(anchors), [signature, preimage], 'preimage'],
    ['our success transaction', received(anchors), [EMPTY, signature, signature, preimage], 'preimage'],
    ["the peer's timeout transaction", offered(anchors), [EMPTY, signature, signature, EMPTY], 'timeout'],
    ['a timeout with an odd argument', offered(anchors), [EMPTY, signature, signature, Buffer.of(1)], 'timeout'],
    ['the peer takes back from our commitment', received(anchors), [signature, EMPTY], 'timeout'],
    ['a punishment', offered(anchors), [signature, revocationKey], 'revocation'],
    ['a punishment of the other kind', received(anchors), [signature, revocationKey], 'revocation'],
  ] as const)('%s', (_name, script, items, kind) => {
    expect(htlcEnd([...items, script])).toEqual({ kind, paymentHash160 });
  });
  it('is not read out of other scripts', () => {
    expect(htlcEnd([])).toBeUndefined();
    expect(htlcEnd([EMPTY])).toBeUndefined();
    expect(htlcEnd([EMPTY, signature, signature, randomBytes(71)])).toBeUndefined();
    expect(htlcEnd([signature, EMPTY, Buffer.concat([offered(anchors), Buffer.of(0x51)])])).toBeUndefined();
  });
});
