/** The free coins of an Elements regtest chain: gives them away and issues assets. All of it lies in OP_TRUE outputs. */
import { calculateAsset, generateEntropy, newIssuance, type Issuance } from 'liquidjs-lib/src/issuance.js';
import { z } from 'zod';

import { assetId, displayHex, reversedBytes, type AssetId } from '../../../src/core/units.js';
import { decodeAddress } from '../../../src/sandbox/liquid/address.js';
import { blindOutput } from '../../../src/sandbox/liquid/blind.js';
import { POLICY_ASSET } from '../../../src/sandbox/liquid/regtest.js';
import { assetBytes, Transaction, valueBytes } from '../../../src/sandbox/liquid/transaction.js';
import { loadZkp } from '../../../src/sandbox/liquid/zkp.js';
import type { ElementsNode } from './elements.js';

type Coin = { readonly txid: string; readonly vout: number; readonly value: bigint };

export type Purse = {
  /** Pays into the mempool, blinded if the address says so. */
  gift(gift: { readonly address: string; readonly assetId: string; readonly amount: bigint }): Promise<string>;
  /** An L-BTC output that anyone may spend, in the mempool. */
  free(amount: bigint): Promise<Coin>;
  /** Issues an asset, all of it for the purse, into the mempool. */
  issue(amount: bigint): Promise<AssetId>;
};

const ANYONE = Buffer.of(0x51);
const NO_NONCE = Buffer.of(0);
const FEE_SAT = 5_000n;
const REPLACEABLE = 0xffff_fffd;
/** All explicit outputs of a transaction together may not exceed 21 million, so only a part of the coins is used. */
const USED_SAT = 1_000_000_000_000n;
/** Nobody needs to open what is burnt: the generator. */
const BURNING_KEY = Buffer.from('0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798', 'hex');
const CONTRACT_HASH = Buffer.alloc(32);

const genesisSchema = z.object({
  tx: z.array(
    z.object({
      txid: z.string(),
      vout: z.array(z.object({ n: z.int(), scriptPubKey: z.object({ hex: z.string() }) })),
    }),
  ),
});

/** Txid and vout of the output that block 0 gives to anyone. */
async function freeCoin(node: ElementsNode): Promise<Omit<Coin, 'value'>> {
  const block = genesisSchema.parse(await node.rpc('getblock', await node.rpc('getblockhash', 0), 2));
  for (const { txid, vout } of block.tx) {
    const found = vout.find(({ scriptPubKey }) => scriptPubKey.hex === ANYONE.toString('hex'));
    if (found !== undefined) return { txid, vout: found.n };
  }
  throw new Error('block 0 has no free coins');
}

function addPlain(tx: Transaction, script: Buffer, asset: string, value: bigint): void {
  tx.addOutput(script, valueBytes(value), assetBytes(asset), NO_NONCE);
}

/** Opens the purse of a fresh chain. */
export async function openPurse(node: ElementsNode, freeSat = 2_100_000_000_000_000n): Promise<Purse> {
  const zkp = await loadZkp();
  const coins = new Map<string, Coin>();
  const spend = (inputs: readonly (Omit<Coin, 'value'> & { readonly issuance?: Issuance })[]): Transaction => {
    const tx = new Transaction();
    tx.version = 2;
    for (const { txid, vout, issuance } of inputs) {
      tx.addInput(reversedBytes(txid), vout, REPLACEABLE, Buffer.alloc(0), issuance);
    }
    return tx;
  };
  const send = async (tx: Transaction): Promise<string> => {
    addPlain(tx, Buffer.alloc(0), POLICY_ASSET, FEE_SAT);
    return z.string().parse(await node.rpc('sendrawtransaction', tx.toHex()));
  };
  const coinOf = (asset: string): Coin => {
    const coin = coins.get(asset);
    if (coin === undefined) throw new Error(`the purse has nothing of ${asset}`);
    return coin;
  };

  const first = spend([await freeCoin(node)]);
  addPlain(first, ANYONE, POLICY_ASSET, USED_SAT);
  addPlain(first, ANYONE, POLICY_ASSET, freeSat - USED_SAT - FEE_SAT);
  coins.set(POLICY_ASSET, { txid: await send(first), vout: 0, value: USED_SAT });

  return {
    gift: async ({ address, assetId: asset, amount }) => {
      const assets = [...new Set([asset, POLICY_ASSET])];
      const tx = spend(assets.map(coinOf));
      const rest = assets.map((id) => {
        const paid = (id === asset ? amount : 0n) + (id === POLICY_ASSET ? FEE_SAT : 0n);
        return { id, value: coinOf(id).value - paid };
      });
      for (const { id, value } of rest) addPlain(tx, ANYONE, id, value);
      const { scriptPubKey: script, blindingPubkey } = decodeAddress(address);
      if (blindingPubkey === undefined) addPlain(tx, script, asset, amount);
      else {
        const inputTags = assets.map((id) => reversedBytes(assetId(id)));
        const assetTag = reversedBytes(assetId(asset));
        const key = Buffer.from(blindingPubkey, 'hex');
        tx.outs.push(blindOutput(zkp, { script, assetTag, value: amount, blindingPubkey: key, inputTags }));
      }
      const txid = await send(tx);
      rest.forEach(({ id, value }, vout) => coins.set(id, { txid, vout, value }));
      return txid;
    },
    free: async (amount) => {
      const coin = coinOf(POLICY_ASSET);
      const rest = coin.value - amount - FEE_SAT;
      const tx = spend([coin]);
      addPlain(tx, ANYONE, POLICY_ASSET, rest);
      addPlain(tx, ANYONE, POLICY_ASSET, amount);
      const txid = await send(tx);
      coins.set(POLICY_ASSET, { txid, vout: 0, value: rest });
      return { txid, vout: 1, value: amount };
    },
    issue: async (amount) => {
      const coin = coinOf(POLICY_ASSET);
      const entropy = generateEntropy({ txHash: reversedBytes(coin.txid), vout: coin.vout }, CONTRACT_HASH);
      const id = assetId(displayHex(calculateAsset(entropy)));
      const issuance = { ...newIssuance(1, 0), assetAmount: valueBytes(amount), assetEntropy: CONTRACT_HASH };
      const tx = spend([{ ...coin, issuance }]);
      const rest = coin.value - FEE_SAT - 1n;
      addPlain(tx, ANYONE, POLICY_ASSET, rest);
      addPlain(tx, ANYONE, id, amount);
      // The node refuses an issuance in a transaction without any witness: a satoshi is burnt with proofs.
      const inputTags = [POLICY_ASSET, id].map(reversedBytes);
      const burnt = { script: Buffer.of(0x6a), assetTag: reversedBytes(POLICY_ASSET), value: 1n };
      tx.outs.push(blindOutput(zkp, { ...burnt, blindingPubkey: BURNING_KEY, inputTags }));
      const txid = await send(tx);
      coins.set(POLICY_ASSET, { txid, vout: 0, value: rest });
      coins.set(id, { txid, vout: 1, value: amount });
      return id;
    },
  };
}
