/** Paid purchases on a chain of the sandbox: everything up to the preimage is given, the claim is the buyer's. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Buyer, ChainSide } from '../../src/buyer/buyer.js';
import { finishClaim, prepareClaim, writeKit } from '../../src/buyer/claimStep.js';
import { advance, initDataDir, readRecord, readSeed, reserveNumber, saveRecord } from '../../src/buyer/dataDir.js';
import type { PurchaseEvent } from '../../src/buyer/drive.js';
import type { Progress, PurchaseRecord, StoredHtlc } from '../../src/buyer/record.js';
import { openSeller } from '../../src/buyer/rpcClient.js';
import { openBuyerWallet } from '../../src/buyer/wallet.js';
import { explicitOutput } from '../../src/core/funding.js';
import {
  hashPreimage,
  htlcWitnessScript,
  p2wpkhScriptPubKey,
  p2wshScriptPubKey,
  pubkeyHash,
} from '../../src/core/htlc.js';
import { buildRefund } from '../../src/core/htlcSpend.js';
import { claimKey } from '../../src/core/keys.js';
import { LIQUID_NETWORKS } from '../../src/core/network.js';
import { parseTransaction, rawOf, type HtlcOutpoint } from '../../src/core/tx.js';
import {
  assetAmount,
  blockHeight,
  hex,
  msat,
  outpoint,
  preimage,
  quoteId,
  sat,
  satPerKvb,
  swapId,
  unixSecs,
  type AssetId,
  type Preimage,
  type Pubkey,
  type Txid,
} from '../../src/core/units.js';
import type { BroadcastOutcome } from '../../src/liquid/chain.js';
import { connectElectrum } from '../../src/liquid/electrum.js';
import { loadZkp } from '../../src/liquid/zkp.js';
import { createLogger } from '../../src/log.js';
import { decodeAddress, listenElectrum, openLiquidChain, type LiquidSandbox } from '../../src/sandbox/liquid/world.js';
import { keyOf, preimageOf, randomBytes } from '../unit/core/zkp.js';
import { eventually } from './eventually.js';
import { plainChain } from './plainChain.js';

const log = createLogger('test-claim', 'silent');
const { genesis, policyAsset } = LIQUID_NETWORKS.regtest;
const REFUND = keyOf('refund');
const FOREIGN = p2wpkhScriptPubKey(keyOf('exchange').pubkey);
const GOLD_SOLD = 250n;

/** What stands between the buyer and the server's mempool: undefined lets a transaction through. */
type Gate = (raw: Buffer) => BroadcastOutcome | undefined;

/** How a purchase differs from an ordinary one: gold, a subsidy of 1000 sat, T far away, paid out to the own wallet. */
export type PaidOptions = {
  readonly blocksLeft?: number;
  /** L-BTC beside the gold; 0 for none. */
  readonly subsidySat?: bigint;
  /** Sells this much L-BTC instead of gold, subsidy included. */
  readonly lbtcSat?: bigint;
  readonly isForeign?: boolean;
  readonly blindingPubkey?: Pubkey;
};

/** A purchase being claimed. */
export type Claiming = {
  readonly events: PurchaseEvent[];
  readonly stop: () => void;
  readonly ended: Promise<PurchaseRecord>;
};

export class ClaimStage implements AsyncDisposable {
  gate: Gate = () => undefined;
  readonly sandbox: LiquidSandbox;
  readonly gold: AssetId;
  readonly buyer: Buyer;
  readonly side: ChainSide;
  readonly #close: () => Promise<void>;
  #sold = 0;

  private constructor(
    sandbox: LiquidSandbox,
    gold: AssetId,
    open: (stage: ClaimStage) => Buyer,
    close: () => Promise<void>,
  ) {
    this.sandbox = sandbox;
    this.gold = gold;
    this.buyer = open(this);
    const { network, chains, isSingleServerTrusted } = this.buyer;
    this.side = { network, chains, isSingleServerTrusted };
    this.#close = close;
  }

