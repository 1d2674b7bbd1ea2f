/** A node of some kind as a world of the port moves it: the port, its operator's side, and its lives. */
import type { PortNode } from '../../contract/port/portWorld.js';
import type { Software } from '../interoperability.js';
import type { Place } from '../programStage.js';
import type { Pubkey } from '../../../src/core/units.js';
import type { FullNode } from './fullNode.js';

export type PortProgram = PortNode & {
  /** What of it nobody here wrote. */
  readonly software: readonly Software[];
  /** host:port for peers. */
  readonly peerAddress: string;
  readonly newAddress: () => Promise<string>;
  readonly confirmedSats: () => Promise<bigint>;
  readonly connect: (peer: PortProgram) => Promise<void>;
  readonly openChannel: (peer: PortProgram, capacitySats: bigint, pushMsat: bigint) => Promise<void>;
  /** Whether a payment can go straight to the peer, now. */
  readonly canReach: (peer: PortProgram) => Promise<boolean>;
  /** Whether it knows enough of the channel between two nodes to pay over it. */
  readonly knowsChannel: (one: Pubkey, other: Pubkey) => Promise<boolean>;
  /** Forgets which ways failed. */
  readonly forgetFailures: () => Promise<void>;
  readonly halt: (signal: 'SIGTERM' | 'SIGKILL') => Promise<unknown>;
  readonly resume: () => Promise<void>;
  readonly freeze: (isFrozen: boolean) => void;
};

/** Starts one and waits until it serves. */
export type PortStarter = (place: Place, chain: FullNode) => Promise<PortProgram>;
