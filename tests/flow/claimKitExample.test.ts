/**
 * The worked example of docs/claim-kit.md: the kit reads, the chain of the sandbox takes the claim, our program makes the
 * same bytes, and so does a wallet written from that page alone.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { issuance, Transaction } from 'liquidjs-lib';
import { sign } from 'tiny-secp256k1';
import { beforeAll, describe, expect, it } from 'vitest';

import { signClaim } from '../../src/buyer/claim.js';
import { readClaimKit, writeClaimKit, type ClaimKit } from '../../src/buyer/claimKit.js';
import { hashPreimage, htlcWitnessScript, p2wpkhScriptPubKey, p2wshScriptPubKey } from '../../src/core/htlc.js';
import { LIQUID_NETWORKS } from '../../src/core/network.js';
import { explicitValueBytes, parseTransaction, rawOf, SEQUENCE_REPLACEABLE, txidOf } from '../../src/core/tx.js';
import {
  assetAmount,
  assetId,
  blockHeight,
  displayHex,
  hex,
  outpoint,
  preimage,
  reversedBytes,
  satPerKvb,
  swapId,
  type AssetId,
} from '../../src/core/units.js';
import { openChain, type Chain } from '../../src/sandbox/liquid/chain.js';
import { keyOf, loadZkp, preimageOf } from '../unit/core/zkp.js';

const { policyAsset, genesis } = LIQUID_NETWORKS.regtest;
const S = preimageOf('claim kit example');
const T = 1_500;
/** The example's tip and rate. */
const NOW = { tipHeight: blockHeight(1_000), feeRate: satPerKvb(100n) };
const page = readFileSync(new URL('../../docs/claim-kit.md', import.meta.url), 'utf8');

/** The only block of that language in the worked example. */
function block(language: string): string {
  const example = page.slice(page.indexOf('## A worked example'));
  return new RegExp(`\`\`\`${language}\\n([^\`]*)\`\`\``).exec(example)?.[1]?.trim() ?? '';
}

const ANYONE = Buffer.of(0x51);
const FREE_SAT = 100_000_000_000_000n;

/** A coin whose spend needs a witness, which an issuance does not do without: always the same bytes. */
function witnessedCoin(chain: Chain): Transaction {
  const [key] = chain.state.ledger.coins.keys();
  const [id = '', vout = '0'] = (key ?? '').split(':');
  const tx = new Transaction();
  tx.version = 2;
  tx.addInput(reversedBytes(id), Number.parseInt(vout, 10), SEQUENCE_REPLACEABLE);
  const asset = Buffer.concat([Buffer.of(1), reversedBytes(policyAsset)]);
  const pay = (script: Buffer, value: bigint): void => {
    tx.addOutput(script, explicitValueBytes(assetAmount(value)), asset, Buffer.of(0));
  };
  pay(p2wshScriptPubKey(ANYONE), FREE_SAT - 1_000n);
  pay(Buffer.alloc(0), 1_000n);
  return tx;
}

/** Issues an asset out of such a coin and pays both HTLC outputs: always the same bytes. */
function example(chain: Chain): { kit: ClaimKit & { genesis: string }; fundingTx: string } {
  const [id, vout] = [txidOf(witnessedCoin(chain)), 0];
  const issued = issuance.newIssuance(1_000, 0);
  const entropy = issuance.generateEntropy({ txHash: reversedBytes(id), vout }, issued.assetEntropy);
  const gold = assetId(displayHex(issuance.calculateAsset(entropy)));
  const terms = { paymentHash: hashPreimage(S), claimPkh: keyOf('buyer').pkh, refundPkh: keyOf('refund').pkh };
  const witnessScript = htlcWitnessScript({ ...terms, refundHeight: blockHeight(T) });
  const tx = new Transaction();
  tx.version = 2;
  tx.addInput(reversedBytes(id), vout, SEQUENCE_REPLACEABLE, Buffer.alloc(0), issued);
  tx.setWitness(0, [ANYONE]);
  const pay = (script: Buffer, asset: AssetId, value: bigint): void => {
    const assetBytes = Buffer.concat([Buffer.of(1), reversedBytes(asset)]);
    tx.addOutput(script, explicitValueBytes(assetAmount(value)), assetBytes, Buffer.of(0));
  };
  const script = p2wshScriptPubKey(witnessScript);
  pay(script, gold, 1_000n);
  pay(script, policyAsset, 1_200n);
  pay(Buffer.of(0x51), policyAsset, FREE_SAT - 3_200n);
  pay(Buffer.alloc(0), policyAsset, 1_000n);
  const funding = rawOf(tx);
  const point = (n: number): ReturnType<typeof outpoint> => outpoint(txidOf(tx), n);
  return {
    fundingTx: hex(funding),
    kit: {
      genesis,
      swapId: swapId('5a'.repeat(16)),
      preimage: S,
      bolt11: 'lnbcrt1example',
      electrum: ['ssl://electrum.example:50002'],
      source: {
        ...{ network: 'regtest', paymentHash: terms.paymentHash, witnessScript, refundHeight: blockHeight(T) },
        outpoints: [
          { outpoint: point(0), assetId: gold, value: assetAmount(1_000n) },
          { outpoint: point(1), assetId: policyAsset, value: assetAmount(1_200n) },
        ],
        fundingTx: funding,
        privateKey: keyOf('buyer').privateKey,
        payoutScript: p2wpkhScriptPubKey(keyOf('payout').pubkey),
      },
    },
  };
}

