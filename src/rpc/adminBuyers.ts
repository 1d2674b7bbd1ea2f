/** The operator's calls about buyers: names, tokens, and what they have open. */
import { z } from 'zod';

import { hex } from '../core/units.js';
import { SwapError } from '../errors.js';
import type { AddTokenRequest, Principal, RevokeTokenRequest } from '../gen/ln_liquid_swap/v1/admin.js';
import { deletePrincipal, listPrincipals, savePrincipal } from '../store/meta.js';
import { openUnpaidByPrincipal } from '../store/quotas.js';
import { tokenHash } from './auth.js';
import type { RpcContext } from './context.js';
import { parseRequest } from './parse.js';

const TOKEN_BYTES = 32;

const nameSchema = z.object({
  name: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, 'expected 1..64 letters, digits, dots, dashes and underscores'),
});

/** Everybody with a token or with unpaid swaps, by name. */
export function principals(ctx: RpcContext): Principal[] {
  const open = openUnpaidByPrincipal(ctx.store);
  const known = new Map(listPrincipals(ctx.store).map(({ name, createdAt }) => [name, createdAt]));
  return [...new Set([...known.keys(), ...open.keys()])].sort().map((name) => ({
    name,
    hasToken: known.has(name),
    createdAtUnixSecs: BigInt(known.get(name) ?? 0),
    openUnpaidSwaps: open.get(name)?.open ?? 0,
    expiredSwaps: open.get(name)?.expired ?? 0,
  }));
}

/** @returns the token; only its hash is stored. */
export function addToken(ctx: RpcContext, request: AddTokenRequest): string {
  const { name } = parseRequest(nameSchema, request);
  const token = hex(ctx.randomBytes(TOKEN_BYTES));
  ctx.store.tx(() => {
    savePrincipal(ctx.store, name, tokenHash(token), ctx.now());
  });
  ctx.log.info({ principal: name }, 'token added');
  return token;
}

/** @throws SwapError `principal_not_found`. */
export function revokeToken(ctx: RpcContext, request: RevokeTokenRequest): void {
  const { name } = parseRequest(nameSchema, request);
  const isFound = ctx.store.tx(() => deletePrincipal(ctx.store, name));
  if (!isFound) throw new SwapError('principal_not_found', `expected the name of a token, found ${name}`);
  ctx.log.info({ principal: name }, 'token revoked');
}
