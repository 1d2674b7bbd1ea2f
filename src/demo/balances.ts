/** What both sides own: on Liquid by their own wallets, on Lightning by their own nodes. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

import { ChannelCredentials } from '@grpc/grpc-js';
import { createChannel, createClient, Metadata } from 'nice-grpc';

import type { Buyer } from '../buyer/buyer.js';
import { readPayoutWallet } from '../buyer/connect.js';
import type { AdminClient } from '../buyer/rpcClient.js';
import { displayHex, type AssetId } from '../core/units.js';
import type { AssetBalance } from '../gen/ln_liquid_swap/v1/admin.js';
import { LightningNodeServiceDefinition } from '../gen/lnnode/v1/lnnode.js';
import type { Logger } from '../log.js';

/** One side's money, smallest units and millisatoshi. */
export type Money = { readonly asset: bigint; readonly lbtcSat: bigint; readonly lightningMsat: bigint };

const MOST_TRIES = 100;
const PAUSE_MS = 100;

type NodeEndpoint = { readonly address: string; readonly token_file: string };

/** What the node can send: it moves by exactly what is paid or received. */
async function lightningMsat(node: NodeEndpoint): Promise<bigint> {
  const channel = createChannel(node.address, ChannelCredentials.createInsecure());
  try {
    const client = createClient(LightningNodeServiceDefinition, channel);
    const metadata = Metadata({ authorization: `Bearer ${readFileSync(node.token_file, 'utf8').trim()}` });
    const { channels } = await client.listChannels({}, { metadata });
    return channels.reduce((sum, each) => sum + each.outboundCapacityMsat, 0n);
  } finally {
    channel.close();
  }
}

/** The seller's wallet once it has seen everything deep enough, or what it has seen after a while. */
async function settledBalances(admin: AdminClient): Promise<readonly AssetBalance[]> {
  for (let tries = 0; ; tries += 1) {
    const { balances } = await admin.getBalance({});
    if (tries === MOST_TRIES || balances.every((each) => each.pendingAmount === 0n)) return balances;
    await delay(PAUSE_MS);
  }
}

export async function sellerMoney(
  admin: AdminClient,
  assets: { readonly asset: AssetId; readonly lbtc: AssetId },
  node: NodeEndpoint,
): Promise<Money> {
  const balances = await settledBalances(admin);
  const of = (asset: AssetId): bigint => {
    const found = balances.find((each) => displayHex(each.assetId) === asset);
    return found === undefined ? 0n : found.availableAmount + found.keptAmount;
  };
  return { asset: of(assets.asset), lbtcSat: of(assets.lbtc), lightningMsat: await lightningMsat(node) };
}

export async function buyerMoney(
  buyer: Buyer,
  assets: { readonly asset: AssetId; readonly lbtc: AssetId },
  node: NodeEndpoint,
  log: Logger,
): Promise<Money> {
  const wallet = await readPayoutWallet(buyer, buyer.dir, buyer.seed, log);
  const of = (asset: AssetId): bigint => {
    const found = wallet.balances.find((each) => each.assetId === asset);
    return found === undefined ? 0n : found.confirmed + found.unconfirmed;
  };
  return { asset: of(assets.asset), lbtcSat: of(assets.lbtc), lightningMsat: await lightningMsat(node) };
}
