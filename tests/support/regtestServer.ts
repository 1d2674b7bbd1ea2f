/** A Bitcoin regtest chain in this process behind its JSON-RPC and its Esplora API, and a client of it. */
import { openBitcoinChain, type BitcoinChain } from '../../src/sandbox/bitcoin/chain.js';
import { listenEsplora } from '../../src/sandbox/bitcoin/esploraServer.js';
import { listenBitcoinRpc } from '../../src/sandbox/bitcoin/rpcServer.js';
import { connectBitcoind, type ChainSource } from '../../src/lnnode/chain/bitcoind.js';

const LOGIN = { user: 'user', password: 'password' };

export type RegtestServer = {
  readonly chain: BitcoinChain;
  readonly source: ChainSource;
  readonly login: { readonly url: string; readonly user: string; readonly password: string };
  /** Base of the Esplora API. */
  readonly esplora: string;
  close(): Promise<void>;
};

/** Starts both; `close` must be called. */
export async function startRegtestServer(): Promise<RegtestServer> {
  const chain = openBitcoinChain();
  const rpc = await listenBitcoinRpc(chain, { host: '127.0.0.1', port: 0, ...LOGIN });
  const esplora = await listenEsplora(chain, { host: '127.0.0.1', port: 0 });
  const login = { url: `http://127.0.0.1:${rpc.port}`, ...LOGIN };
  const source = connectBitcoind(login);
  return {
    chain,
    source,
    login,
    esplora: `http://127.0.0.1:${esplora.port}`,
    close: async () => {
      source.close();
      await Promise.all([rpc.close(), esplora.close()]);
      chain.close();
    },
  };
}
