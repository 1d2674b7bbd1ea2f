/** Who calls: the name of the bearer token, or `local` on a loopback listener without tokens. */
import { createHash, timingSafeEqual } from 'node:crypto';

import type { CallContext, ServerMiddleware } from 'nice-grpc-common';

import { SwapError } from '../errors.js';
import { findPrincipal } from '../store/meta.js';
import type { BuyerCall, RpcContext } from './context.js';
import { bearerToken } from './status.js';

/** Metadata key under which handlers find the call's deadline, Unix milliseconds. Callers cannot set it. */
export const DEADLINE_KEY = 'x-call-deadline';
/** An answer is sent this long before the caller's deadline. */
const ANSWER_MARGIN_MS = 300;
/** No call blocks longer than this, whatever the deadline. */
const MAX_BLOCK_MS = 120_000;
/** Without a deadline a call is answered after this. */
const DEFAULT_BLOCK_MS = 30_000;
const MINUTE_MS = 60_000;
/** Calls that only read, a minute and principal. */
const MAX_READS_PER_MINUTE = 1_200;

/** Tokens are stored as this hash only. */
export const tokenHash = (token: string): string => createHash('sha256').update(token).digest('hex');

/** How callers are told apart. */
export type AuthMode = 'tokens' | 'none';

/** @throws SwapError `unauthenticated`. */
function principalOf(ctx: RpcContext, call: CallContext, mode: AuthMode): string {
  if (mode === 'none') return 'local';
  const token = bearerToken(call.metadata);
  const name = token === undefined ? undefined : findPrincipal(ctx.store, tokenHash(token));
  if (name === undefined)
    throw new SwapError('unauthenticated', 'expected a known bearer token in the metadata "authorization"');
  return name;
}

function answerBy(call: CallContext): number {
  const now = Date.now();
  const deadline = Number.parseInt(call.metadata.get(DEADLINE_KEY) ?? '', 10);
  const wanted = Number.isSafeInteger(deadline) ? deadline - ANSWER_MARGIN_MS : now + DEFAULT_BLOCK_MS;
  return Math.min(wanted, now + MAX_BLOCK_MS);
}

/** Calls that stay open: streams, and CreateSwap while it waits for the funding. */
const LASTING = /\/(WatchSwap|CreateSwap)$/;

/** Adds principal and deadline to the call, and limits how often a principal calls and how many calls it keeps open. */
export function buyerMiddleware(ctx: RpcContext, mode: AuthMode): ServerMiddleware<Omit<BuyerCall, keyof CallContext>> {
  const recent = new Map<string, number[]>();
  const open = new Map<string, number>();
  return async function* authenticate(call, context) {
    const principal = principalOf(ctx, context, mode);
    const isCreating = /\/Create(Swap|Quote)$/.test(call.method.path);
    requireRate(
      recent,
      isCreating ? `${principal} ${call.method.path}` : principal,
      isCreating ? ctx.limits.createPerMinute : MAX_READS_PER_MINUTE,
    );
    const release = LASTING.test(call.method.path)
      ? takePlace(open, principal, ctx.limits.maxStreamsPerPrincipal)
      : undefined;
    try {
      return yield* call.next(call.request, { ...context, principal, answerBy: answerBy(context) });
    } finally {
      release?.();
    }
  };
}

/**
 * Counts a call of the principal as open.
 *
 * @returns what ends it.
 * @throws SwapError `rate_limited`.
 */
function takePlace(open: Map<string, number>, principal: string, limit: number): () => void {
  const count = open.get(principal) ?? 0;
  if (count >= limit)
    throw new SwapError(
      'rate_limited',
      `expected at most ${limit} open WatchSwap and CreateSwap calls; end one of them`,
    );
  open.set(principal, count + 1);
  return () => {
    const left = (open.get(principal) ?? 1) - 1;
    if (left > 0) open.set(principal, left);
    else open.delete(principal);
  };
}

/** @throws SwapError `rate_limited`. */
function requireRate(recent: Map<string, number[]>, key: string, perMinute: number): void {
  const now = Date.now();
  const times = (recent.get(key) ?? []).filter((time) => time > now - MINUTE_MS);
  if (times.length >= perMinute) {
    throw new SwapError('rate_limited', `expected at most ${perMinute} calls a minute; try again in a minute`);
  }
  times.push(now);
  recent.set(key, times);
}

/** Compares the operator's token in constant time. */
export function adminMiddleware(adminToken: string): ServerMiddleware {
  const expected = Buffer.from(tokenHash(adminToken), 'hex');
  return async function* authenticate(call, context) {
    const found = Buffer.from(tokenHash(bearerToken(context.metadata) ?? ''), 'hex');
    if (!timingSafeEqual(expected, found)) {
      throw new SwapError('unauthenticated', 'expected the admin token in the metadata "authorization"');
    }
    return yield* call.next(call.request, context);
  };
}
