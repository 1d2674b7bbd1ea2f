/** Values as scripts get them: snake_case, bytes in hex, ids in display order, 64-bit integers as strings. Pure. */
import { displayHex, hex } from '../core/units.js';
import { NextAction, PaymentStatus, SwapStatus } from '../gen/ln_liquid_swap/v1/swap.js';

/** Anything that JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Fields whose bytes stand in internal order. */
const DISPLAY_ORDER = new Set([
  'txid',
  'fundingTxid',
  'claimTxid',
  'refundTxid',
  'assetId',
  'policyAssetId',
  'genesisHash',
]);

const ENUMS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  status: SwapStatus,
  paymentStatus: PaymentStatus,
  nextAction: NextAction,
};

/** Name of an enum value of the API, e.g. `FUNDED`. */
export function enumName(values: Readonly<Record<string, number>>, value: number): string {
  return Object.entries(values).find(([, number]) => number === value)?.[0] ?? 'UNRECOGNIZED';
}

const snake = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** Renders messages of the API and the program's own values alike. Fields that are undefined are left out. */
export function toJson(value: unknown, key = ''): Json {
  switch (typeof value) {
    case 'bigint':
      return value.toString();
    case 'string':
    case 'boolean':
      return value;
    case 'number': {
      const names = ENUMS[key];
      return names === undefined ? value : enumName(names, value);
    }
    case 'object':
      return value === null ? null : objectToJson(value, key);
    case 'undefined':
      return null;
    case 'function':
    case 'symbol':
      throw new Error(`${key}: a ${typeof value} has no JSON`);
    default:
      throw new Error(`${key}: unknown type`);
  }
}

function objectToJson(value: object, key: string): Json {
  if (value instanceof Uint8Array) return DISPLAY_ORDER.has(key) ? displayHex(value) : hex(value);
  if (Array.isArray(value)) return value.map((item) => toJson(item, key));
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries.map(([name, item]) => [snake(name), toJson(item, name)]));
}
