/** A person who pays from another wallet: sees the invoice, and types the preimage that the wallet shows. */
import type { ExternalInvoice, ExternalPayer } from '../buyer/externalPay.js';
import { pause } from '../buyer/wait.js';
import { preimage, type Preimage } from '../core/units.js';
import { formatAmount } from './amount.js';
import { openLines, type LineReader } from './input.js';
import { colour, type Output } from './output.js';
import { invoiceQr } from './qr.js';

/** An external payer that holds stdin once the invoice was shown. */
export type OpenPayer = { readonly payer: ExternalPayer; readonly close: () => void };

/** Shows on stderr, reads stdin. What is typed stays in this process's memory. */
export function openExternalPayer(out: Output): OpenPayer {
  let lines: LineReader | undefined;
  return {
    payer: {
      show: (invoice) => {
        out.progress(describeInvoice(invoice, out.isLive ? process.stderr.columns : undefined));
      },
      answer: async (signal, milliseconds) => {
        lines ??= openLines();
        const end = Date.now() + milliseconds;
        const line = await lines.next(signal, milliseconds);
        const answer = line === undefined ? undefined : readAnswer(line, out);
        // Without more input the wait goes on: the preimage may still come from the seller or the chain.
        if (answer === undefined) await pause(Math.max(end - Date.now(), 0), signal);
        return answer;
      },
    },
    close: () => lines?.close(),
  };
}

/** What a line says; anything else is asked for again, and is not repeated, for it may be a mistyped secret. */
function readAnswer(line: string, out: Output): Preimage | 'failed' | undefined {
  const text = line.trim().toLowerCase();
  if (text === 'failed') return 'failed';
  if (/^[0-9a-f]{64}$/.test(text)) return preimage(Buffer.from(text, 'hex'));
  if (text !== '') {
    out.progress(`expected the preimage (64 hex digits) or the word failed, found ${text.length} other characters`);
  }
  return undefined;
}

const minutes = (secs: number): string =>
  secs < 120 ? `${Math.max(secs, 0)} seconds` : `${Math.floor(secs / 60)} minutes`;

/** Everything that the person must know before paying. `columns` undefined: nobody can scan it here. */
export function describeInvoice(invoice: ExternalInvoice, columns: number | undefined, nowMs = Date.now()): string {
  const { bolt11, amountMsat, maxTotalCltvDelta: cap, payUntil } = invoice;
  const qr = columns === undefined ? undefined : invoiceQr(bolt11, columns);
  const until = new Date(payUntil * 1000);
  const left = minutes(payUntil - Math.floor(nowMs / 1000));
  const amount = `${formatAmount(amountMsat, 3).replace(/\.000$/, '')} sat`;
  const bold = (text: string): string => colour('bold', text, process.stderr);
  return [
    '',
    bold(`Pay this invoice: ${amount} and not more (your wallet's routing fee comes on top)`),
    ...(qr === undefined ? [] : ['', qr]),
    '',
    bolt11,
    '',
    `  pay before   ${until.toLocaleTimeString('en-GB')} (${until.toISOString()}, in ${left}); later do not pay it at all`,
    `  CLTV limit   set the wallet's limit of the total CLTV delta (timelock) to ${cap} Bitcoin blocks or less`,
    '',
    colour(
      'yellow',
      `Warning: if your wallet cannot limit the total CLTV, you are protected only against an honest seller. A payment that is
held longer than ${cap} blocks can outlive the time in which you can claim: the seller could then take the asset back AND
your payment. Pay once, from one wallet, which stays online.`,
      process.stderr,
    ),
    '',
    'Then type or paste the preimage (64 hex digits; wallets also call it proof of payment) and press Enter. It is not shown',
    'while you type on a terminal. If your wallet says that the payment failed for good, type: failed',
    'If your wallet shows no preimage, leave this running: it is asked from the seller, and looked for on the chain.',
  ].join('\n');
}
