/** Sends an asset out of the wallet. */
import { decodeAddress } from '../core/network.js';
import type { AssetAmount, AssetId } from '../core/units.js';
import type { EngineContext } from './context.js';
import { sendOnce, type SentSpend } from './sendOnce.js';

export type Withdrawal = {
  /** UUID. */
  readonly requestId: string;
  readonly address: string;
  readonly assetId: AssetId;
  readonly assetAmount: AssetAmount;
};

/** @throws SwapError `invalid_argument` for a wrong address, and as {@link sendOnce}. */
export async function withdraw(ctx: EngineContext, request: Withdrawal): Promise<SentSpend> {
  const { requestId, address, assetId, assetAmount } = request;
  const payTo = decodeAddress(address, ctx.network);
  return sendOnce(ctx, {
    kind: 'withdraw',
    requestId,
    body: `${address}\n${assetId}\n${assetAmount.toString()}\n`,
    plan: () =>
      Promise.resolve({
        payments: [{ ...payTo, assetId, value: assetAmount }],
        takes: { assetId, amount: assetAmount },
      }),
  });
}
