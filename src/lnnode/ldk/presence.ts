/** Which peers are connected, as LDK tells its message handlers. */
import * as ldk from 'lightningdevkit';

import { hex } from '../../core/units.js';

export type Presence = {
  readonly handler: ldk.CustomMessageHandler;
  readonly keep: readonly unknown[];
  readonly connected: ReadonlySet<string>;
};

/** A handler for custom messages that knows none and only keeps the list of peers. */
export function makePresence(changed: (nodeId: string, isConnected: boolean) => void): Presence {
  const connected = new Set<string>();
  const ignored = ldk.Result_NoneLightningErrorZ.constructor_ok();
  const accepted = ldk.Result_NoneNoneZ.constructor_ok();
  const unknown = ldk.Result_COption_TypeZDecodeErrorZ.constructor_ok(ldk.Option_TypeZ.constructor_none());
  const handler = ldk.CustomMessageHandler.new_impl(
    {
      handle_custom_message: () => ignored,
      get_and_clear_pending_msg: () => [],
      peer_disconnected: (id) => {
        connected.delete(hex(id));
        changed(hex(id), false);
      },
      peer_connected: (id) => {
        connected.add(hex(id));
        changed(hex(id), true);
        return accepted;
      },
      provided_node_features: () => ldk.NodeFeatures.constructor_empty(),
      provided_init_features: () => ldk.InitFeatures.constructor_empty(),
    },
    { read: () => unknown },
  );
  return { handler, keep: [handler, ignored, accepted, unknown], connected };
}