type Json = {
  readonly witness_script: string;
  readonly payout_script: string;
  readonly claim_privkey: string;
  readonly preimage: string;
  readonly outputs: readonly { txid: string; vout: number; asset_id: string; value: string }[];
};

const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();
const hash256 = (...parts: Buffer[]): Buffer => sha256(sha256(Buffer.concat(parts)));
const le32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const reversed = (text: string): Buffer => Buffer.from(text, 'hex').reverse();
const prefixed = (bytes: Buffer): Buffer => Buffer.concat([Buffer.of(bytes.length), bytes]); // below 253 bytes
const amount = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(9, 1);
  bytes.writeBigUInt64BE(value, 1);
  return bytes;
};

/** Another wallet: nothing but the page, SHA256 and a signature. */
function claimByHand(kit: Json, feeSat: bigint, sequence: number, privateKey: Buffer, pubkey: Buffer): string {
  const script = Buffer.from(kit.witness_script, 'hex');
  const [asset, lbtc] = kit.outputs;
  if (asset === undefined || lbtc === undefined) throw new Error('two outputs');
  const outputs = [
    [asset.asset_id, BigInt(asset.value), kit.payout_script],
    [lbtc.asset_id, BigInt(lbtc.value) - feeSat, kit.payout_script],
    [lbtc.asset_id, feeSat, ''],
  ] as const;
  const points = kit.outputs.map(({ txid, vout }) => Buffer.concat([reversed(txid), le32(vout)]));
  const outBytes = outputs.map(([id, value, to]) =>
    Buffer.concat([Buffer.of(1), reversed(id), amount(value), Buffer.of(0), prefixed(Buffer.from(to, 'hex'))]),
  );
  const witnesses = kit.outputs.map(({ value }, i) => {
    const digest = hash256(
      le32(2),
      hash256(...points),
      hash256(...points.map(() => le32(sequence))),
      hash256(...points.map(() => Buffer.of(0))),
      points[i] ?? Buffer.alloc(0),
      prefixed(script),
      amount(BigInt(value)),
      le32(sequence),
      hash256(...outBytes),
      le32(0),
      le32(1),
    );
    const stack = [
      der(Buffer.from(sign(digest, privateKey))),
      pubkey,
      Buffer.from(kit.preimage, 'hex'),
      Buffer.of(1),
      script,
    ];
    // Issuance and inflation proofs, the script witness, the peg-in witness.
    return Buffer.concat([Buffer.of(0, 0, stack.length), ...stack.map(prefixed), Buffer.of(0)]);
  });
  return Buffer.concat([
    ...[le32(2), Buffer.of(1, points.length)],
    ...points.map((point) => Buffer.concat([point, Buffer.of(0), le32(sequence)])),
    ...[Buffer.of(outBytes.length), ...outBytes, le32(0)],
    ...witnesses,
    ...outBytes.map(() => Buffer.of(0, 0)),
  ]).toString('hex');
}

/** DER of a compact signature, and SIGHASH_ALL. */
function der(signature: Buffer): Buffer {
  const integer = (bytes: Buffer): Buffer => {
    const start = bytes.findIndex((byte) => byte !== 0);
    const short = bytes.subarray(start);
    const positive = (short[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), short]) : short;
    return Buffer.concat([Buffer.of(2, positive.length), positive]);
  };
  const body = Buffer.concat([integer(signature.subarray(0, 32)), integer(signature.subarray(32))]);
  return Buffer.concat([Buffer.of(0x30, body.length), body, Buffer.of(1)]);
}

let chain: Chain;
let dir: string;
beforeAll(async () => {
  chain = await openChain({});
  dir = mkdtempSync(join(tmpdir(), 'swap-kit-'));
  return () => {
    rmSync(dir, { recursive: true, force: true });
  };
});

describe('the worked example of the claim kit', () => {
  const kitFile = (): string => {
    const path = join(dir, 'kit.json');
    writeFileSync(path, block('json'), { mode: 0o600 });
    return path;
  };

  it('is the kit that the program writes', () => {
    const path = join(dir, 'own.json');
    writeClaimKit(path, example(chain).kit);
    expect(JSON.parse(block('json'))).toEqual(JSON.parse(readFileSync(path, 'utf8')));
  });

  it('is claimed with the bytes of the page, by our program and by hand', async () => {
    const { source, preimage: secret } = readClaimKit(kitFile());
    if (secret === undefined) throw new Error('the example has its preimage');
    const claim = signClaim(await loadZkp(), source, { preimage: preimage(secret), ...NOW });
    expect(hex(claim.raw)).toBe(block('text').replaceAll(/\s/g, ''));
    expect(page).toContain(`fee of ${claim.feeSat.toString()} sat`);
    const { privateKey, pubkey } = keyOf('buyer');
    const byHand = claimByHand(
      JSON.parse(block('json')) as Json,
      claim.feeSat,
      SEQUENCE_REPLACEABLE,
      privateKey,
      Buffer.from(pubkey, 'hex'),
    );
    expect(byHand).toBe(hex(claim.raw));
  });

  it('is accepted by the chain', () => {
    const { source } = readClaimKit(kitFile());
    chain.broadcast(hex(rawOf(witnessedCoin(chain))));
    chain.broadcast(hex(source.fundingTx));
    chain.mine(1);
    const raw = block('text').replaceAll(/\s/g, '');
    const id = chain.broadcast(raw);
    chain.mine(1);
    expect(id).toBe(txidOf(parseTransaction(Buffer.from(raw, 'hex'))));
    expect(chain.state.ledger.mempool.size).toBe(0);
  });
});
