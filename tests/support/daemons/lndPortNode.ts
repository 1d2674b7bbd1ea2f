/** lnd as a node of the port's contract. */
import { createHash } from 'node:crypto';

import {
  addPeer,
  createChainAddress,
  deleteForwardingReputations,
  getChainBalance,
  getChannels,
  getNetworkGraph,
  openChannel,
  probeForRoute,
  signBytes,
} from 'lightning';
import { recover } from 'tiny-secp256k1';

import type { Traits } from '../../contract/port/portWorld.js';
import { unsignedInvoice } from '../../unit/core/rawInvoice.js';
import { amountOf, takeApart } from '../bolt11Parts.js';
import type { Place } from '../programStage.js';
import { bakeMacaroon, rightsOf } from './bakedMacaroon.js';
import type { FullNode } from './fullNode.js';
import type { LndProcess } from './lnd.js';
import { launchLnd } from './lndProgram.js';
import type { PortProgram } from './portProgram.js';

/** What the other side waits for before it has its coins of a channel that it closed; lnd's own default is 144 at least. */
const CSV_BLOCKS = 10;
const BASE_FEE_MSAT = 1000n;
const FEE_PPM = 1n;
/** lnd's key of the node itself. */
const NODE_KEY = { key_family: 6, key_index: 0 };
/** Looks like a payment with a secret: LDK calls anything else a feature that is missing, and lnd avoids it from then on. */
const PROBE = {
  mtokens: '1000',
  total_mtokens: '1000',
  payment: '07'.repeat(32),
  features: [{ bit: 9 }, { bit: 15 }, { bit: 17 }],
};

const HELD_REASON = 'CANCELED with a payment held: by a caller, or by lnd 12 blocks before its timeout';

export const LND: Traits = {
  backend: 'lnd',
  finalCltv: { taken: [24, 42, 144], refused: [17] },
  givesBackBlocksEarly: 12,
  closesBlocksEarly: 10,
  leastCap: (finalCltv, hops) => finalCltv + Math.max(hops, 1) + 3,
  blocksAdded: 3,
  blocksOverCap: 0,
  hop: {
    cltvDelta: 80,
    baseFeeMsat: BASE_FEE_MSAT,
    feeMsat: (amountMsat) => BASE_FEE_MSAT + (amountMsat * FEE_PPM) / 1_000_000n,
  },
  belowFee: ['FAILED', 'IN_FLIGHT'],
  reasons: {
    rejected: 'RECIPIENT_REJECTED',
    afterTimeout: ['CANCELED', 'RECIPIENT_REJECTED', 'TIMEOUT'],
    afterRestart: 'RECIPIENT_REJECTED',
    noRoute: 'ROUTE_NOT_FOUND',
  },
  cancelReasons: { byUser: 'CANCELED_BY_USER', whileHeld: HELD_REASON, expired: 'EXPIRED', deadline: HELD_REASON },
  lateArrivals: ['CANCELED', 'HELD'],
  resolvedAfterBlocks: { least: CSV_BLOCKS, most: CSV_BLOCKS + 120 },
  callMs: 10_000,
};

/** R and S of a DER signature, 32 bytes each. */
function compact(der: Buffer): Buffer {
  const number = (at: number): Buffer => {
    const bytes = der.subarray(at + 2, at + 2 + (der[at + 1] ?? 0));
    return Buffer.concat([Buffer.alloc(32), bytes]).subarray(-32);
  };
  return Buffer.concat([number(2), number(4 + (der[3] ?? 0))]);
}

