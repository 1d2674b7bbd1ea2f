/** Which coins pay for an output, what it costs, and what comes back. Pure. */
import type { SatPerKvb } from '../core/units.js';
import { NodeError } from './errors.js';

/** Smaller outputs are not relayed. */
const DUST_SAT = 546n;
/** Virtual bytes, upper bounds: version, locktime and counts; an output without its script; one P2WPKH input; change. */
const BASE_VSIZE = 11n;
const OUTPUT_VSIZE = 9n;
const INPUT_VSIZE = 69n;
const CHANGE_VSIZE = 31n;
/** A larger transaction is not relayed, and its coins would be locked for good. */
const MAX_INPUTS = 1000;

type Valued = { readonly valueSat: bigint };

export type PlanRequest<C extends Valued> = {
  /** In the order in which they are taken. */
  readonly coins: readonly C[];
  /** Coins that must be spent too. */
  readonly always?: readonly C[];
  readonly scriptLength: number;
  /** Undefined pays out everything that is not kept. */
  readonly valueSat: bigint | undefined;
  readonly feeRate: SatPerKvb;
  /** Satoshi that stay in the wallet. */
  readonly keptSat: bigint;
};

export type Plan<C extends Valued> = {
  readonly coins: readonly C[];
  readonly valueSat: bigint;
  /** 0 means no change. */
  readonly changeSat: bigint;
  readonly feeSat: bigint;
};

/** Upper bound of the size of a transaction with one output and change. */
export const vsizeFor = (inputs: number, scriptLength: number): bigint =>
  BASE_VSIZE + OUTPUT_VSIZE + BigInt(scriptLength) + CHANGE_VSIZE + INPUT_VSIZE * BigInt(inputs);

/** Satoshi for a size, rounded up. */
const feeAt = (feeRate: bigint, vsize: bigint): bigint => (vsize * feeRate + 999n) / 1000n;

const total = (coins: readonly Valued[]): bigint => coins.reduce((sum, { valueSat }) => sum + valueSat, 0n);

/** @throws NodeError `insufficient_funds` */
export function planSpend<C extends Valued>(request: PlanRequest<C>): Plan<C> {
  return request.valueSat === undefined ? planAll(request) : planAmount(request, request.valueSat);
}

function planAll<C extends Valued>({ coins, always = [], scriptLength, feeRate, keptSat }: PlanRequest<C>): Plan<C> {
  const worthIt = coins.filter(({ valueSat }) => valueSat > feeAt(feeRate, INPUT_VSIZE));
  const all = [...always, ...worthIt].slice(0, MAX_INPUTS);
  const feeSat = feeAt(feeRate, vsizeFor(all.length, scriptLength));
  const changeSat = keptSat === 0n || keptSat >= DUST_SAT ? keptSat : DUST_SAT;
  const valueSat = total(all) - changeSat - feeSat;
  if (valueSat < DUST_SAT) throw tooLittle(total(all), `${DUST_SAT} sat`, keptSat);
  return { coins: all, valueSat, changeSat, feeSat };
}

function planAmount<C extends Valued>(request: PlanRequest<C>, valueSat: bigint): Plan<C> {
  const { coins, always = [], scriptLength, feeRate, keptSat } = request;
  const chosen = [...always];
  const waiting = [...coins];
  const all = total(chosen) + total(waiting);
  for (;;) {
    const feeSat = feeAt(feeRate, vsizeFor(chosen.length, scriptLength));
    const changeSat = total(chosen) - valueSat - feeSat;
    if (chosen.length > 0 && changeSat >= 0n) {
      if (all - valueSat - feeSat < keptSat) throw tooLittle(all, `${valueSat} sat`, keptSat);
      if (changeSat >= DUST_SAT) return { coins: chosen, valueSat, changeSat, feeSat };
      return { coins: chosen, valueSat, changeSat: 0n, feeSat: feeSat + changeSat };
    }
    const next = waiting.shift();
    if (next === undefined || chosen.length === MAX_INPUTS) throw tooLittle(all, `${valueSat} sat`, keptSat);
    chosen.push(next);
  }
}

const tooLittle = (found: bigint, wanted: string, kept: bigint): NodeError =>
  new NodeError(
    'insufficient_funds',
    `wallet: expected ${wanted} and a fee, found ${found} sat confirmed${kept > 0n ? `, ${kept} of them kept back for channels` : ''}`,
  );
