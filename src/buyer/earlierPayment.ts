/** A payment that the first version of the program began: its records do not name the node that may have sent it. */
import { awaitEnd } from './assetSearch.js';
import type { Drive } from './drive.js';
import type { Progress, PurchaseRecord, StoredHtlc } from './record.js';

const UNKNOWN_NODE =
  'the record does not name the node that may have paid, and the one that is connected knows of no payment: nothing is sent; connect the node that paid';

/** The node that knows the payment is the payer from now on. No other one sends anything: S or the refund ends it. */
export async function findPayer(drive: Drive, record: PurchaseRecord, htlc: StoredHtlc): Promise<Progress | undefined> {
  const { lightning } = drive.buyer;
  const known = await lightning?.lookupPayment(htlc.paymentHash);
  if (lightning === undefined || known === undefined) return await awaitEnd(drive, record, htlc, UNKNOWN_NODE);
  return { step: 'paying', htlc, payer: { kind: 'node', nodeId: (await lightning.getInfo()).nodeId } };
}
