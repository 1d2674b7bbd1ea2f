/** Closing and listing channels, and the on-chain wallet. */
import * as ldk from 'lightningdevkit';
import { z } from 'zod';

import { hex, reversedBytes } from '../../core/units.js';
import { errorChain } from '../../errors.js';
import { ChannelState, type Channel, type LightningNodeServiceImplementation } from '../../gen/lnnode/v1/lnnode.js';
import type { SweepingChannel } from '../channelBook.js';
import { fundingTxidOf, hasAnchors, isShuttingDown } from '../ldk/channelFacts.js';
import { flag, some } from '../ldk/result.js';
import type { Sent } from '../sends.js';
import { assertSynced, type HandlerParts } from './nodeHandlers.js';
import { bytes32, optionalSats, parse, txidBytes } from './validate.js';

/** Below the first nothing is relayed; more than the second is a mistake. Satoshi per 1000 virtual bytes. */
const MIN_FEE_RATE = 1000n;
const MAX_FEE_RATE = 1_000_000n;
const MIN_SEND_SATS = 546n;

const feeRate = z.bigint().min(MIN_FEE_RATE).max(MAX_FEE_RATE);
const closeSchema = z.object({ channelId: bytes32, isForced: z.boolean() });
const sendSchema = z
  .object({
    address: z.string().min(1).max(200),
    amountSats: optionalSats,
    isAll: z.boolean(),
    feeRateSatPerKvb: z.union([z.literal(0n), feeRate]),
    idempotencyKey: z.string().min(1).max(64),
  })
  .superRefine(({ amountSats, isAll }, context) => {
    if (isAll ? amountSats === 0n : amountSats >= MIN_SEND_SATS) return;
    const message = isAll ? 'expected 0 with is_all' : `expected at least ${MIN_SEND_SATS}`;
    context.addIssue({ code: 'custom', path: ['amountSats'], message });
  });
const bumpSchema = z.object({ txid: txidBytes, feeRateSatPerKvb: feeRate });

type Names = 'closeChannel' | 'listChannels' | 'newAddress' | 'walletBalance' | 'sendToAddress' | 'bumpTransaction';

/** Handlers of what happens on the chain. */
export function onchainHandlers({ node, log }: HandlerParts): Pick<LightningNodeServiceImplementation, Names> {
  const { channelBook, wallet, turns, sends } = node;
  /** Offers it to the network now; it is stored, so a failure only delays it. */
  const offer = async ({ txid, feeSats, raw }: Sent) => {
    if (raw !== undefined)
      await node.repeat(raw).catch((error: unknown) => {
        log.warn({ txid, why: errorChain(error) }, 'payment: will be broadcast again');
      });
    return { txid: reversedBytes(txid), feeSats };
  };
  return {
    closeChannel: async (request) => {
      const { channelId, isForced } = parse(closeSchema, request);
      channelBook.close(hex(channelId), isForced);
      return Promise.resolve({});
    },
    listChannels: async () =>
      Promise.resolve({
        channels: [...channelBook.open().map(openChannel), ...channelBook.sweeping().map(closedChannel)],
      }),
    newAddress: async () => Promise.resolve({ address: turns.run(() => wallet.nextKey().address) }),
    walletBalance: async () => {
      const balance = wallet.balance(node.follower.tip().height);
      return Promise.resolve({ ...balance, sweepingSats: channelBook.sweepingSats() });
    },
    sendToAddress: async (request) => {
      assertSynced(node);
      return offer(sends.send(parse(sendSchema, request)));
    },
    bumpTransaction: async (request) => {
      assertSynced(node);
      const { txid, feeRateSatPerKvb } = parse(bumpSchema, request);
      return offer(sends.bump(txid, feeRateSatPerKvb));
    },
  };
}

function openChannel(details: ldk.ChannelDetails): Channel {
  const isReady = flag(details.get_is_channel_ready());
  return {
    ...fixedFields(details),
    outboundCapacityMsat: details.get_outbound_capacity_msat(),
    inboundCapacityMsat: details.get_inbound_capacity_msat(),
    isUsable: flag(details.get_is_usable()),
    isReady,
    confirmations: some(details.get_confirmations(), ldk.Option_u32Z_Some) ?? 0,
    pendingHtlcs: details.get_pending_inbound_htlcs().length + details.get_pending_outbound_htlcs().length,
    state: isShuttingDown(details) ? ChannelState.CLOSING : isReady ? ChannelState.READY : ChannelState.PENDING,
    closeReason: '',
  };
}

const closedChannel = ({ details, reason, pendingHtlcs }: SweepingChannel): Channel => ({
  ...fixedFields(details),
  outboundCapacityMsat: 0n,
  inboundCapacityMsat: 0n,
  isUsable: false,
  isReady: false,
  confirmations: 0,
  pendingHtlcs,
  state: ChannelState.SWEEPING,
  closeReason: reason,
});

/** What does not change while a channel lives. */
function fixedFields(details: ldk.ChannelDetails) {
  const fundingTxid = fundingTxidOf(details);
  return {
    channelId: Buffer.from(details.get_channel_id().get_a()),
    nodeId: Buffer.from(details.get_counterparty().get_node_id()),
    fundingTxid: fundingTxid === undefined ? Buffer.alloc(0) : reversedBytes(fundingTxid),
    fundingVout: fundingTxid === undefined ? 0 : details.get_funding_txo().get_index(),
    capacityMsat: details.get_channel_value_satoshis() * 1000n,
    isOutbound: flag(details.get_is_outbound()),
    hasAnchors: hasAnchors(details),
    isAnnounced: flag(details.get_is_announced()),
  };
}
