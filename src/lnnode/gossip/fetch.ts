/** Where gossip snapshots come from. */
import { open } from 'node:fs/promises';

import { makeHttpClient } from '../chain/http.js';
import { MAX_SNAPSHOT_BYTES } from './snapshot.js';

/** Fetches the newest snapshot. */
export type GossipSource = { readonly fetch: () => Promise<Buffer>; readonly close: () => void };

/** A server: `<url>/<time>` answers with what is newer than that time; a full snapshot is for time 0. */
export function gossipFromUrl(url: string): GossipSource {
  const http = makeHttpClient({ url, maxBytes: MAX_SNAPSHOT_BYTES });
  return {
    fetch: async () => {
      const { status, body } = await http.call('GET', '/0');
      if (status !== 200) throw new Error(`gossip: status ${status} from ${url}`);
      return body;
    },
    close: http.close,
  };
}

/** A file that something else keeps fresh. */
export const gossipFromFile = (path: string): GossipSource => ({
  fetch: async () => {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      if (size > MAX_SNAPSHOT_BYTES) throw new Error(`gossip: ${path} has ${size} bytes, too many`);
      return await file.readFile();
    } finally {
      await file.close();
    }
  },
  close: () => undefined,
});
