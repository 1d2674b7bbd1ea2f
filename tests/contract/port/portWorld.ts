/** What the contract of the Lightning port is tested on: nodes of some kind, their operator's side, and their chain. */
import type { Pubkey } from '../../../src/core/units.js';
import type { LightningNode } from '../../../src/lightning/node.js';

/** What a kind of node does in its own way, as measured; the suite asserts it, docs/lightning-backends.md states it. */
export type Traits = {
  readonly backend: string;
  readonly finalCltv: { readonly taken: readonly number[]; readonly refused: readonly number[] };
  /** As a payee: so many blocks before an HTLC's timeout the node gives a held payment back. */
  readonly givesBackBlocksEarly: number;
  /** As a payer: the least cap that pays, for an invoice's final CLTV and the sum of the hops in between. */
  readonly leastCap: (finalCltv: number, hops: number) => number;
  /** As a payer of a direct peer with that cap: the HTLC's timeout is the tip, the final CLTV and so many blocks. */
  readonly blocksAdded: number;
  /** As a payer with any cap: the HTLC's timeout is at most the tip, the cap and so many blocks. */
  readonly blocksOverCap: number;
  /** As a hop in the middle. */
  readonly hop: { readonly cltvDelta: number; readonly feeMsat: (amountMsat: bigint) => bigint };
  /** As a payer: why a payment FAILED. */
  readonly reasons: { readonly rejected: string; readonly noRoute: string };
  /** As a payee: why an invoice is CANCELED. */
  readonly cancelReasons: { readonly byUser: string; readonly expired: string; readonly deadline: string };
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
  signAnew(bolt11: string, amountMsat: bigint): Promise<string>;
  /** HTLCs that are not resolved, of both directions and all channels. */
  pendingHtlcs(): Promise<number>;
};

export type ChannelOptions = {
  readonly from: string;
  readonly to: string;
  readonly capacitySats: bigint;
  readonly pushMsat?: bigint;
};

export type PortWorld = {
  node(name: string): PortNode;
  tipHeight(): Promise<number>;
  /** Transactions that wait for a block. */
  mempoolSize(): Promise<number>;
  /** Opens a channel and waits until both sides can use it, also as a hop towards the opener. */
  openChannel(options: ChannelOptions): Promise<void>;
  /** Mines and waits until the running nodes have seen it. */
  mine(blocks: number): Promise<void>;
  /** Replaces so many blocks by one more. */
  reorg(depth: number): Promise<void>;
  /** Waits until the running nodes are at the tip. */
  caughtUp(): Promise<unknown>;
  /** Waits until payments can go over every channel between running nodes. */
  allUsable(): Promise<void>;
  /** Ends a node the way of the signal. */
  halt(name: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<unknown>;
  /** Starts a halted node again. */
  resume(name: string): Promise<void>;
  /** Ends a node the way of the signal and starts it again. */
  restart(name: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** Stops the process in its tracks, or lets it go on. */
  freeze(name: string, isFrozen: boolean): void;
  /** The end of every program's log. */
  tails(): string;
  close(): Promise<void>;
};

/** Nodes of the kinds under test; a third node, if asked for, is of the payee's kind. */
export type Backend = {
  readonly payer: Traits;
  readonly payee: Traits;
  /** Starts the named nodes; `close` must be called. */
  start(names: readonly string[]): Promise<PortWorld>;
  /** Called once the channels are open. */
  ready?(world: PortWorld): void;
};
