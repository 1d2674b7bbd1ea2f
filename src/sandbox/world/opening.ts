/** When a seller that has just started sells: it has to see the chain as it is, its node, and a channel that can receive. */
import { connectAdmin, type AdminClient, type Endpoint } from './grpc.js';
import { waitFor } from './wait.js';

const DEADLINE_MS = 60_000;
/** By the operator's wish, over restarts too. */
const PAUSED = 'PAUSED';

/**
 * Waits until the seller takes orders.
 *
 * @returns why it does not after a minute; people may look then.
 */
export async function awaitOpening(admin: Endpoint, tipHeight: () => number): Promise<string | undefined> {
  const { client, close } = connectAdmin(admin);
  let problem: string | undefined = 'it does not answer';
  try {
    await waitFor('a seller that takes orders', DEADLINE_MS, async () => {
      problem = await problemOf(client, tipHeight());
      return problem === undefined ? true : undefined;
    });
    return undefined;
  } catch {
    return problem;
  } finally {
    close();
  }
}

async function problemOf(client: AdminClient, tip: number): Promise<string | undefined> {
  const { modes, modeReasons, liquidHeight, isLightningReady, inboundCapacityMsat } = await client.getStatus({});
  const [reason] = modeReasons.filter((_, i) => modes[i] !== PAUSED);
  if (reason !== undefined) return reason;
  if (liquidHeight < tip) return `it is at Liquid block ${liquidHeight}, the chain at ${tip}`;
  if (!isLightningReady) return 'its Lightning node is not ready';
  return inboundCapacityMsat === 0n ? 'no channel of its Lightning node can receive anything' : undefined;
}
