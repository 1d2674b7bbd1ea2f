/** The operator's service: status and pause here, the rest in files beside. */
import { z } from 'zod';

import { reversedBytes } from '../core/units.js';
import { backupTo } from '../engine/backup.js';
import { fenceReason } from '../engine/fence.js';
import type { AdminServiceImplementation, GetStatusResponse } from '../gen/ln_liquid_swap/v1/admin.js';
import { deletePause, findPause, savePause } from '../store/meta.js';
import { openSwapIds } from '../store/swaps.js';
import { addToken, principals, revokeToken } from './adminBuyers.js';
import { balances, setOffer, splitCoins, withdrawAsset } from './adminStock.js';
import { drainSwaps, showSwap, swapList } from './adminSwaps.js';
import type { RpcContext } from './context.js';
import { parseRequest, reasonField } from './parse.js';
import { soon } from './soon.js';

const pauseSchema = z.object({ reason: reasonField });
const backupSchema = z.object({ path: z.string().min(1, 'expected a file').max(4096, 'expected a file') });

function status(ctx: RpcContext): GetStatusResponse {
  const { health } = ctx;
  const modes: [mode: string, reason: string][] = [];
  const pause = findPause(ctx.store);
  if (pause !== undefined) modes.push(['PAUSED', pause]);
  if (health.degradedReason !== undefined) modes.push(['DEGRADED', health.degradedReason]);
  if (ctx.store.isReadOnly) modes.push(['READ_ONLY', 'the database refused a commit; restart after the disk is fixed']);
  const fence = fenceReason(ctx);
  if (fence !== undefined) modes.push(['FENCED', fence]);
  if (health.lightningProblem !== undefined) modes.push(['LIGHTNING', health.lightningProblem]);
  return {
    version: ctx.version,
    network: ctx.network,
    genesisHash: reversedBytes(ctx.genesis),
    liquidHeight: health.tip?.height ?? 0,
    modes: modes.map(([mode]) => mode),
    modeReasons: modes.map(([, reason]) => reason),
    isLightningReady: health.node?.isSynced === true && health.lightningProblem === undefined,
    nodeId: Buffer.from(health.node?.nodeId ?? '', 'hex'),
    inboundCapacityMsat: 0n,
    openSwaps: openSwapIds(ctx.store).length,
    startedAtUnixSecs: BigInt(ctx.startedAt),
    trustsSingleElectrum: ctx.trustsSingleElectrum,
    alarms: health.alarms,
  };
}

function setPause(ctx: RpcContext, reason: string | undefined): void {
  ctx.store.tx(() => {
    if (reason === undefined) deletePause(ctx.store);
    else savePause(ctx.store, reason === '' ? 'paused by the operator' : reason);
  });
}

/** 0 if the node does not answer soon: the operator looks at the status just when it is silent. */
async function inboundCapacity({ lightning }: RpcContext): Promise<bigint> {
  return (await soon(lightning.inboundCapacityMsat())) ?? 0n;
}

export function adminService(ctx: RpcContext): AdminServiceImplementation {
  return {
    getStatus: async () => ({
      ...status(ctx),
      inboundCapacityMsat: await inboundCapacity(ctx),
    }),
    getBalance: async () => ({ balances: await balances(ctx) }),
    newAddress: () => promised(() => ({ address: ctx.wallet.receiveAddress().address })),
    withdraw: (request) => withdrawAsset(ctx, request),
    splitCoins: (request) => splitCoins(ctx, request),
    listSwaps: async (request) => ({ swaps: await swapList(ctx, request) }),
    showSwap: (request) => showSwap(ctx, request),
    drain: (request) => promised(() => drainSwaps(ctx, request)),
    pause: (request) =>
      promised(() => {
        setPause(ctx, parseRequest(pauseSchema, request).reason);
        return {};
      }),
    resume: () =>
      promised(() => {
        setPause(ctx, undefined);
        return {};
      }),
    setOffer: (request) => promised(() => setOffer(ctx, request)),
    listPrincipals: () => promised(() => ({ principals: principals(ctx) })),
    addToken: (request) => promised(() => ({ token: addToken(ctx, request) })),
    revokeToken: (request) =>
      promised(() => {
        revokeToken(ctx, request);
        return {};
      }),
    backup: (request) =>
      promised(() => {
        backupTo(ctx.store, parseRequest(backupSchema, request).path);
        return {};
      }),
  };
}

/** A synchronous handler; what it throws becomes a rejection. */
async function promised<T>(work: () => T): Promise<T> {
  return Promise.resolve().then(work);
}
