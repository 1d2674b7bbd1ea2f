/** Configuration of swapd: the schema, its defaults, and the checks that look at several keys together. */
import { z } from 'zod';

import { LIQUID_NETWORKS, networkOfGenesis, type LiquidNetworkName } from './core/network.js';
import { PROFILES, requiredRefundDelta, type ProfileName } from './core/timelock.js';
import { assetAmount, assetId, blockHash, MAX_MONEY, type AssetId } from './core/units.js';
import { SwapError } from './errors.js';
import { endpointProblems } from './lightning/backend.js';
import type { ConfiguredOffer } from './rpc/offers.js';

const HEX64 = /^[0-9a-f]{64}$/;
const PORT = /^(\d{1,5})$/;

/** host:port with a port of 0..65535. */
const hostPort = z.string().refine((text) => {
  const port = PORT.exec(text.slice(text.lastIndexOf(':') + 1))?.[1];
  return text.includes(':') && port !== undefined && Number.parseInt(port, 10) <= 65_535;
}, 'host:port');

const isLoopback = (address: string): boolean => /^(127\.\d+\.\d+\.\d+|localhost|\[::1\]):\d+$/.test(address);

/** A positive integer of TOML, which is a bigint above 2^53. */
const positiveUpTo = (limit: bigint, text: string) =>
  z
    .union([z.int(), z.bigint()], 'a positive integer')
    .transform((value) => BigInt(value))
    .pipe(z.bigint().positive('a positive integer').max(limit, `at most ${text}`));
const u64 = positiveUpTo(2n ** 62n, '2^62');
const amount = positiveUpTo(MAX_MONEY, '2100000000000000');

const offerSchema = z.strictObject({
  asset_id: z.string().regex(HEX64, '64 lower-case hex digits'),
  ticker: z.string().min(1, '1..12 characters').max(12, '1..12 characters'),
  precision: z.int().min(0, '0..8').max(8, '0..8'),
  price_msat_numerator: u64,
  price_denominator: u64,
  spread_ppm: z.int().min(0, '0..1000000').max(1_000_000, '0..1000000').default(5_000),
  min_amount: amount,
  max_amount: amount,
  profile: z.enum(['routed', 'near', 'direct', 'regtest'], 'routed, near, direct or regtest').default('routed'),
  min_funding_confs: z.int().positive('at least 1').optional(),
  max_funding_confs: z.int().positive('at least 1').optional(),
});

export const swapdSchema = z.strictObject({
  grpc: z
    .strictObject({
      listen: hostPort.default('127.0.0.1:9835'),
      tls_cert_file: z.string().optional(),
      tls_key_file: z.string().optional(),
      auth: z.enum(['tokens', 'none'], 'tokens or none').default('tokens'),
    })
    .prefault({}),
  admin: z.strictObject({
    listen: z.union([hostPort, z.string().startsWith('unix:')], 'host:port or unix:PATH').default('127.0.0.1:9836'),
    token_file: z.string().min(1, 'a file name'),
  }),
  network: z.strictObject({
    name: z.enum(['liquidv1', 'liquidtestnet', 'regtest'], 'liquidv1, liquidtestnet or regtest').optional(),
    genesis: z.string().regex(HEX64, '64 lower-case hex digits').optional(),
  }),
  electrum: z.strictObject({
    servers: z
      .array(z.string().regex(/^(ssl|tcp):\/\/.+:\d+$/, 'ssl://host:port or tcp://host:port'))
      .min(1, 'at least one server'),
    ca_file: z.string().optional(),
    trust_single_electrum: z.boolean().default(false),
  }),
  lightning: z.strictObject({
    backend: z.enum(['lnnoded', 'lnd'], 'lnnoded or lnd').default('lnnoded'),
    address: hostPort,
    token_file: z.string().optional(),
    macaroon_file: z.string().optional(),
    tls_cert_file: z.string().optional(),
    hold_expiry_delta_blocks: z.int().min(11, '11..1000').max(1000, '11..1000').optional(),
  }),
  wallet: z.strictObject({ mnemonic_file: z.string().min(1, 'a file name') }),
  database: z.strictObject({
    path: z.string().min(1, 'a file name'),
    bundle_dir: z.string().min(1, 'a folder'),
    backup_interval_minutes: z.int().min(0, '0..10080').max(10_080, '0..10080').default(60),
  }),
  limits: z
    .strictObject({
      max_inflight_swaps: z.int().positive('at least 1').default(100),
      max_open_unpaid_per_principal: z.int().positive('at least 1').default(2),
      max_asset_share_per_principal_ppm: z.int().min(1, '1..1000000').max(1_000_000, '1..1000000').default(50_000),
      max_asset_share_ppm: z.int().min(1, '1..1000000').max(1_000_000, '1..1000000').default(300_000),
      create_per_minute: z.int().positive('at least 1').default(30),
      max_streams_per_principal: z.int().positive('at least 1').default(20),
      feerate_ceiling_sat_per_kvb: z.int().min(100, 'at least 100').max(1_000_000, 'at most 1000000').default(2_000),
      fee_reserve_sats_per_open_swap: z.int().min(0, 'at least 0').max(1_000_000, 'at most 1000000').default(400),
    })
    .prefault({}),
  log: z
    .strictObject({ level: z.enum(['debug', 'info', 'warn', 'error'], 'debug, info, warn or error').default('info') })
    .prefault({}),
  offer: z.array(offerSchema).default([]),
});

