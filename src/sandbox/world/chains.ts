/** Both chains of a world with the servers that real programs connect to. */
import { type BitcoinChain, openBitcoinChain } from '../bitcoin/chain.js';
import { listenEsplora } from '../bitcoin/esploraServer.js';
import { listenBitcoinRpc } from '../bitcoin/rpcServer.js';
import { BITCOIN_RPC_USER } from './configs.js';
import { HOST, type Layout, type Ports } from './layout.js';
import { type LiquidSide, openLiquidSide } from './liquid.js';

export type Chains = {
  readonly bitcoin: BitcoinChain;
  readonly liquid: LiquidSide;
  /** Ends the servers, then the chains. */
  close(): Promise<void>;
};

/** Opens the chains of a world and serves them. `onError` hears of bugs that a client triggered. */
export async function openChains(
  layout: Layout,
  ports: Ports,
  rpcPassword: string,
  onError: (error: unknown) => void,
): Promise<Chains> {
  const bitcoin = openBitcoinChain({ dir: layout.chains });
  const rpc = await listenBitcoinRpc(bitcoin, {
    host: HOST,
    port: ports.bitcoin_rpc,
    user: BITCOIN_RPC_USER,
    password: rpcPassword,
    onError,
  });
  const esplora = await listenEsplora(bitcoin, { host: HOST, port: ports.bitcoin_esplora, onError });
  const liquid = await openLiquidSide({ dir: layout.chains, port: ports.electrum });
  return {
    bitcoin,
    liquid,
    close: async () => {
      await Promise.all([rpc.close(), esplora.close(), liquid.close()]);
      bitcoin.close();
    },
  };
}
