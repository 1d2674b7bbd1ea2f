/** Facts that LDK's channels and balances hold in several shapes. */
import * as ldk from 'lightningdevkit';

import { displayHex, txid, type Txid } from '../../core/units.js';
import { flag, isAbsent, some } from './result.js';

/** True for a channel whose closing fees are paid from the wallet when it closes. */
export const hasAnchors = (details: ldk.ChannelDetails): boolean => {
  const type = details.get_channel_type();
  return !isAbsent(type) && flag(type.supports_anchors_zero_fee_htlc_tx());
};

/** Id of the funding transaction; undefined before it exists. */
export const fundingTxidOf = (details: ldk.ChannelDetails): Txid | undefined => {
  const funding = details.get_funding_txo();
  return isAbsent(funding) ? undefined : txid(displayHex(funding.get_txid()));
};

/** True once one of the sides said that it wants to close. */
export const isShuttingDown = (details: ldk.ChannelDetails): boolean => {
  const state = some(details.get_channel_shutdown_state(), ldk.Option_ChannelShutdownStateZ_Some);
  return state !== undefined && state !== ldk.ChannelShutdownState.LDKChannelShutdownState_NotShuttingDown;
};

/** True for a payment on a closed channel that is not decided. */
export const isHtlc = (balance: ldk.Balance): boolean =>
  balance instanceof ldk.Balance_ContentiousClaimable ||
  balance instanceof ldk.Balance_MaybeTimeoutClaimableHTLC ||
  balance instanceof ldk.Balance_MaybePreimageClaimableHTLC;

/** Satoshi of any kind of balance, also of those that may go to the peer. Every kind has this field. */
export const heldSats = (balance: ldk.Balance): bigint =>
  (balance as ldk.Balance & { readonly amount_satoshis: bigint }).amount_satoshis;

/** Satoshi of an output of a closed channel. */
export function valueOf(output: ldk.SpendableOutputDescriptor): bigint {
  if (output instanceof ldk.SpendableOutputDescriptor_StaticOutput) return output.output.value;
  if (output instanceof ldk.SpendableOutputDescriptor_DelayedPaymentOutput)
    return output.delayed_payment_output.get_output().value;
  if (output instanceof ldk.SpendableOutputDescriptor_StaticPaymentOutput)
    return output.static_payment_output.get_output().value;
  throw new Error('unknown kind of spendable output');
}
