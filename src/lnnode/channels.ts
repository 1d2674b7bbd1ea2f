/** Opening channels from the wallet, and the list of channels. */
import { randomBytes } from 'node:crypto';

import * as ldk from 'lightningdevkit';

import { displayHex, hex, type Pubkey, type Txid, txid } from '../core/units.js';
import type { FeeRates } from './chain/fees.js';
import { NodeError } from './errors.js';
import { apiProblem, bytes, describe, errorOf, isAbsent, isOk } from './ldk/result.js';
import type { Turns } from './ldk/turn.js';
import { userConfig, type ChannelPolicy } from './ldk/userConfig.js';
import type { Signed, Wallet } from './wallet.js';

const OPEN_TIMEOUT_MS = 30_000;
/** Blocks within which a funding transaction should confirm. */
const FUNDING_TARGET = 12;
/** As long as the real one. */
const FUNDING_SCRIPT = Buffer.alloc(34);
/** Characters of a peer that are logged and stored. */
const MAX_WORDS = 200;
/** Told to the peer. */
const GIVEN_UP = 'the open was given up';

export type OpenRequest = {
  readonly nodeId: Pubkey;
  readonly capacitySats: bigint;
  readonly pushMsat: bigint;
  readonly isAnnounced: boolean;
};

export type OpenedChannel = {
  /** 64 hex digits. */
  readonly channelId: string;
  readonly fundingTxid: Txid;
  readonly fundingVout: number;
  readonly fundingTx: Buffer;
};

type Opening = {
  readonly request: OpenRequest;
  fundingTx: Buffer | undefined;
  failure: NodeError | undefined;
  resolve(channel: OpenedChannel): void;
  reject(error: NodeError): void;
};

export type ChannelServiceParts = {
  readonly manager: ldk.ChannelManager;
  readonly turns: Turns;
  readonly wallet: Wallet;
  readonly fees: FeeRates;
  readonly policy: ChannelPolicy;
  readonly isConnected: (nodeId: Pubkey) => boolean;
  readonly tipHeight: () => number;
};

export type Channels = ReturnType<typeof makeChannels>;

