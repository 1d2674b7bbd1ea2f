/** Segwit addresses of Liquid regtest: ert1..., and el1... with a blinding key. */
import { fromConfidential, toOutputScript } from 'liquidjs-lib/src/address.js';
import { regtest } from 'liquidjs-lib/src/networks.js';

import { hex, pubkey, type Pubkey } from '../../core/units.js';
import { SwapError } from '../../errors.js';

/** Where a payment goes; blinded if there is a key to blind it for. */
export type Destination = { readonly scriptPubKey: Buffer; readonly blindingPubkey?: Pubkey };

function decode(text: string): Destination {
  const address = text.toLowerCase();
  if (address.startsWith(`${regtest.bech32}1`)) return { scriptPubKey: toOutputScript(address, regtest) };
  if (!address.startsWith(`${regtest.blech32}1`)) throw new Error('another network or kind');
  const { scriptPubKey, blindingKey } = fromConfidential(address);
  if (scriptPubKey === undefined) throw new Error('no script');
  return { scriptPubKey, blindingPubkey: pubkey(hex(blindingKey)) };
}

/**
 * Reads a segwit address of Liquid regtest.
 *
 * @throws SwapError `invalid_argument` if it is malformed or of another kind or network.
 */
export function decodeAddress(text: string): Destination {
  try {
    return decode(text);
  } catch (error) {
    const message = `address: expected ert1... or el1... of Liquid regtest, found "${text}"`;
    throw new SwapError('invalid_argument', message, { cause: error });
  }
}
