/** Helpers over LDK's generated `Result_*`, `Option_*` and null-pointer objects; the one place that casts them. */
import * as bindings from 'lightningdevkit/bindings.mjs';
import { CommonBase } from 'lightningdevkit/structs/CommonBase.mjs';

import { hex, pubkey, type Pubkey } from '../../core/units.js';

/** Text of an LDK error: an enum number, or an object with its text under one of several names. */
export function describe(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error);
  const parts = error as { err?: unknown; get_err?: () => string; to_str?: () => string };
  const name = error.constructor.name;
  if (typeof parts.err === 'string') return `${name}: ${parts.err}`;
  if (typeof parts.get_err === 'function') return `${name}: ${parts.get_err()}`;
  if (typeof parts.to_str === 'function') return `${name}: ${parts.to_str()}`;
  return name;
}

/** LDK's words for a call that it refused, without the name of their kind. */
export const apiProblem = (error: unknown): string => describe(error).replace(/^APIError_\w+: /, '');

/** True for LDK's success; its booleans are numbers. */
export const isOk = (result: { is_ok(): boolean }): boolean => Number(result.is_ok()) === 1;

/** LDK's numbers 0 and 1 as a boolean. */
export const flag = (value: boolean): boolean => Number(value) === 1;

/** The error of a failed `Result_*`. */
export const errorOf = (result: object): unknown => (result as { err?: unknown }).err;

type OkClass<T> = { readonly prototype: { res: T } };
type SomeClass<T> = { readonly prototype: { some: T } };

/** Throws LDK's text if a `Result_*` failed. */
export function assertOk(result: { is_ok(): boolean }, what: string): void {
  if (!isOk(result)) throw new Error(`${what}: ${describe(errorOf(result))}`);
}

/** The value of a `Result_*`, given its class of success. @throws Error with LDK's text if it failed. */
export function unwrap<T>(result: { is_ok(): boolean }, success: OkClass<T>, what: string): T {
  assertOk(result, what);
  if (Object.getPrototypeOf(result) !== success.prototype) throw new Error(`${what}: another kind of result`);
  return (result as { is_ok(): boolean; res: T }).res;
}

/** The value of an `Option_*`, given its class of presence; undefined for None. */
export const some = <T>(option: object, present: SomeClass<T>): T | undefined =>
  Object.getPrototypeOf(option) === present.prototype ? (option as { some: T }).some : undefined;

/** True where the bindings hand over a null pointer for an absent object that their types call present. */
export const isAbsent = (value: object | null): boolean => value === null || (value as { ptr?: bigint }).ptr === 0n;

const base = CommonBase as unknown as {
  get_ptr_of(value: object): bigint;
  set_null_skip_free(value: object): void;
};
const frees = bindings as unknown as Record<string, (pointer: bigint) => void>;

/** Frees an object now: V8 does not see WebAssembly memory, so garbage collection comes too late for hot callbacks. */
export function dispose(value: object, kind: string): void {
  const pointer = base.get_ptr_of(value);
  const free = frees[`${kind}_free`];
  if (pointer === 0n || free === undefined) return;
  base.set_null_skip_free(value);
  free(pointer);
}

/** Bytes for LDK: a plain Uint8Array of its own. */
export const bytes = (hexText: string): Uint8Array => Uint8Array.from(Buffer.from(hexText, 'hex'));

/** A node id from bytes of a caller, as hex. LDK panics on bytes that are no point, so every key passes here first. */
export const nodeIdOf = (raw: Uint8Array): Pubkey => pubkey(hex(raw));
