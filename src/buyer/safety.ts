/** What a purchase risks when nobody drives it any more. Pure. */
import type { Progress } from './record.js';

/** One sentence for a person who stops a purchase: what is safe, and until when. True for the record as it is stored. */
export function whatIsSafe(progress: Progress): string {
  switch (progress.step) {
    case 'quoted':
    case 'created':
    case 'verified':
      return 'Nothing was paid, and nothing will be while this is stopped: it is safe to leave, or to resume.';
    case 'paying':
      return (
        'The payment may be on its way or done, and a payment that is out cannot be stopped: resume soon, with the same ' +
        `${progress.payer?.kind === 'external' ? 'wallet' : 'Lightning node'}, and long before Liquid height ` +
        `${progress.htlc.refundHeight}, from which on the seller may take the asset back.`
      );
    case 'paid':
      return (
        'The payment is made and the asset is not claimed: resume without delay, before Liquid height ' +
        `${progress.htlc.refundHeight}; from then on the seller may take the asset and keep the money.`
      );
    case 'claiming':
      return (
        'The claim is signed, and it may not be broadcast or confirmed yet: resume without delay, so that it is final ' +
        `before Liquid height ${progress.htlc.refundHeight}.`
      );
    case 'claimed':
      return 'The asset is claimed and final: nothing is left to do.';
    case 'unpaid':
      return 'The purchase has ended: our side paid nothing, and nothing is left to do.';
    case 'lost':
      return 'The payment was made and the seller took the asset back: keep the evidence and ask the seller.';
    default:
      throw new Error(`unknown step ${JSON.stringify(progress satisfies never)}`);
  }
}