export type SwapdConfig = z.output<typeof swapdSchema>;

/** What the rest of the program takes from the configuration, branded. */
export type CheckedConfig = {
  readonly network: LiquidNetworkName;
  readonly offers: readonly ConfiguredOffer[];
};

/**
 * Checks what no single key can tell: listeners and their protection, network and profiles, the timelock inequality.
 *
 * @throws SwapError `bad_config` with one line per problem.
 */
export function checkConfig(config: SwapdConfig): CheckedConfig {
  const problems: string[] = [];
  const network = networkOf(config, problems);
  checkListeners(config, problems);
  if (network === 'liquidv1' && config.electrum.servers.length < 2 && !config.electrum.trust_single_electrum) {
    problems.push(
      'electrum.servers: expected two of different operators, found 1 (or set electrum.trust_single_electrum = true)',
    );
  }
  const offers = config.offer.map((offer, i) => checkOffer(offer, { key: `offer.${i}`, network, problems }));
  const seen = new Set<AssetId>();
  offers.forEach((offer, i) => {
    if (seen.has(offer.assetId))
      problems.push(`offer.${i}.asset_id: expected each asset once, found ${offer.assetId} again`);
    seen.add(offer.assetId);
  });
  checkBackends(config, network, problems);
  if (problems.length > 0 || network === undefined) {
    throw new SwapError('bad_config', `configuration refused:\n${problems.map((line) => `  ${line}`).join('\n')}`);
  }
  return { network, offers };
}

function networkOf(config: SwapdConfig, problems: string[]): LiquidNetworkName | undefined {
  const { name, genesis } = config.network;
  const byGenesis = genesis === undefined ? undefined : networkOfGenesis(blockHash(genesis));
  if (genesis !== undefined && byGenesis === undefined)
    problems.push(`network.genesis: expected a known chain, found ${genesis}`);
  if (name !== undefined && byGenesis !== undefined && name !== byGenesis) {
    problems.push(`network: expected name and genesis of one chain, found ${name} and the genesis of ${byGenesis}`);
  }
  if (name === undefined && genesis === undefined)
    problems.push('network.name: expected liquidv1, liquidtestnet or regtest, found nothing');
  return name ?? byGenesis;
}

function checkListeners({ grpc, admin }: SwapdConfig, problems: string[]): void {
  const hasTls = grpc.tls_cert_file !== undefined && grpc.tls_key_file !== undefined;
  if ((grpc.tls_cert_file === undefined) !== (grpc.tls_key_file === undefined)) {
    problems.push('grpc: expected tls_cert_file and tls_key_file together, found one of them');
  }
  if (!isLoopback(grpc.listen) && !hasTls)
    problems.push(`grpc.listen: expected a loopback address without TLS, found ${grpc.listen}`);
  if (!isLoopback(grpc.listen) && grpc.auth === 'none') {
    problems.push(`grpc.auth: expected "tokens" on ${grpc.listen}, found "none" (loopback only)`);
  }
  if (!admin.listen.startsWith('unix:') && !isLoopback(admin.listen)) {
    problems.push(`admin.listen: expected a loopback address or unix:PATH, found ${admin.listen}`);
  }
}

