/**
 * Custom messages and the comings and goings of peers, as LDK's handler sees them. All of it is called inside a turn.
 *
 * The bindings keep a table entry for every trait object for ever and look through all of them for the next one: so no
 * object is made per message. The few there are get filled again.
 */
import * as ldk from 'lightningdevkit';

import type { Pubkey } from '../../core/units.js';
import type { CustomMessage, Links } from '../links.js';
import { bytes, dispose } from './result.js';
import type { Turns } from './turn.js';

export type CustomMessageParts = {
  readonly turns: Turns;
  readonly links: Links;
  /** Unknown types are left to LDK: it ignores odd ones and disconnects for even ones (BOLT 1). */
  readonly isKnown: (type: number) => boolean;
  readonly received: (message: CustomMessage) => void;
  readonly peerChanged: (nodeId: Pubkey, isUp: boolean) => void;
};

/** One message in LDK's form, refilled for the next one. */
type Slot = { readonly message: ldk.Type; readonly content: { type: number; payload: Uint8Array } };

function makeSlot(): Slot {
  const content = { type: 0, payload: new Uint8Array() };
  const message = ldk.Type.new_impl({
    type_id: () => content.type,
    debug_str: () => `custom message ${content.type}`,
    write: () => content.payload,
  });
  return { message, content };
}

/** LDK decodes a message and handles it before it looks at the next, so one slot is enough for all that come in. */
function makeReader({ turns, isKnown }: CustomMessageParts) {
  const incoming = makeSlot();
  const known = ldk.Result_COption_TypeZDecodeErrorZ.constructor_ok(
    ldk.Option_TypeZ.constructor_some(incoming.message),
  );
  const unknown = ldk.Result_COption_TypeZDecodeErrorZ.constructor_ok(ldk.Option_TypeZ.constructor_none());
  const read = (type: number, payload: Uint8Array) =>
    turns.guarded('custom message', () => {
      if (!isKnown(type)) return unknown;
      Object.assign(incoming.content, { type, payload });
      return known;
    });
  return { incoming, read, keep: [known, unknown] };
}

/** Messages on their way out; LDK writes them before it asks again. */
function makeWriter({ turns, links }: CustomMessageParts) {
  const slots: Slot[] = [];
  let pairs: ldk.TwoTuple_PublicKeyTypeZ[] = [];
  const take = () =>
    turns.guarded('custom messages', () => {
      for (const pair of pairs) dispose(pair, 'C2Tuple_PublicKeyTypeZ');
      pairs = links.take().map(({ nodeId, type, payload }, index) => {
        const slot = (slots[index] ??= makeSlot());
        Object.assign(slot.content, { type, payload });
        return ldk.TwoTuple_PublicKeyTypeZ.constructor_new(bytes(nodeId), slot.message);
      });
      return pairs;
    });
  return { take, keep: slots };
}

/** LDK's handler for custom messages; `keep` must live as long as LDK. */
export function makeCustomMessages(parts: CustomMessageParts): {
  readonly handler: ldk.CustomMessageHandler;
  readonly keep: unknown;
} {
  const { turns, links } = parts;
  const reader = makeReader(parts);
  const writer = makeWriter(parts);
  const handled = ldk.Result_NoneLightningErrorZ.constructor_ok();
  const accepted = ldk.Result_NoneNoneZ.constructor_ok();
  const nodeFeatures = ldk.NodeFeatures.constructor_empty();
  const initFeatures = ldk.InitFeatures.constructor_empty();
  const handler = ldk.CustomMessageHandler.new_impl(
    {
      handle_custom_message: (message, sender) =>
        turns.guarded('custom message', () => {
          dispose(message, 'Type');
          const nodeId = links.peer(sender);
          if (nodeId === undefined) throw new Error('a message of a peer that is not connected');
          parts.received({ nodeId, ...reader.incoming.content });
          return handled;
        }),
      get_and_clear_pending_msg: writer.take,
      peer_disconnected: (id) => {
        turns.guarded('peer', () => {
          parts.peerChanged(links.down(id), false);
        });
      },
      peer_connected: (id) =>
        turns.guarded('peer', () => {
          parts.peerChanged(links.up(id), true);
          return accepted;
        }),
      provided_node_features: () => nodeFeatures,
      provided_init_features: () => initFeatures,
    },
    { read: reader.read },
  );
  return { handler, keep: [handler, reader, writer, handled, accepted, nodeFeatures, initFeatures] };
}