/** The channels of one node. */
export function makeChannels(parts: ChannelServiceParts) {
  const { manager, turns, wallet, fees, policy } = parts;
  const openings = new Map<bigint, Opening>();

  const create = (userChannelId: bigint, request: OpenRequest): void => {
    const config = userConfig(policy, request.isAnnounced);
    const result = manager.create_channel(
      bytes(request.nodeId),
      request.capacitySats,
      request.pushMsat,
      userChannelId,
      null,
      config,
    );
    if (!isOk(result)) throw new NodeError('channel_refused', `channel: ${apiProblem(errorOf(result))}`);
  };

  const assertOpenable = ({ nodeId, capacitySats }: OpenRequest): void => {
    if (!parts.isConnected(nodeId)) throw new NodeError('peer_not_connected', `peer ${nodeId} is not connected`);
    wallet.assertCanSpend(
      { script: FUNDING_SCRIPT, valueSat: capacitySats, feeRate: fees.rate(FUNDING_TARGET) },
      parts.tipHeight(),
      policy.hasAnchors ? policy.anchorReserveSat : 0n,
    );
  };

  /** Nobody waits for it any more: it must not come to be, and its coins are free again. */
  const giveUp = (userChannelId: bigint, opening: Opening, why: NodeError): void => {
    const peer = bytes(opening.request.nodeId);
    opening.failure = why;
    turns.run(() => {
      const details = manager
        .list_channels_with_counterparty(peer)
        .find((channel) => channel.get_user_channel_id() === userChannelId);
      if (details !== undefined) manager.force_close_without_broadcasting_txn(details.get_channel_id(), peer, GIVEN_UP);
    });
    opening.reject(why);
  };

  return {
    /**
     * Opens a channel; resolves when its funding transaction may be broadcast.
     * @throws NodeError `peer_not_connected`, `insufficient_funds`, `channel_refused`
     */
    open: async (request: OpenRequest): Promise<OpenedChannel> => {
      assertOpenable(request);
      const userChannelId = newChannelMark();
      let timer: NodeJS.Timeout | undefined;
      try {
        return await new Promise<OpenedChannel>((resolve, reject) => {
          const opening = { request, fundingTx: undefined, failure: undefined, resolve, reject };
          openings.set(userChannelId, opening);
          timer = setTimeout(() => {
            const why = new NodeError('channel_refused', 'channel: the peer did not answer in time');
            giveUp(userChannelId, opening, why);
          }, OPEN_TIMEOUT_MS);
          turns.run(() => {
            create(userChannelId, request);
          });
        });
      } finally {
        clearTimeout(timer);
        openings.delete(userChannelId);
      }
    },
    /** The peer agreed: fund it. Called inside a turn. */
    onFundingNeeded: (event: ldk.Event_FundingGenerationReady): void => {
      const opening = openings.get(event.user_channel_id);
      const refuse = (why: string): void => {
        manager.force_close_without_broadcasting_txn(event.temporary_channel_id, event.counterparty_node_id, why);
      };
      if (opening === undefined) {
        refuse(GIVEN_UP);
        return;
      }
      const { output_script: script, channel_value_satoshis: valueSat } = event;
      let signed: Signed;
      try {
        signed = wallet.spend({ script, valueSat, feeRate: fees.rate(FUNDING_TARGET) }, parts.tipHeight());
      } catch (error) {
        if (!(error instanceof NodeError)) throw error;
        opening.failure = error;
        refuse('insufficient funds');
        return;
      }
      const { temporary_channel_id: id, counterparty_node_id: peer } = event;
      if (isOk(manager.funding_transaction_generated(id, peer, Uint8Array.from(signed.raw)))) {
        opening.fundingTx = signed.raw;
      } else {
        wallet.giveUp(signed.txid); // the peer took the channel back in the same bytes: the next event says why
      }
    },
    /** Called inside a turn. */
    onPending: (event: ldk.Event_ChannelPending): void => {
      const opening = openings.get(event.user_channel_id);
      const { fundingTx } = opening ?? {};
      if (opening === undefined || fundingTx === undefined) return;
      const channel = {
        channelId: hex(event.channel_id.get_a()),
        fundingTxid: txid(displayHex(event.funding_txo.get_txid())),
        fundingVout: event.funding_txo.get_index(),
        fundingTx,
      };
      turns.after(() => {
        opening.resolve(channel);
      });
    },
    /** Called inside a turn. */
    onClosed: (event: ldk.Event_ChannelClosed): void => {
      const opening = openings.get(event.user_channel_id);
      if (opening === undefined) return;
      const reason = opening.failure ?? new NodeError('channel_refused', `channel: ${closureText(event.reason)}`);
      turns.after(() => {
        opening.reject(reason);
      });
    },
    /** Reserved coins of fundings that LDK gave up or forgot. Called inside a turn at start. */
    releaseAbandoned: (): void => {
      const alive = new Set(
        manager.list_channels().flatMap((channel) => {
          const funding = channel.get_funding_txo();
          return isAbsent(funding) ? [] : [displayHex(funding.get_txid())];
        }),
      );
      for (const id of wallet.reservedOnly()) if (!alive.has(id)) wallet.giveUp(id);
    },
    /** Ends waiting callers, and with them what they wait for: they may repeat their call. */
    stop: (): void => {
      for (const [userChannelId, opening] of openings)
        giveUp(userChannelId, opening, new NodeError('shutting_down', 'the node is shutting down'));
    },
  };
}

/**
 * A random number for LDK's 128-bit id. The bindings write it in one byte order and read it in the other, and refuse
 * 2^124 and more: so it reads the same from both ends and begins with a zero digit.
 */
function newChannelMark(): bigint {
  const half = randomBytes(8);
  half.writeUInt8(half.readUInt8() & 0x0f);
  return BigInt(`0x${half.toString('hex')}${Buffer.from(half).reverse().toString('hex')}`);
}

/** LDK's reason for a closed channel, with the peer's first words where there are any: it may send 64 kB of them. */
export function closureText(reason: ldk.ClosureReason): string {
  if (reason instanceof ldk.ClosureReason_CounterpartyForceClosed) {
    return `the peer said: ${reason.peer_msg.to_str().slice(0, MAX_WORDS)}`;
  }
  return describe(reason).replace(/^ClosureReason_/, '');
}