/** Secrets and money never travel in clear off this machine, and two servers are two. */
function checkBackends(config: SwapdConfig, network: LiquidNetworkName | undefined, problems: string[]): void {
  const { electrum, lightning } = config;
  problems.push(
    ...endpointProblems({
      backend: lightning.backend,
      tokenFile: lightning.token_file,
      macaroonFile: lightning.macaroon_file,
      tlsCertFile: lightning.tls_cert_file,
      holdExpiryDelta: lightning.hold_expiry_delta_blocks,
    }),
  );
  if (lightning.backend === 'lnnoded' && !isLoopback(lightning.address) && lightning.tls_cert_file === undefined) {
    problems.push(
      `lightning.address: expected a loopback address without lightning.tls_cert_file, found ${lightning.address}`,
    );
  }
  electrum.servers.forEach((server, i) => {
    if (electrum.servers.indexOf(server) !== i)
      problems.push(`electrum.servers: expected each once, found ${server} again`);
    const isPlain = server.startsWith('tcp://') && !isLoopback(server.slice('tcp://'.length));
    if (network === 'liquidv1' && isPlain)
      problems.push(`electrum.servers: expected ssl:// off this machine, found ${server}`);
  });
}

function checkOffer(
  offer: z.output<typeof offerSchema>,
  where: { readonly key: string; readonly network: LiquidNetworkName | undefined; readonly problems: string[] },
): ConfiguredOffer {
  const { key, network, problems } = where;
  const profile = PROFILES[offer.profile];
  const [least, greatest] = profile.minFundingConfs;
  const minFundingConfs = offer.min_funding_confs ?? least;
  const maxFundingConfs = offer.max_funding_confs ?? greatest;
  if (minFundingConfs < least || maxFundingConfs > greatest || minFundingConfs > maxFundingConfs) {
    problems.push(
      `${key}.min_funding_confs..max_funding_confs: expected a range within ${least}..${greatest}, found ${minFundingConfs}..${maxFundingConfs}`,
    );
  }
  checkProfile(offer.profile, where);
  if (offer.max_amount < offer.min_amount) {
    problems.push(
      `${key}.max_amount: expected at least min_amount ${offer.min_amount.toString()}, found ${offer.max_amount.toString()}`,
    );
  }
  if (network !== undefined && offer.asset_id === LIQUID_NETWORKS[network].policyAsset && offer.precision !== 8) {
    problems.push(`${key}.precision: expected 8 for L-BTC, found ${offer.precision}`);
  }
  return {
    assetId: assetId(offer.asset_id),
    ticker: offer.ticker,
    precision: offer.precision,
    priceMsatNumerator: offer.price_msat_numerator,
    priceDenominator: offer.price_denominator,
    spreadPpm: offer.spread_ppm,
    minAmount: assetAmount(offer.min_amount),
    maxAmount: assetAmount(offer.max_amount),
    profile: offer.profile,
    minFundingConfs,
    maxFundingConfs,
  };
}

/** D >= C_max + p + e + payer_min, and regtest numbers on regtest only. */
function checkProfile(
  name: ProfileName,
  {
    key,
    network,
    problems,
  }: { readonly key: string; readonly network: LiquidNetworkName | undefined; readonly problems: string[] },
): void {
  const needed = requiredRefundDelta(PROFILES[name]);
  const found = PROFILES[name].refundDeltaBlocks;
  if (found < needed)
    problems.push(`${key}.profile: expected a refund delta of at least ${needed} blocks, found ${found}`);
  if (name === 'regtest' && network !== 'regtest')
    problems.push(`${key}.profile: expected routed, near or direct on ${network ?? 'this network'}, found regtest`);
}
