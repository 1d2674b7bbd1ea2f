/** Another HTLC: it is funded, and the invoice fits it, but the script is not what was agreed. */
import { hashPreimage, pubkeyHash } from '../../src/core/htlc.js';
import { blockHeight } from '../../src/core/units.js';
import { withField } from '../support/bolt11Parts.js';
import { bytesField, FIELD } from '../unit/core/rawInvoice.js';
import { keyOf } from '../unit/core/zkp.js';
import type { Lie } from './lie.js';
import { CLAIMED_PREIMAGE } from './spends.js';

/** Where the template has what; the push of T is 2 bytes and more long. */
const AT = { size: 1, hash: 7, claimPkh: 43, lock: 66 } as const;
const TIME_LOCK = 1_900_000_000;

/** The script with some bytes replaced by others. */
const spliced = (script: Buffer, at: number, length: number, ...bytes: readonly number[]): Buffer =>
  Buffer.concat([script.subarray(0, at), Buffer.from(bytes), script.subarray(at + length)]);

/** The push of T, with its length byte. */
const lockLength = (script: Buffer): number => 1 + (script[AT.lock] ?? 0);

const timeLocked = (script: Buffer): Buffer => {
  const time = Buffer.alloc(4);
  time.writeUInt32LE(TIME_LOCK);
  return spliced(script, AT.lock, lockLength(script), 4, ...time);
};

/** With so few blocks no cap of the total CLTV is safe either. */
export const NO_TIME_LEFT = ['refund_height_too_low', 'final_cltv_vs_cap'] as const;

const OTHER_HASH = hashPreimage(CLAIMED_PREIMAGE);

export const SCRIPT_LIES: readonly Lie[] = [
  {
    name: 'refund height as low as it may be',
    codes: [],
    forgery: { htlc: (htlc) => ({ ...htlc, refundHeight: blockHeight(htlc.refundHeight - 26) }) },
  },
  {
    name: 'refund height too low by one',
    codes: [...NO_TIME_LEFT],
    // 29 blocks less than the 60 agreed, after two blocks: 31 left, 32 needed
    forgery: { htlc: (htlc) => ({ ...htlc, refundHeight: blockHeight(htlc.refundHeight - 27) }) },
  },
  {
    name: 'refund open already',
    codes: [...NO_TIME_LEFT],
    forgery: { htlc: (htlc) => ({ ...htlc, refundHeight: blockHeight(htlc.refundHeight - 60) }) },
  },
  {
    name: 'refund lock is a time',
    codes: ['script_template', 'refund_height_time_based'],
    forgery: { script: timeLocked },
  },
  {
    name: 'claim key of somebody else',
    codes: ['script_claim_key'],
    forgery: { htlc: (htlc) => ({ ...htlc, claimPkh: pubkeyHash(keyOf('somebody').pubkey) }) },
  },
  {
    name: 'refund key in both branches',
    codes: ['script_claim_key'],
    forgery: { htlc: (htlc) => ({ ...htlc, claimPkh: htlc.refundPkh }) },
  },
  {
    name: 'script without OP_SIZE',
    codes: ['script_template', 'refund_height_time_based'],
    forgery: { script: (script) => spliced(script, AT.size, 4) },
  },
  {
    name: 'script with an opcode more',
    codes: ['script_template'],
    forgery: { script: (script) => spliced(script, script.length, 0, 0x61) },
  },
  {
    name: 'script without the refund lock',
    codes: ['script_template', 'refund_height_time_based'],
    forgery: { script: (script) => spliced(script, AT.lock, lockLength(script) + 2) },
  },
  {
    name: 'refund height pushed in five bytes',
    codes: ['script_template'],
    forgery: {
      script: (script) => {
        const height = script.subarray(AT.lock + 1, AT.lock + lockLength(script));
        return spliced(script, AT.lock, lockLength(script), 4, ...height, ...Buffer.alloc(4 - height.length));
      },
    },
  },
  {
    name: 'size of 33 bytes demanded',
    codes: ['script_template'],
    forgery: { script: (script) => spliced(script, AT.size + 2, 1, 33) },
  },
  {
    name: 'HTLC of another hash than the invoice',
    codes: ['payment_hash_mismatch'],
    forgery: { htlc: (htlc) => ({ ...htlc, paymentHash: OTHER_HASH }) },
    terms: (terms, { paymentHash }) => ({ ...terms, paymentHash }),
    invoice: (parts, { paymentHash }) =>
      withField(parts, FIELD.paymentHash, bytesField(Buffer.from(paymentHash, 'hex'))),
  },
];
