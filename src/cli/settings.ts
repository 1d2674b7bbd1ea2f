/** Where the command line finds its servers: flags over environment over file; a world file takes the place of flags. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

import { z } from 'zod';

import type { BuyerEndpoints } from '../buyer/connect.js';
import type { ExternalPayer } from '../buyer/externalPay.js';
import type { RpcEndpoint } from '../buyer/rpcClient.js';
import { loadConfig, readSecretFile, type ConfigTree } from '../config.js';
import { assetId, pubkey } from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import { createLogger } from '../log.js';
import type { KnownAsset } from './asset.js';
import { readRegistry } from './registry.js';

const endpoint = {
  address: z
    .string()
    .regex(/^(unix:.+|.+:\d{1,5})$/, 'host:port')
    .optional(),
  token_file: z.string().optional(),
  tls_cert_file: z.string().optional(),
};

/** Configuration of `swap`. */
export const swapSchema = z.strictObject({
  seller: z
    .strictObject({
      ...endpoint,
      node_id: z
        .string()
        .regex(/^0[23][0-9a-f]{64}$/, '66 hex digits, a compressed public key')
        .optional(),
    })
    .prefault({}),
  electrum: z
    .strictObject({
      servers: z.array(z.string().regex(/^(ssl|tcp):\/\/.+:\d+$/, 'ssl://host:port or tcp://host:port')).default([]),
      ca_file: z.string().optional(),
      trust_single_electrum: z.boolean().default(false),
    })
    .prefault({}),
  lightning: z
    .strictObject({
      backend: z.enum(['lnnoded', 'lnd'], 'lnnoded or lnd').default('lnnoded'),
      ...endpoint,
      macaroon_file: z.string().optional(),
    })
    .prefault({}),
  admin: z.strictObject(endpoint).prefault({}),
  network: z
    .strictObject({
      name: z.enum(['liquidv1', 'liquidtestnet', 'regtest'], 'liquidv1, liquidtestnet or regtest').optional(),
    })
    .prefault({}),
  wallet: z.strictObject({ data_dir: z.string().min(1).optional() }).prefault({}),
  assets: z.strictObject({ file: z.string().min(1).optional() }).prefault({}),
});

/** Options that every command takes. */
export const globalFlags = z.object({
  world: z.string().optional(),
  config: z.string().optional(),
  seller: z.string().optional(),
  sellerTokenFile: z.string().optional(),
  sellerTlsCert: z.string().optional(),
  sellerNodeId: z.string().optional(),
  electrum: z.array(z.string()).optional(),
  electrumCaFile: z.string().optional(),
  trustSingleElectrum: z.boolean().optional(),
  lightningBackend: z.string().optional(),
  lightningAddress: z.string().optional(),
  lightningTokenFile: z.string().optional(),
  lightningMacaroonFile: z.string().optional(),
  lightningTlsCert: z.string().optional(),
  admin: z.string().optional(),
  adminTokenFile: z.string().optional(),
  adminTlsCert: z.string().optional(),
  network: z.string().optional(),
  dataDir: z.string().optional(),
  assets: z.string().optional(),
  json: z.boolean().default(false),
  debug: z.boolean().default(false),
});

/** Values of the options that every command takes. */
export type GlobalFlags = z.output<typeof globalFlags>;

/** What a world file tells a buyer. */
const worldSchema = z.object({
  version: z.literal(1),
  assets: z.record(z.string(), z.object({ id: z.string().transform(assetId), precision: z.int().min(0).max(8) })),
  electrum: z.object({ host: z.string(), port: z.int() }),
  swapd: z.object({
    address: z.string(),
    admin: z.string(),
    tls_cert: z.string().nullish(),
    token_file: z.string().nullish(),
    admin_token_file: z.string().nullish(),
  }),
  lnnoded: z.object({
    seller: z.object({ node_id: z.string() }),
    buyer: z.object({ address: z.string(), tls_cert: z.string().nullish(), token_file: z.string().nullish() }),
  }),
});

/** All settings of one run. */
export type Settings = {
  readonly config: z.output<typeof swapSchema>;
  readonly dataDir: string;
  readonly isDebug: boolean;
  /** Assets whose id does not come from the seller: the user's own list, then those of a world file. */
  readonly knownAssets: readonly KnownAsset[];
  /** A world is a toy: its buyer gets a mnemonic by itself. */
  readonly isWorld: boolean;
};

function readWorld(path: string): z.output<typeof worldSchema> {
  try {
    return worldSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    throw new SwapError('bad_config', `--world ${path}: expected a world.json, found ${problemOf(cause)}`, { cause });
  }
}

function problemOf(error: unknown): string {
  if (error instanceof z.ZodError) return z.prettifyError(error).replaceAll('\n', ' ');
  return error instanceof SyntaxError ? 'no JSON' : errorChain(error);
}

function worldTree({ swapd, electrum, lnnoded }: z.output<typeof worldSchema>): ConfigTree {
  const entry = (
    address: string,
    tokenFile: string | null | undefined,
    tls: string | null | undefined,
  ): ConfigTree => ({
    address,
    token_file: tokenFile ?? undefined,
    tls_cert_file: tls ?? undefined,
  });
  return {
    seller: { ...entry(swapd.address, swapd.token_file, swapd.tls_cert), node_id: lnnoded.seller.node_id },
    electrum: { servers: [`tcp://${electrum.host}:${electrum.port}`] },
    lightning: entry(lnnoded.buyer.address, lnnoded.buyer.token_file, lnnoded.buyer.tls_cert),
    admin: entry(swapd.admin, swapd.admin_token_file, swapd.tls_cert),
  };
}

