/** Scripts whose changes are wanted, with the last status that a server gave for each, and the history of that status. */
import { hex } from '../core/units.js';
import type { HistoryEntry } from './chain.js';
import { historyDigest, readStatus, scripthash } from './electrumAnswers.js';
import type { ElectrumConnection } from './electrumConnection.js';

type Subscription = {
  readonly scriptPubKeyHex: string;
  /** Digest of the history, null for an empty one, undefined while no server has told. */
  status: string | null | undefined;
  /** Where the server said that it tells of changes; another connection's word is worth nothing. */
  subscribedOn: ElectrumConnection | undefined;
  known: { readonly entries: readonly HistoryEntry[]; readonly at: number } | undefined;
};

/** A history is asked for again after this long, in case a server lost a notification. */
const MAX_AGE_MS = 600_000;

/** Subscriptions sent at once after a reconnect. */
const BATCH = 50;

const askStatus = async (connection: ElectrumConnection, id: string): Promise<string | null> =>
  await connection.ask('blockchain.scripthash.subscribe', [id], readStatus);

export class ElectrumSubscriptions {
  readonly #byScripthash = new Map<string, Subscription>();
  readonly #onScript: (scriptPubKeyHex: string) => void;

  constructor(onScript: (scriptPubKeyHex: string) => void) {
    this.#onScript = onScript;
  }

  /**
   * Remembers the script and, if it is new and there is a connection, subscribes to it.
   *
   * @throws ElectrumError; the script is remembered all the same.
   */
  async add(scriptPubKey: Uint8Array, connection: ElectrumConnection | undefined): Promise<void> {
    const id = scripthash(scriptPubKey);
    if (this.#byScripthash.has(id)) return;
    const subscription: Subscription = {
      scriptPubKeyHex: hex(scriptPubKey),
      status: undefined,
      subscribedOn: undefined,
      known: undefined,
    };
    this.#byScripthash.set(id, subscription);
    if (connection === undefined) return;
    const status = await askStatus(connection, id);
    // Whoever subscribes looks at the history himself: the first status is no change.
    if (subscription.status === undefined) subscription.status = status;
    subscription.subscribedOn = connection;
  }

  /** Servers for Liquid cannot unsubscribe: later notifications are just ignored. */
  delete(scriptPubKey: Uint8Array): void {
    this.#byScripthash.delete(scripthash(scriptPubKey));
  }

  /** The history as asked for before, if this connection would have told of a change. */
  remembered(id: string, connection: ElectrumConnection): readonly HistoryEntry[] | undefined {
    const subscription = this.#byScripthash.get(id);
    if (subscription?.known === undefined || subscription.subscribedOn !== connection) return undefined;
    return performance.now() - subscription.known.at < MAX_AGE_MS ? subscription.known.entries : undefined;
  }

  /**
   * Keeps an answer of this connection, but only if it is what the last status stands for: an answer that was overtaken
   * by a notification, or that the server made up, is not kept.
   */
  remember(id: string, connection: ElectrumConnection, entries: readonly HistoryEntry[]): void {
    const subscription = this.#byScripthash.get(id);
    if (subscription?.subscribedOn !== connection) return;
    const isCurrent = historyDigest(entries) === subscription.status;
    subscription.known = isCurrent ? { entries, at: performance.now() } : undefined;
  }

  /** Takes a notification; tells the owner if the status is another one. */
  update(id: string, status: string | null): void {
    const subscription = this.#byScripthash.get(id);
    if (subscription === undefined || subscription.status === status) return;
    subscription.status = status;
    subscription.known = undefined;
    this.#onScript(subscription.scriptPubKeyHex);
  }

  /** Subscribes to everything on a fresh connection and tells what changed in between. `onError` is per script. */
  async renew(connection: ElectrumConnection, onError: (error: unknown) => void): Promise<void> {
    const all = [...this.#byScripthash];
    for (let start = 0; start < all.length; start += BATCH) {
      await Promise.all(
        all.slice(start, start + BATCH).map(async ([id, subscription]) => {
          const before = subscription.status;
          subscription.known = undefined;
          try {
            const status = await askStatus(connection, id);
            // A notification that came right behind the answer was handled first and is newer.
            if (subscription.status === before) this.update(id, status);
            subscription.subscribedOn = connection;
          } catch (error) {
            onError(error);
          }
        }),
      );
    }
  }
}
