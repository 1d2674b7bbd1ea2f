/** How many servers must say a thing before it is believed: headers carry no work, so one alone can show anything. Pure. */
import type { ChainSide } from './buyer.js';

/**
 * Who runs each server, as far as a name tells: the last two labels of a host name, or the whole address. Two servers of
 * one operator lie together, so they count as one.
 */
export function operatorsOf(names: readonly string[]): Set<string> {
  return new Set(
    names.map((name) => {
      const [, host = name] = /^[a-z]+:\/\/(.+):\d+$/.exec(name.toLowerCase()) ?? [];
      const isAddress = /^[\d.]+$/.test(host) || host.includes(':');
      return isAddress ? host : host.replace(/\.$/, '').split('.').slice(-2).join('.');
    }),
  );
}

/** Operators that must agree: two on mainnet, unless the user trusts one. */
export const operatorsNeeded = ({
  network,
  isSingleServerTrusted,
}: Pick<ChainSide, 'network' | 'isSingleServerTrusted'>): number =>
  network === 'liquidv1' && !isSingleServerTrusted ? 2 : 1;

/** Whether those servers may say that a purchase has ended. */
export const mayDecide = (
  side: Pick<ChainSide, 'network' | 'isSingleServerTrusted'>,
  names: readonly string[],
): boolean => operatorsOf(names).size >= operatorsNeeded(side);
