/** What lnd says of itself and of its channels. */
import { msat, pubkey, type Msat } from '../../core/units.js';
import { SwapError } from '../../errors.js';
import type { BitcoinNetwork, LightningNode, NodeInfo } from '../node.js';
import { channelsAnswer, infoAnswer, type OpenChannel } from './answers.js';
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

export function nodeMethods(rpc: LndRpc): Pick<LightningNode, 'getInfo' | 'inboundCapacityMsat'> {
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
