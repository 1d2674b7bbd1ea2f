/**
 * What became of the HTLCs of an invoice. lnd's invoice only says what was decided; whether the money came, the channels
 * say. Pure. What cannot be known is pending.
 */
import type { ClosedChannel, InvoiceAnswer, OpenChannel, Resolution } from './answers.js';

/** As the port tells it. */
export type HtlcFate = { readonly isPending: boolean; readonly isTimedOutOnChain: boolean };

/** The node's channels, read after the invoices that they are judged with. */
export type Channels = { readonly open: readonly OpenChannel[]; readonly closed: readonly ClosedChannel[] };

/** Whether lnd itself made a transaction; undefined: not known. */
export type OwnTx = (txid: string) => boolean | undefined;

const NOTHING: HtlcFate = { isPending: false, isTimedOutOnChain: false };
const PENDING: HtlcFate = { isPending: true, isTimedOutOnChain: false };

type Named = Pick<OpenChannel, 'chan_id' | 'alias_scids' | 'zero_conf_confirmed_scid'>;

/** An HTLC names its channel by any of its ids. */
const isChannel =
  (id: bigint) =>
  ({ chan_id: own, alias_scids: aliases, zero_conf_confirmed_scid: confirmed }: Named): boolean =>
    own === id || confirmed === id || aliases.includes(id);

/** Whether the channels have to be asked at all. */
export const needsChannels = ({ htlcs }: InvoiceAnswer): boolean =>
  htlcs.length > 0 && htlcs.every(({ state }) => state !== 'ACCEPTED');

/** Whether one of these HTLCs came over a channel that is not open any more. */
export const needsClosed = ({ htlcs }: InvoiceAnswer, open: readonly OpenChannel[]): boolean =>
  htlcs.some(({ chan_id: id }) => !open.some(isChannel(id)));

/**
 * The HTLCs that were decided to be taken. Others that came before them were given back, and it is no loss if one of those
 * timed out on the chain.
 */
const takenHtlcs = ({ htlcs }: InvoiceAnswer): InvoiceAnswer['htlcs'] =>
  htlcs.filter(({ state }) => state === 'SETTLED');

/** Transactions that have to be known for `fateOf`: who spent the outputs of payments that lnd calls claimed. */
export function claimsToCheck(invoice: InvoiceAnswer, closed: readonly ClosedChannel[]): readonly string[] {
  if (invoice.state !== 'SETTLED') return [];
  const endings = takenHtlcs(invoice).flatMap((htlc) => endingsOf(htlc, closed));
  return endings.filter(({ outcome }) => outcome === 'CLAIMED').map(({ sweep_txid: txid }) => txid);
}

/** @param channels undefined only if they need not be asked. */
export function fateOf(invoice: InvoiceAnswer, channels: Channels | undefined, isOwn: OwnTx): HtlcFate {
  const { htlcs, r_hash: hash } = invoice;
  if (htlcs.length === 0 && invoice.state !== 'SETTLED') return NOTHING;
  if (channels === undefined || !needsChannels(invoice)) return PENDING;
  const { open, closed } = channels;
  const isInChannel = open.some((channel) =>
    channel.pending_htlcs.some(({ incoming, hash_lock: lock }) => incoming && lock === hash),
  );
  // A channel that is neither open nor closed is being closed: its HTLCs are resolved when it is gone.
  const isClosing = htlcs.some(({ chan_id: id }) => !open.some(isChannel(id)) && !closed.some(isChannel(id)));
  const isPending = isInChannel || isClosing;
  if (invoice.state !== 'SETTLED') return { isPending, isTimedOutOnChain: false };
  const taken = takenHtlcs(invoice);
  const ends = taken.flatMap((htlc) => endingsOf(htlc, closed)).map((ending) => isTaken(ending, isOwn));
  const isUnclear = taken.length === 0 || ends.includes(undefined);
  return { isPending: isPending || isUnclear, isTimedOutOnChain: ends.includes(false) };
}

/**
 * How incoming HTLCs of this amount ended when their channel was closed. lnd does not say of which hash they were: another
 * one of the same amount to the satoshi looks the same, and is counted.
 */
function endingsOf(
  { chan_id: id, amt_msat: amountMsat }: InvoiceAnswer['htlcs'][number],
  closed: readonly ClosedChannel[],
): readonly Resolution[] {
  const sats = amountMsat / 1000n;
  return closed.filter(isChannel(id)).flatMap((channel) => {
    const incoming = channel.resolutions.filter(({ resolution_type: type }) => type === 'INCOMING_HTLC');
    return incoming
      .filter((ending) => ending.amount_sat === sats || (ending.amount_sat < sats && isLessItsFee(ending, channel)))
      .map((ending) => {
        if (ending.outcome !== 'FIRST_STAGE') return ending;
        return incoming.find(({ outpoint }) => outpoint.txid_str === ending.sweep_txid) ?? ending;
      });
  });
}

/**
 * Of an HTLC on our own commitment transaction that was not taken, lnd notes what its second transaction would have
 * paid: less a fee, which is not told, in a channel without anchors.
 */
function isLessItsFee(
  { outcome, outpoint }: Resolution,
  { closing_tx_hash: closing, resolutions }: ClosedChannel,
): boolean {
  const hasAnchors = resolutions.some(({ resolution_type: type }) => type === 'ANCHOR');
  return !hasAnchors && outpoint.txid_str !== closing && outcome !== 'CLAIMED' && outcome !== 'FIRST_STAGE';
}

/** Undefined: not known yet. lnd calls an HTLC claimed whoever spent it, so lnd has to have made the spender. */
function isTaken({ outcome, sweep_txid: txid }: Resolution, isOwn: OwnTx): boolean | undefined {
  switch (outcome) {
    case 'CLAIMED':
      return isOwn(txid);
    case 'FIRST_STAGE':
      return undefined;
    default:
      return false; // TIMEOUT, ABANDONED, UNCLAIMED, and what is not known here
  }
}