async function signAnew({ lnd, nodeId }: LndProcess, bolt11: string, amountMsat: bigint): Promise<string> {
  const { network, createdAt, fields } = takeApart(bolt11);
  const prefix = `${network}${amountOf(amountMsat)}`;
  const { message, withSignature } = unsignedInvoice({ prefix, createdAt, fields });
  const { signature: text } = await signBytes({ lnd, ...NODE_KEY, preimage: message.toString('hex') });
  const signature = compact(Buffer.from(text, 'hex'));
  const digest = createHash('sha256').update(message).digest();
  for (const recoveryId of [0, 1, 2, 3] as const) {
    const key = recover(digest, signature, recoveryId, true);
    if (key !== null && Buffer.from(key).toString('hex') === nodeId) return withSignature(signature, recoveryId);
  }
  throw new Error('lnd signed with another key');
}

/** The same with the process, for what only lnd has. */
type LndPortNode = PortProgram & { readonly program: LndProcess };

type Start = (place: Place, chain: FullNode) => Promise<LndPortNode>;

/** Its channels are announced: others find ways over it. */
export const startLndPortNode: Start = (place, chain) => start(place, chain, { isPrivate: false });

/** Nobody but its peers hears of its channels. */
export const startPrivateLndPortNode: Start = (place, chain) => start(place, chain, { isPrivate: true });

/** lnd, and the port with the rights that the docs name for seller and buyer, and no other. */
async function start(
  place: Place,
  chain: FullNode,
  { isPrivate }: { readonly isPrivate: boolean },
): Promise<LndPortNode> {
  const rights = new Set([...rightsOf('swapd.macaroon'), ...rightsOf('swap.macaroon')]);
  const bake = (lnd: LndProcess): Promise<string> => bakeMacaroon(lnd, 'swapd.macaroon', [...rights]);
  const more = [`--bitcoin.defaultremotedelay=${CSV_BLOCKS}`, '--maxpendingchannels=4'];
  const { program, port } = await launchLnd(place, chain, bake, more);
  const { lnd, nodeId, peerAddress } = program;
  return {
    program,
    software: [program.software],
    traits: LND,
    nodeId,
    port,
    peerAddress,
    signAnew: (bolt11, amountMsat) => signAnew(program, bolt11, amountMsat),
    pendingHtlcs: async () => {
      const { channels } = await getChannels({ lnd });
      return channels.reduce((sum, { pending_payments: pending }) => sum + pending.length, 0);
    },
    newAddress: async () => (await createChainAddress({ lnd, format: 'p2wpkh' })).address,
    confirmedSats: async () => BigInt((await getChainBalance({ lnd })).chain_balance),
    connect: async ({ nodeId: public_key, peerAddress: socket }) => {
      await addPeer({ lnd, public_key, socket });
    },
    openChannel: async ({ nodeId: partner_public_key }, capacitySats, pushMsat) => {
      await openChannel({
        lnd,
        partner_public_key,
        local_tokens: Number(capacitySats),
        give_tokens: Number(pushMsat / 1000n),
        base_fee_mtokens: BASE_FEE_MSAT.toString(),
        fee_rate: Number(FEE_PPM),
        is_private: isPrivate,
      });
    },
    canReach: async ({ nodeId: destination }) => {
      const { channels } = await getChannels({ lnd });
      const own = channels.filter(({ partner_public_key: id }) => id === destination);
      if (own.length === 0 || own.some(({ is_active: isActive }) => !isActive)) return false;
      for (const { id } of own) {
        const { route } = await probeForRoute({ lnd, destination, outgoing_channel: id, ...PROBE });
        if (route === undefined) return false;
      }
      return true;
    },
    knowsChannel: async (one, other) => {
      const ends: readonly string[] = [one, other];
      if (ends.includes(nodeId)) return true;
      const { channels } = await getNetworkGraph({ lnd });
      return channels.some(({ policies }) =>
        policies.every(({ public_key: id, cltv_delta: delta }) => delta !== undefined && ends.includes(id)),
      );
    },
    forgetFailures: async () => {
      await deleteForwardingReputations({ lnd });
    },
    halt: (signal) => program.stop(signal),
    resume: () => program.start(),
    freeze: (isFrozen) => {
      program.freeze(isFrozen);
    },
  };
}
