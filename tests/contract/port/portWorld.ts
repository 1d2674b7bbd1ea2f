/** What the contract of the Lightning port is tested on: nodes of some kind, their operator's side, and their chain. */
import type { Pubkey } from '../../../src/core/units.js';
import type { HoldInvoice, LightningNode, PaymentResult } from '../../../src/lightning/node.js';
import type { Software } from '../../support/interoperability.js';

/** What a kind of node does in its own way, as measured; the suite asserts it, docs/lightning-backends.md states it. */
export type Traits = {
  readonly backend: 'lnd' | 'lnnoded';
  readonly finalCltv: { readonly taken: readonly number[]; readonly refused: readonly number[] };
  /** As a payee: so many blocks before an HTLC's timeout the node gives a held payment back. */
  readonly givesBackBlocksEarly: number;
  /** As a payee: so many blocks before that timeout it closes a channel whose peer is away with a settled payment. */
  readonly closesBlocksEarly: number;
  /** As a payer: the least cap that pays, for an invoice's final CLTV and the sum of the hops in between. */
  readonly leastCap: (finalCltv: number, hops: number) => number;
  /** As a payer of a direct peer with that cap: the HTLC's timeout is the tip, the final CLTV and so many blocks. */
  readonly blocksAdded: number;
  /** As a payer with any cap: the HTLC's timeout is at most the tip, the cap and so many blocks. */
  readonly blocksOverCap: number;
  /** As a hop in the middle. */
  readonly hop: {
    readonly cltvDelta: number;
    /** What any part costs. */
    readonly baseFeeMsat: bigint;
    readonly feeMsat: (amountMsat: bigint) => bigint;
  };
  /** As a payer with a fee limit that pays a part and not the whole: what is told while the part is out. */
  readonly belowFee: readonly PaymentResult['state'][];
  /** As a payer: why a payment FAILED. */
  readonly reasons: {
    readonly rejected: string;
    /** Rejected after the call that paid had ended: any of these. */
    readonly afterTimeout: readonly string[];
    /** Rejected after the payer was killed. */
    readonly afterRestart: string;
    readonly noRoute: string;
  };
  /** As a payee: why an invoice is CANCELED. */
  readonly cancelReasons: {
    readonly byUser: string;
    /** By a caller while a payment was held. */
    readonly whileHeld: string;
    readonly expired: string;
    /** By the node at the deadline of a payment that was held. */
    readonly deadline: string;
  };
  /** As a payee: what may become of a payment that arrives just after the expiry of its invoice. */
  readonly lateArrivals: readonly HoldInvoice['state'][];
  /** As a payee: so many blocks after it closed a channel an HTLC that it took on the chain is resolved. */
  readonly resolvedAfterBlocks: { readonly least: number; readonly most: number };
  /** Every call but `pay` ends within so many ms, `pay` so many ms after its own timeout. */
  readonly callMs: number;
};

/** One node under test. */
export type PortNode = {
  readonly traits: Traits;
  readonly nodeId: Pubkey;
  /** May be another object after a restart. */
  readonly port: LightningNode;
  /** An own invoice with another amount, signed by the node: how a payer comes to pay more or less than was asked. */
  readonly signAnew: (bolt11: string, amountMsat: bigint) => Promise<string>;
  /** HTLCs that are not resolved, of both directions and all channels. */
  readonly pendingHtlcs: () => Promise<number>;
};

export type ChannelOptions = {
  readonly from: string;
  readonly to: string;
  readonly capacitySats: bigint;
  readonly pushMsat?: bigint;
};

export type PortWorld = {
  /** What of its programs nobody here wrote. */
  readonly software: () => Promise<readonly Software[]>;
  readonly node: (name: string) => PortNode;
  readonly tipHeight: () => Promise<number>;
  /** Transactions that wait for a block. */
  readonly mempoolSize: () => Promise<number>;
  /** Opens channels and waits until both sides can use them, also as a hop towards the opener. */
  readonly openChannels: (channels: readonly ChannelOptions[]) => Promise<void>;
  /** Mines and waits until the running nodes have seen it. */
  readonly mine: (blocks: number) => Promise<void>;
  /** Replaces so many blocks by one more. */
  readonly reorg: (depth: number) => Promise<void>;
  /** Waits until the running nodes are at the tip. */
  readonly caughtUp: () => Promise<unknown>;
  /** Waits until payments can go over every channel between running nodes. */
  readonly allUsable: () => Promise<void>;
  /** Ends a node the way of the signal. */
  readonly halt: (name: string, signal: 'SIGTERM' | 'SIGKILL') => Promise<unknown>;
  /** Starts a halted node again. */
  readonly resume: (name: string) => Promise<void>;
  /** Ends a node the way of the signal and starts it again. */
  readonly restart: (name: string, signal: 'SIGTERM' | 'SIGKILL') => Promise<void>;
  /** Stops the process in its tracks, or lets it go on. */
  readonly freeze: (name: string, isFrozen: boolean) => void;
  /** The end of every program's log. */
  readonly tails: () => string;
  readonly close: () => Promise<void>;
};

/** Nodes of the kinds under test; a third node, if asked for, is of the payee's kind. */
export type Backend = {
  readonly payer: Traits;
  readonly payee: Traits;
  /** Starts the named nodes; `close` must be called. */
  readonly start: (names: readonly string[]) => Promise<PortWorld>;
  /** Called once the channels are open. */
  readonly ready?: (world: PortWorld) => void;
};
