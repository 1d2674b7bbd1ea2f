/** What lnd says of itself and of its channels. */
import { msat, pubkey, sat, type Msat, type Sat } from '../../core/units.js';
import { SwapError } from '../../errors.js';
import type { BitcoinNetwork, LightningNode, NodeInfo } from '../node.js';
import { channelsAnswer, infoAnswer, walletBalanceAnswer, type OpenChannel } from './answers.js';
import { ask } from './ask.js';
import type { LndRpc } from './rpc.js';

/** lnd's names of networks that the port knows. */
const NETWORKS: Readonly<Record<string, BitcoinNetwork>> = {
  mainnet: 'bitcoin',
  testnet: 'testnet',
  regtest: 'regtest',
};

/** Weight of one more HTLC in a commitment transaction (BOLT 3), twice: fees may double before it is resolved. */
const HTLC_WEIGHT = 2n * 172n;

/** lnd's own measure of the coins to keep for a channel with anchors; it keeps them only for announced channels. */
const RESERVE_SATS = 10_000n;
const MOST_RESERVE_SATS = 10n * RESERVE_SATS;
/** Kinds of channels whose transactions bring their fees along. All others are with anchors. */
const WITHOUT_ANCHORS = ['LEGACY', 'STATIC_REMOTE_KEY'];

export function nodeMethods(rpc: LndRpc): Pick<LightningNode, 'getInfo' | 'inboundCapacityMsat' | 'missingFeeCoins'> {
  return {
    getInfo: async (): Promise<NodeInfo> => {
      const info = await ask(rpc, 'GetInfo', {}, infoAnswer);
      const name = info.chains[0]?.network ?? 'none';
      const network = NETWORKS[name];
      if (network === undefined) {
        throw new SwapError(
          'lightning_unavailable',
          `lnd: expected network mainnet, testnet or regtest, found ${name}`,
        );
      }
      const { block_height: blockHeight, synced_to_chain: isSynced } = info;
      return { nodeId: pubkey(info.identity_pubkey), network, blockHeight, isSynced };
    },
    inboundCapacityMsat: async () => {
      const { channels } = await ask(rpc, 'ListChannels', {}, channelsAnswer);
      return inboundCapacity(channels);
    },
    missingFeeCoins: async () => {
      const { channels } = await ask(rpc, 'ListChannels', {}, channelsAnswer);
      const wanted = feeReserve(channels);
      if (wanted === 0n) return wanted;
      // The coins that lnd takes for such fees: those of its default account in a block.
      const coins = { account: 'default', min_confs: 1 };
      const { confirmed_balance: found } = await ask(rpc, 'WalletBalance', coins, walletBalanceAnswer);
      return sat(found < wanted ? wanted - found : 0n);
    },
  };
}

/** What active channels could bring in: the other side's balance, less its reserve and, if it pays it, the fee. Pure. */
export function inboundCapacity(channels: readonly OpenChannel[]): Msat {
  const sats = channels
    .filter(({ active }) => active)
    .map(({ remote_balance: balance, remote_constraints: remote, initiator, fee_per_kw: feerate }) => {
      const fee = initiator ? 0n : (HTLC_WEIGHT * feerate) / 1000n;
      return balance - remote.chan_reserve_sat - fee;
    });
  return msat(sats.reduce((sum, each) => sum + (each > 0n ? each : 0n), 0n) * 1000n);
}

/** The coins that a wallet needs beside these channels so that no payment is lost when one is closed by force. Pure. */
export function feeReserve(channels: readonly OpenChannel[]): Sat {
  const count = channels.filter(({ commitment_type: type }) => !WITHOUT_ANCHORS.includes(type)).length;
  const wanted = BigInt(count) * RESERVE_SATS;
  return sat(wanted < MOST_RESERVE_SATS ? wanted : MOST_RESERVE_SATS);
}