  static async open(): Promise<ClaimStage> {
    const sandbox = await openLiquidChain();
    const server = await listenElectrum(sandbox, { host: '127.0.0.1', port: 0 });
    const gold = sandbox.issueAsset({ ticker: 'GOLD', precision: 2, amount: 1_000_000n }).assetId;
    sandbox.mine(1);
    const name = `tcp://127.0.0.1:${server.port}`;
    const chain = connectElectrum({ servers: [name], expectedGenesis: genesis, log });
    await chain.tip();
    const dir = mkdtempSync(join(tmpdir(), 'swap-claim-'));
    initDataDir(dir);
    const seed = readSeed(dir);
    const seller = openSeller({ address: '127.0.0.1:1' }); // the seller is gone for good
    const open = (stage: ClaimStage): Buyer => {
      const broadcast = async (raw: Uint8Array): Promise<BroadcastOutcome> =>
        stage.gate(Buffer.from(raw)) ?? (await chain.broadcast(raw));
      const chains = [{ name, chain: { ...plainChain(chain), broadcast } }];
      const side = { network: 'regtest' as const, chains, isSingleServerTrusted: true };
      const wallet = openBuyerWallet(side, { dir, seed, log });
      const { client } = seller;
      return {
        ...side,
        ...{ dir, seed, wallet, seller: client, sellerAddress: '127.0.0.1:1' },
        ...{ givenSellerNodeId: undefined, lightning: undefined, external: undefined },
      };
    };
    return new ClaimStage(sandbox, gold, open, async () => {
      seller.close();
      chain.close();
      await server.close();
      sandbox.close();
      rmSync(dir, { recursive: true, force: true });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.buyer.wallet.close();
    await this.#close();
  }

  /** L-BTC for the buyer's wallet, in a block. */
  async deposit(amount: bigint, { isConfidential = false } = {}): Promise<Txid> {
    const { address } = await this.buyer.wallet.look();
    const { scriptPubKey, blindingPubkey } = decodeAddress(address);
    const blinding = isConfidential && blindingPubkey !== undefined ? { blindingPubkey } : {};
    const before = await this.buyer.wallet.lbtcSat();
    const id = this.sandbox.faucet({ scriptPubKey, amount, ...blinding });
    this.sandbox.mine(1);
    await eventually('the deposit', async () => (await this.buyer.wallet.lbtcSat()) === before + amount);
    return id;
  }

  /** A purchase whose payment is over: its HTLC is on the chain, S is known. */
  async paid(options: PaidOptions = {}): Promise<PurchaseRecord> {
    const { blocksLeft = 1_000, subsidySat = 1_000n, lbtcSat, isForeign = false } = options;
    this.#sold += 1;
    const secret = preimageOf(`sold ${this.#sold}`);
    const number = reserveNumber(this.buyer.dir);
    const key = claimKey(this.buyer.seed, 'regtest', number);
    const terms = {
      paymentHash: hashPreimage(secret),
      claimPkh: pubkeyHash(key.pubkey),
      refundPkh: REFUND.pkh,
      refundHeight: blockHeight(this.sandbox.tip().height + 1 + blocksLeft),
    };
    const witnessScript = htlcWitnessScript(terms);
    const sold = lbtcSat === undefined ? this.#fund(witnessScript, GOLD_SOLD, this.gold) : undefined;
    const subsidy = lbtcSat ?? subsidySat;
    const outpoints = [...(sold ?? []), ...(subsidy === 0n ? [] : this.#fund(witnessScript, subsidy, policyAsset))];
    this.sandbox.mine(1);
    const { wallet } = this.buyer;
    const payout = isForeign ? FOREIGN : await wallet.changeScript();
    const [first] = outpoints;
    if (first === undefined) throw new Error('nothing was sold');
    const htlc: StoredHtlc = {
      swapId: swapId(randomBytes(16).toString('hex')),
      bolt11: 'lnbcrt1',
      ...{ paymentHash: terms.paymentHash, refundHeight: terms.refundHeight, outpoints },
      witnessScript: hex(witnessScript),
      fundingTx: this.sandbox.transaction(first.outpoint.txid)?.rawHex ?? '',
    };
    const record: PurchaseRecord = {
      version: 1,
      number,
      requestId: '123e4567-e89b-42d3-a456-426614174000',
      createdAt: unixSecs(1_800_000_000),
      sellerAddress: this.buyer.sellerAddress,
      ...{ ticker: 'GOLD', precision: 2, maxFeeMsat: msat(0n) },
      deal: {
        ...{ network: 'regtest', genesis, sellerNodeId: keyOf('node').pubkey, quoteId: quoteId('cd'.repeat(16)) },
        ...{ assetId: first.assetId, assetAmount: first.value, priceMsat: msat(50_000_000n) },
        ...{ feeSubsidySat: sat(subsidySat), profile: 'regtest', refundDeltaBlocks: 60, minFundingConfs: 1 },
        ...{ invoiceExpirySecs: 600, claimPubkey: key.pubkey },
      },
      payout: {
        address: 'given',
        scriptPubKey: hex(payout),
        blindingPubkey: options.blindingPubkey ?? null,
        changeScript: isForeign ? hex(await wallet.changeScript()) : undefined,
      },
      progress: { step: 'paid', htlc, preimage: hex(secret) },
    };
    saveRecord(this.buyer.dir, record);
    writeKit(this.buyer, record, htlc, undefined);
    return record;
  }

  #fund(witnessScript: Buffer, amount: bigint, asset: AssetId): HtlcOutpoint[] {
    const scriptPubKey = p2wshScriptPubKey(witnessScript);
    const id = this.sandbox.faucet({ scriptPubKey, amount, ...(asset === policyAsset ? {} : { assetId: asset }) });
    const { outs } = this.tx(id);
    const vout = outs.findIndex((output) => output.script.equals(scriptPubKey));
    return [{ outpoint: outpoint(id, vout), assetId: asset, value: assetAmount(amount) }];
  }

  /** Claims a purchase as the program does it, every step on disk before the next. */
  claim(record: PurchaseRecord): Claiming {
    const events: PurchaseEvent[] = [];
    const stop = new AbortController();
    const onEvent = (event: PurchaseEvent): void => void events.push(event);
    const drive = { buyer: this.buyer, options: { signal: stop.signal, onEvent } };
    const run = async (): Promise<PurchaseRecord> => {
      let now = readRecord(this.buyer.dir, record.number) ?? record;
      while (!stop.signal.aborted) {
        const { progress } = now;
        let next: Progress | undefined;
        if (progress.step === 'paid') next = await prepareClaim(drive, now, progress);
        else if (progress.step === 'claiming') next = await finishClaim(drive, now, progress);
        else return now;
        if (next !== undefined) now = advance(this.buyer.dir, now, next);
      }
      return now;
    };
    const ended = run();
    ended.catch(() => undefined);
    return {
      events,
      ended,
      stop: () => {
        stop.abort();
      },
    };
  }

  /** The txid of a claim that waits in the mempool. */
  async inMempool(what: string, fits: (id: Txid) => boolean = () => true): Promise<Txid> {
    return await eventually(what, () => this.sandbox.status().mempool.find(fits));
  }

  tx(id: Txid): ReturnType<typeof parseTransaction> {
    return parseTransaction(Buffer.from(this.sandbox.transaction(id)?.rawHex ?? '', 'hex'));
  }

  /** Explicit outputs of a transaction by whom they go to; the fee among them. */
  paidBy(
    id: Txid,
  ): { to: 'wallet' | 'exchange' | 'fee' | 'other'; asset: 'gold' | 'lbtc' | 'hidden'; value: bigint | undefined }[] {
    return this.tx(id).outs.map((output) => {
      const amount = explicitOutput(output);
      const asset = amount === undefined ? 'hidden' : amount.assetId === this.gold ? 'gold' : 'lbtc';
      const to =
        output.script.length === 0
          ? 'fee'
          : output.script.equals(FOREIGN)
            ? 'exchange'
            : output.script[0] === 0
              ? 'wallet'
              : 'other';
      return { to, asset, value: amount?.value };
    });
  }

  /** The seller's refund of those outputs, signed. */
  async refund(record: PurchaseRecord, outpoints: readonly HtlcOutpoint[], feeSat: bigint): Promise<string> {
    const { progress } = record;
    if (!('htlc' in progress)) throw new Error('no HTLC');
    const { tx } = buildRefund({
      zkp: await loadZkp(),
      outpoints,
      witnessScript: Buffer.from(progress.htlc.witnessScript, 'hex'),
      privateKey: REFUND.privateKey,
      payoutScript: p2wpkhScriptPubKey(REFUND.pubkey),
      policyAsset,
      feeRate: satPerKvb((feeSat * 1_000n) / 380n),
      maxFeeSat: sat(100_000n),
      randomBytes,
    });
    return rawOf(tx).toString('hex');
  }
}

/** S of a paid purchase. */
export function secretOf(record: PurchaseRecord): Preimage {
  const { progress } = record;
  if (progress.step !== 'paid') throw new Error(`no preimage in step ${progress.step}`);
  return preimage(Buffer.from(progress.preimage, 'hex'));
}
