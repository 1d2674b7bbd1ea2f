/**
 * Makes what a seller could hand over instead of the honest swap: another HTLC, really funded on the sandbox's chain, and
 * another invoice, signed with the key of the seller's own node. Everything but the one lie is right.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

import type { Transaction } from 'liquidjs-lib';

import type { Zkp } from '../../src/core/blind.js';
import { explicitOutput, fundingOutputs } from '../../src/core/funding.js';
import { htlcWitnessScript, p2wpkhScriptPubKey, p2wshScriptPubKey } from '../../src/core/htlc.js';
import type { HtlcTerms } from '../../src/core/htlc.js';
import { encodeAddress } from '../../src/core/network.js';
import type { Terms } from '../../src/core/terms.js';
import {
  buildTransaction,
  explicitInput,
  explicitValueBytes,
  parseTransaction,
  rawOf,
  SEQUENCE_REPLACEABLE,
  signP2wpkhInput,
  txidOf,
  type HtlcOutpoint,
  type TxOutput,
} from '../../src/core/tx.js';
import { assetAmount, assetId, hex, outpoint, txid, type AssetId, type Txid } from '../../src/core/units.js';
import type { LiquidChain } from '../../src/liquid/chain.js';
import { keyOf, type TestKey } from '../unit/core/zkp.js';
import { lnnodedKey } from './lnnodedKey.js';
import type { TestWorld } from './testWorld.js';

const FEE_SAT = 1_000n;
const WALLET = keyOf('forge wallet');
const WALLET_SCRIPT = p2wpkhScriptPubKey(WALLET.pubkey);

/** Where the funding deviates from what was agreed. */
export type Forgery = {
  readonly htlc?: (honest: HtlcTerms) => HtlcTerms;
  readonly script?: (template: Buffer) => Buffer;
  /** Outputs besides change and fee; `other` is an asset that looks like the one for sale. */
  readonly outputs?: (honest: readonly TxOutput[], other: AssetId) => readonly TxOutput[];
  /** Changes the transaction before it is signed. */
  readonly edit?: (tx: Transaction) => void;
};

/** A forged HTLC: script, transaction, and the key of its refund. */
export type Forged = {
  readonly htlc: HtlcTerms;
  readonly witnessScript: Buffer;
  readonly refundKey: TestKey;
  readonly tx: Transaction;
  readonly id: Txid;
  readonly raw: Buffer;
  readonly outpoints: readonly HtlcOutpoint[];
};

export type Forge = {
  /** A transaction that is deep in the chain and pays none of the HTLCs. */
  readonly strangersTxid: Txid;
  /** Signs a funding; `broadcast` hands it to the chain. The name makes its refund key its own. */
  readonly fund: (name: string, terms: Terms, honest: HtlcTerms, forgery: Forgery) => Forged;
  readonly broadcast: (raw: Buffer) => Promise<void>;
};

/** Private key of the seller's node. */
export function sellerNodeKey(world: TestWorld): Buffer {
  const { dir, node_id: nodeId } = world.file().lnnoded.seller;
  return lnnodedKey(join(dir, 'data'), nodeId);
}