const flagTree = (flags: GlobalFlags): ConfigTree => ({
  seller: {
    address: flags.seller,
    token_file: flags.sellerTokenFile,
    tls_cert_file: flags.sellerTlsCert,
    node_id: flags.sellerNodeId,
  },
  electrum: {
    servers: flags.electrum,
    ca_file: flags.electrumCaFile,
    trust_single_electrum: flags.trustSingleElectrum,
  },
  lightning: {
    backend: flags.lightningBackend,
    address: flags.lightningAddress,
    token_file: flags.lightningTokenFile,
    macaroon_file: flags.lightningMacaroonFile,
    tls_cert_file: flags.lightningTlsCert,
  },
  admin: { address: flags.admin, token_file: flags.adminTokenFile, tls_cert_file: flags.adminTlsCert },
  network: { name: flags.network },
  wallet: { data_dir: flags.dataDir },
  assets: { file: flags.assets },
});

/** Two levels are all there are; what a flag leaves open the world fills in. */
function over(base: ConfigTree, flags: ConfigTree): ConfigTree {
  const sections = Object.entries(flags).map(([name, section]) => {
    const set = Object.entries(Object(section) as ConfigTree).filter(([, value]) => value !== undefined);
    return [name, { ...(Object(base[name]) as ConfigTree), ...Object.fromEntries(set) }];
  });
  return Object.fromEntries(sections) as ConfigTree;
}

/** @throws SwapError `bad_config` with one line per problem. */
export function loadSettings(flags: GlobalFlags, env: NodeJS.ProcessEnv): Settings {
  const world = flags.world === undefined ? undefined : readWorld(flags.world);
  const overrides = over(world === undefined ? {} : worldTree(world), flagTree(flags));
  const config = loadConfig({ schema: swapSchema, envPrefix: 'SWAP', file: flags.config, env, overrides });
  const fallback = flags.world === undefined ? join(homedir(), '.ln-liquid-swap') : join(dirname(flags.world), 'buyer');
  return {
    config,
    dataDir: config.wallet.data_dir ?? fallback,
    isDebug: flags.debug,
    isWorld: world !== undefined,
    knownAssets: [
      ...(config.assets.file === undefined ? [] : readRegistry(config.assets.file)),
      ...Object.entries(world?.assets ?? {}).map(([ticker, { id, precision }]) => ({
        ticker,
        assetId: id,
        precision,
      })),
    ],
  };
}

/** Logs of the libraries underneath; silent unless someone debugs. */
export const loggerOf = (settings: Settings): ReturnType<typeof createLogger> =>
  createLogger('swap', settings.isDebug ? 'debug' : 'silent');

function required(name: 'seller' | 'admin' | 'lightning', section: Settings['config']['admin']): RpcEndpoint {
  const { address, token_file: tokenFile, tls_cert_file: tlsCertFile } = section;
  if (address === undefined) {
    const flag = name === 'lightning' ? '--lightning-address' : `--${name}`;
    throw new SwapError(
      'bad_config',
      `${name}.address: expected host:port, found nothing; give ${flag} or --world FILE`,
    );
  }
  const token = tokenFile === undefined ? undefined : readSecretFile(`${name}.token_file`, tokenFile);
  return { address, token, tlsCertFile };
}

/** The seller's address and token. @throws SwapError `bad_config`. */
export const sellerEndpoint = ({ config }: Settings): RpcEndpoint => required('seller', config.seller);

/** The operator's listener. @throws SwapError `bad_config`. */
export const adminEndpoint = ({ config }: Settings): RpcEndpoint => required('admin', config.admin);

/** The own lnnoded. @throws SwapError `bad_config`, also for another backend. */
export function lightningEndpoint({ config }: Settings): RpcEndpoint {
  const { backend } = config.lightning;
  if (backend !== 'lnnoded') {
    throw new SwapError('bad_config', `lightning.backend: expected lnnoded for this command, found ${backend}`);
  }
  return required('lightning', config.lightning);
}

/**
 * The buyer's own servers.
 *
 * @param fallback used if none are set.
 * @throws SwapError `bad_config` if there are none at all.
 */
export function electrumEndpoints({ config }: Settings, fallback: readonly string[] = []): BuyerEndpoints['electrum'] {
  const { ca_file: caFile, trust_single_electrum: isSingleServerTrusted } = config.electrum;
  const servers = config.electrum.servers.length > 0 ? config.electrum.servers : fallback;
  if (servers.length === 0) {
    throw new SwapError(
      'bad_config',
      'electrum.servers: expected your own Electrum servers, found none; give --electrum ssl://host:port or --world FILE',
    );
  }
  return { servers, caFile, isSingleServerTrusted, network: config.network.name };
}

/** The own Lightning node that pays, or undefined if none is set. */
export function lightningNode({ config }: Settings): BuyerEndpoints['lightning'] {
  const { backend, address, token_file: tokenFile } = config.lightning;
  if (address === undefined) return undefined;
  const { macaroon_file: macaroonFile, tls_cert_file: tlsCertFile } = config.lightning;
  return { backend, address, tokenFile, macaroonFile, tlsCertFile };
}

/** Everything a purchase connects to; a person with another wallet pays if one is given. @throws SwapError `bad_config`. */
export function buyerEndpoints(settings: Settings, external?: ExternalPayer): BuyerEndpoints {
  const { config, dataDir } = settings;
  const { node_id: nodeId } = config.seller;
  return {
    dir: dataDir,
    seller: { ...sellerEndpoint(settings), nodeId: nodeId === undefined ? undefined : pubkey(nodeId) },
    electrum: electrumEndpoints(settings),
    lightning: lightningNode(settings),
    external,
    log: loggerOf(settings),
  };
}
