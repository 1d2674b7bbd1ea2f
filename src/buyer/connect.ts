/** Wires the buyer to its servers, its node and the seller. */
import { join } from 'node:path';

import { z } from 'zod';

import type { LiquidNetworkName } from '../core/network.js';
import { assetAmount, assetId, type AssetId, type Pubkey } from '../core/units.js';
import { connectLnnoded } from '../lightning/lnnoded.js';
import { startBlindingWorker } from '../liquid/blinding.js';
import { connectElectrum } from '../liquid/electrum.js';
import { openWallet, type CachedOutput, type OutputCache } from '../liquid/wallet.js';
import type { Logger } from '../log.js';
import { detectNetwork, type Buyer, type ChainSide } from './buyer.js';
import { readSeed } from './dataDir.js';
import type { ExternalPayer } from './externalPay.js';
import { readPrivateFile, writePrivateFile } from './files.js';
import { openSeller, type RpcEndpoint } from './rpcClient.js';

/** Electrum servers of the buyer. */
export type ElectrumEndpoints = {
  /** `ssl://host:port` or `tcp://host:port`; each is asked on its own, so that they check each other. */
  readonly servers: readonly string[];
  readonly caFile?: string | undefined;
  readonly isSingleServerTrusted: boolean;
  /** Refuse servers of another network. */
  readonly network?: LiquidNetworkName | undefined;
};

/** The buyer's Lightning node. */
type LightningEndpoint = {
  readonly address: string;
  readonly tokenFile?: string | undefined;
  readonly tlsCertFile?: string | undefined;
};

/** Where everything is. */
export type BuyerEndpoints = {
  readonly dir: string;
  readonly seller: RpcEndpoint & { readonly nodeId?: Pubkey | undefined };
  readonly electrum: ElectrumEndpoints;
  readonly lightning?: LightningEndpoint | undefined;
  /** A person with another wallet pays instead of the node. */
  readonly external?: ExternalPayer | undefined;
  readonly log: Logger;
};

/** Something open, and how to close it. */
export type Opened<T> = { readonly value: T; close(): void };

/** @throws SwapError `chain_unavailable`; BuyerError `unknown_network`. */
export async function connectChains(electrum: ElectrumEndpoints, log: Logger): Promise<Opened<ChainSide>> {
  const { caFile, isSingleServerTrusted } = electrum;
  const chains = electrum.servers.map((name) => ({
    name,
    chain: connectElectrum({ servers: [name], log, ...(caFile === undefined ? {} : { caFile }) }),
  }));
  const close = (): void => {
    for (const { chain } of chains) chain.close();
  };
  try {
    const network = await detectNetwork(chains, electrum.network);
    return { value: { network, chains, isSingleServerTrusted }, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Connects everything a purchase needs. */
export async function connectBuyer(endpoints: BuyerEndpoints): Promise<Opened<Buyer>> {
  const { dir, log } = endpoints;
  const seed = readSeed(dir);
  const chains = await connectChains(endpoints.electrum, log);
  const seller = openSeller(endpoints.seller);
  const lightning = endpoints.lightning === undefined ? undefined : openLightning(endpoints.lightning, log);
  return {
    value: {
      ...chains.value,
      dir,
      seed,
      sellerAddress: endpoints.seller.address,
      seller: seller.client,
      givenSellerNodeId: endpoints.seller.nodeId,
      lightning,
      external: endpoints.external,
    },
    close: () => {
      seller.close();
      lightning?.close();
      chains.close();
    },
  };
}

function openLightning(endpoint: LightningEndpoint, log: Logger): ReturnType<typeof connectLnnoded> {
  const { address, tokenFile, tlsCertFile } = endpoint;
  return connectLnnoded({
    address,
    log,
    ...(tokenFile === undefined ? {} : { tokenFile }),
    ...(tlsCertFile === undefined ? {} : { tlsCertFile }),
  });
}

/** What the buyer's wallet holds of one asset, smallest units. */
type WalletBalance = { readonly assetId: AssetId; readonly confirmed: bigint; readonly unconfirmed: bigint };

/** The buyer's own wallet, as far as a buyer needs one. */
export type PayoutWallet = {
  /** The next address that was never used (confidential). */
  readonly address: string;
  /** Its script; a claim to it is unblinded, for the HTLC showed the amount anyway and blinding costs fee. */
  readonly scriptPubKey: Buffer;
  readonly balances: readonly WalletBalance[];
};

/** Opens the wallet, looks at the chain and closes it. @throws SwapError `chain_unavailable`. */
export async function readPayoutWallet(
  side: ChainSide,
  dir: string,
  seed: Uint8Array,
  log: Logger,
): Promise<PayoutWallet> {
  const [first] = side.chains;
  if (first === undefined) throw new Error('a buyer has at least one Electrum server');
  const worker = startBlindingWorker();
  try {
    const cache = openOutputCache(join(dir, `outputs-${side.network}.json`));
    const wallet = openWallet({ seed, network: side.network, chain: first.chain, worker, cache, log });
    await wallet.sync();
    const balances = new Map<AssetId, WalletBalance>();
    for (const coin of wallet.coins()) {
      const before = balances.get(coin.assetId) ?? { assetId: coin.assetId, confirmed: 0n, unconfirmed: 0n };
      const key = coin.height > 0 ? 'confirmed' : 'unconfirmed';
      balances.set(coin.assetId, { ...before, [key]: before[key] + coin.value });
    }
    return { ...wallet.receiveAddress(), balances: [...balances.values()] };
  } finally {
    worker.close();
  }
}

const cacheSchema = z.record(
  z.string(),
  z.object({ assetId: z.string(), value: z.string(), assetBlinder: z.string(), valueBlinder: z.string() }),
);

/** Opened outputs, kept in a file: they can always be opened again, so a file that does not parse is dropped. */
function openOutputCache(path: string): OutputCache {
  const outputs = readCache(path);
  return {
    get: (key) => {
      const output = outputs[key];
      return output === undefined ? undefined : decodeOutput(output);
    },
    put: (key, output) => {
      outputs[key] = {
        assetId: output.assetId,
        value: output.value.toString(),
        assetBlinder: output.assetBlinder.toString('hex'),
        valueBlinder: output.valueBlinder.toString('hex'),
      };
      writePrivateFile(path, JSON.stringify(outputs));
    },
  };
}

function readCache(path: string): z.output<typeof cacheSchema> {
  try {
    return cacheSchema.parse(JSON.parse(readPrivateFile(path) ?? '{}'));
  } catch {
    return {};
  }
}

const decodeOutput = (output: z.output<typeof cacheSchema>[string]): CachedOutput => ({
  assetId: assetId(output.assetId),
  value: assetAmount(BigInt(output.value)),
  assetBlinder: Buffer.from(output.assetBlinder, 'hex'),
  valueBlinder: Buffer.from(output.valueBlinder, 'hex'),
});