/** Buys coins of the faucet for so many forged fundings; mines what is needed. */
export async function openForge(
  world: TestWorld,
  tools: { readonly zkp: Zkp; readonly chain: LiquidChain; readonly fundings: number },
): Promise<Forge> {
  const { zkp, chain, fundings } = tools;
  const { assets, policy_asset: policy } = world.file();
  const policyAsset = assetId(policy);
  const sold = assetId(assets['USDT']?.id ?? '');
  const { asset_id: issued } = await world.ask({ command: 'issue', ticker: 'USDX', amount: '1000', precision: 8 });
  const other = assetId(String(issued));
  const broadcast = async (raw: Buffer): Promise<void> => {
    const outcome = await chain.broadcast(raw);
    if (outcome.kind !== 'accepted') throw new Error(`expected the chain to take it, found ${JSON.stringify(outcome)}`);
  };
  await world.mine(1);

  const gift = async (asset: AssetId, units: number): Promise<HtlcOutpoint> => {
    const address = encodeAddress({ scriptPubKey: WALLET_SCRIPT }, 'regtest');
    const request = { command: 'faucet', address, amount: units.toString(), asset } as const;
    const given = txid(String((await world.ask(request))['txid']));
    const raw = await chain.transaction(given);
    if (raw === undefined) throw new Error('the faucet gave nothing');
    const [coin] = coinsOf(parseTransaction(raw)).filter((found) => found.assetId === asset);
    if (coin === undefined) throw new Error('the faucet paid something else');
    return coin;
  };
  const gifts = [await gift(sold, 26 * fundings), await gift(other, 60), await gift(policyAsset, 60)];
  await world.mine(1);

  /** Signs a transaction of our coins; what is left over comes back. */
  const pay = (coins: readonly HtlcOutpoint[], wanted: readonly TxOutput[], edit?: Forgery['edit']): Transaction => {
    const fee = { scriptPubKey: Buffer.alloc(0), assetId: policyAsset, value: assetAmount(FEE_SAT) };
    const paid = [...wanted, fee];
    const change = [...new Set(coins.map((coin) => coin.assetId))].flatMap((id) => {
      const left = total(coins, id) - total(paid, id);
      return left > 0n ? [{ scriptPubKey: WALLET_SCRIPT, assetId: id, value: assetAmount(left) }] : [];
    });
    const inputs = coins.map((coin) => explicitInput(coin, SEQUENCE_REPLACEABLE));
    const outputs = [...wanted, ...change, fee];
    const tx = buildTransaction(zkp, { inputs, outputs, locktime: 0, randomBytes });
    edit?.(tx);
    coins.forEach(({ value }, i) => {
      signP2wpkhInput(tx, i, { ...WALLET, prevoutValue: explicitValueBytes(value) });
    });
    return tx;
  };

  const coin = (id: AssetId, value: bigint): TxOutput => ({
    scriptPubKey: WALLET_SCRIPT,
    assetId: id,
    value: assetAmount(value),
  });
  const split = pay(gifts, [
    ...Array.from({ length: fundings }, () => [coin(sold, 2_510_000_000n), coin(policyAsset, 20_000n)]).flat(),
    ...[coin(other, 2_510_000_000n), coin(policyAsset, 2_600_000_000n)],
  ]);
  await broadcast(rawOf(split));
  await world.mine(1);
  const free = coinsOf(split).sort((a, b) => (a.value < b.value ? -1 : 1));

  /** The smallest coin of each asset that suffices. */
  const take = (wanted: readonly TxOutput[]): HtlcOutpoint[] =>
    [...new Set([...wanted.map((output) => output.assetId), policyAsset])].map((id) => {
      const needed = total(wanted, id) + (id === policyAsset ? FEE_SAT : 0n);
      const at = free.findIndex((found) => found.assetId === id && found.value >= needed);
      const [taken] = at < 0 ? [] : free.splice(at, 1);
      if (taken === undefined) throw new Error(`the forge has no coin of ${needed} of ${id}`);
      return taken;
    });

  const fund: Forge['fund'] = (name, terms, honest, forgery) => {
    const refundKey = keyOf(name);
    const own = { ...honest, refundPkh: refundKey.pkh };
    const htlc = forgery.htlc?.(own) ?? own;
    const template = htlcWitnessScript(htlc);
    const witnessScript = forgery.script?.(template) ?? template;
    const scriptPubKey = p2wshScriptPubKey(witnessScript);
    const agreed = fundingOutputs({ ...terms, policyAsset, scriptPubKey });
    const outputs = forgery.outputs?.(agreed, other) ?? agreed;
    const tx = pay(take(outputs), outputs, forgery.edit);
    const outpoints = coinsOf(tx, scriptPubKey);
    return { htlc, witnessScript, refundKey, tx, id: txidOf(tx), raw: rawOf(tx), outpoints };
  };
  return { strangersTxid: txidOf(split), fund, broadcast };
}

/** The explicit outputs that pay a script. */
function coinsOf(tx: Transaction, script: Uint8Array = WALLET_SCRIPT): HtlcOutpoint[] {
  const id = txidOf(tx);
  return tx.outs.flatMap((output, vout) => {
    const amount = hex(output.script) === hex(script) ? explicitOutput(output) : undefined;
    return amount === undefined ? [] : [{ outpoint: outpoint(id, vout), ...amount }];
  });
}

const total = (amounts: readonly { assetId: AssetId; value: bigint }[], id: AssetId): bigint =>
  amounts.reduce((sum, amount) => (amount.assetId === id ? sum + amount.value : sum), 0n);
