/**
 * The claim kit: one file with which any program that knows docs/claim-kit.md can take the asset. Written before paying,
 * 0600, because it holds the claim key.
 */
import { z } from 'zod';

import { networkOfGenesis, type LiquidNetworkName } from '../core/network.js';
import { hashPreimage, parseHtlcWitnessScript, publicKeyOf, pubkeyHash } from '../core/htlc.js';
import {
  assetAmount,
  assetId,
  blockHash,
  blockHeight,
  hex,
  outpoint,
  paymentHash,
  preimage,
  pubkey,
  swapId,
  type Preimage,
  type SwapId,
} from '../core/units.js';
import { SwapError } from '../errors.js';
import type { ClaimSource } from './claim.js';
import { readPrivateFile, writePrivateFile } from './files.js';
import { decodeWif, encodeWif } from './wif.js';

const hexText = z.string().regex(/^([0-9a-f]{2})*$/, 'lower-case hex');

const kitSchema = z.strictObject({
  version: z.literal(1),
  genesis: z.string().transform(blockHash),
  swap_id: z.string().transform(swapId),
  payment_hash: z.string().transform(paymentHash),
  /** People write it in by hand. */
  preimage: z
    .string()
    .transform((text) => text.trim().toLowerCase())
    .pipe(hexText.length(64))
    .nullable(),
  witness_script: hexText,
  refund_height: z.int().transform(blockHeight),
  outputs: z
    .array(
      z.strictObject({
        txid: z.string(),
        vout: z.int().min(0),
        asset_id: z.string().transform(assetId),
        /** Smallest units; a decimal string. */
        value: z
          .string()
          .regex(/^[0-9]{1,16}$/)
          .transform((text) => assetAmount(BigInt(text))),
      }),
    )
    .min(1),
  funding_tx: hexText,
  claim_privkey: z.string(),
  payout_script: hexText,
  blinding_pubkey: z.string().transform(pubkey).nullable(),
  bolt11: z.string(),
  electrum: z.array(z.string()),
});

/** A kit as the program uses it. */
export type ClaimKit = {
  readonly swapId: SwapId;
  readonly source: ClaimSource;
  readonly preimage: Preimage | undefined;
  readonly bolt11: string;
  /** Servers of the buyer: `ssl://host:port` or `tcp://host:port`. */
  readonly electrum: readonly string[];
};

/** Writes the kit; again with the preimage once it is known. */
export function writeClaimKit(path: string, kit: ClaimKit & { readonly genesis: string }): void {
  const { source } = kit;
  const content = {
    version: 1,
    genesis: kit.genesis,
    swap_id: kit.swapId,
    payment_hash: source.paymentHash,
    preimage: kit.preimage === undefined ? null : hex(kit.preimage),
    witness_script: hex(source.witnessScript),
    refund_height: source.refundHeight,
    outputs: source.outpoints.map(({ outpoint: point, assetId: asset, value }) => ({
      txid: point.txid,
      vout: point.vout,
      asset_id: asset,
      value: value.toString(),
    })),
    funding_tx: hex(source.fundingTx),
    claim_privkey: encodeWif(source.privateKey, source.network),
    payout_script: hex(source.payoutScript),
    blinding_pubkey: source.blindingPubkey ?? null,
    bolt11: kit.bolt11,
    electrum: kit.electrum,
  };
  writePrivateFile(path, `${JSON.stringify(content, undefined, 2)}\n`);
}

function refuse(path: string, found: string, cause?: unknown): never {
  throw new SwapError('invalid_argument', `claim kit ${path}: expected a kit of version 1, found ${found}`, { cause });
}

/**
 * Reads a kit and checks that its parts belong together.
 *
 * @throws SwapError `invalid_argument` naming what is wrong; never shows the key or the preimage.
 */
export function readClaimKit(path: string): ClaimKit {
  const text = readPrivateFile(path);
  if (text === undefined) refuse(path, 'no file');
  const kit = parseKit(path, text);
  const network = networkOfGenesis(kit.genesis) ?? refuse(path, `an unknown genesis ${kit.genesis}`);
  const script = Buffer.from(kit.witness_script, 'hex');
  const terms = parseHtlcWitnessScript(script);
  if (terms.paymentHash !== kit.payment_hash || terms.refundHeight !== kit.refund_height) {
    refuse(path, 'a script of another payment hash or refund height');
  }
  const secret = kit.preimage === null ? undefined : preimage(Buffer.from(kit.preimage, 'hex'));
  if (secret !== undefined && hashPreimage(secret) !== kit.payment_hash) refuse(path, 'a preimage of another hash');
  const source = sourceOf(kit, network, script);
  const key = publicKeyOf(source.privateKey);
  if (key === undefined || pubkeyHash(key) !== terms.claimPkh) refuse(path, 'a claim key of another script');
  return {
    swapId: kit.swap_id,
    source,
    preimage: secret,
    bolt11: kit.bolt11,
    electrum: kit.electrum,
  };
}

function parseKit(path: string, text: string): z.output<typeof kitSchema> {
  try {
    return kitSchema.parse(JSON.parse(text));
  } catch (cause) {
    if (cause instanceof SwapError) refuse(path, cause.message, cause);
    return refuse(path, cause instanceof z.ZodError ? z.prettifyError(cause).replaceAll('\n', ' ') : 'no JSON', cause);
  }
}

function sourceOf(kit: z.output<typeof kitSchema>, network: LiquidNetworkName, witnessScript: Buffer): ClaimSource {
  return {
    network,
    paymentHash: kit.payment_hash,
    witnessScript,
    refundHeight: kit.refund_height,
    outpoints: kit.outputs.map((output) => ({
      outpoint: outpoint(output.txid, output.vout),
      assetId: output.asset_id,
      value: output.value,
    })),
    fundingTx: Buffer.from(kit.funding_tx, 'hex'),
    privateKey: decodeWif(kit.claim_privkey, network),
    payoutScript: Buffer.from(kit.payout_script, 'hex'),
    blindingPubkey: kit.blinding_pubkey ?? undefined,
  };
}
