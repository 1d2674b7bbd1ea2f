import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { loadConfig, type ConfigTree } from '../../src/config.js';
import { LIQUID_NETWORKS } from '../../src/core/network.js';
import { PROFILES, requiredRefundDelta } from '../../src/core/timelock.js';
import { checkConfig, swapdSchema, type CheckedConfig, type SwapdConfig } from '../../src/swapdConfig.js';
import { GOLD, LBTC } from '../support/swapFixtures.js';
import { tempDir } from '../support/tempStore.js';
import { refusal } from './core/zkp.js';

const dir = tempDir();
afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

const OFFER = {
  asset_id: GOLD,
  ticker: 'GOLD',
  precision: 2,
  price_msat_numerator: 1_000,
  price_denominator: 1,
  min_amount: 1,
  max_amount: 1_000,
  profile: 'regtest',
};
const LEAST: ConfigTree = {
  admin: { token_file: 'admin.token' },
  network: { name: 'regtest' },
  electrum: { servers: ['tcp://127.0.0.1:50001'] },
  lightning: { address: '127.0.0.1:9000' },
  wallet: { mnemonic_file: 'mnemonic' },
  database: { path: 'swapd.db', bundle_dir: 'bundles' },
  offer: [OFFER],
};
const MAINNET = {
  network: { name: 'liquidv1' },
  electrum: { servers: ['ssl://a.example:50002', 'ssl://b.example:50002'] },
  offer: [{ ...OFFER, profile: 'routed' }],
};

const read = (over: ConfigTree = {}): SwapdConfig =>
  loadConfig({ schema: swapdSchema, envPrefix: 'SWAPD', env: {}, overrides: { ...LEAST, ...over } });
const check = (over: ConfigTree = {}): CheckedConfig => checkConfig(read(over));
function problemsOf(over: ConfigTree): string[] {
  try {
    check(over);
  } catch (error) {
    return error instanceof Error
      ? error.message
          .split('\n')
          .slice(1)
          .map((line) => line.trim())
      : [];
  }
  return [];
}

const LND = { backend: 'lnd', address: 'localhost:10009', macaroon_file: 'swapd.macaroon', tls_cert_file: 'tls.cert' };

describe("swapd's configuration", () => {
  it('takes lnd with its macaroon and certificate, and no half of it', () => {
    expect(problemsOf({ lightning: LND })).toEqual([]);
    expect(problemsOf({ lightning: { ...LND, hold_expiry_delta_blocks: 20 } })).toEqual([]);
    expect(problemsOf({ lightning: { backend: 'lnd', address: 'localhost:10009', token_file: 'token' } })).toEqual([
      'lightning.macaroon_file: expected a file with backend "lnd", found nothing',
      'lightning.tls_cert_file: expected a file with backend "lnd", found nothing',
      'lightning.token_file: expected none with backend "lnd", found one',
    ]);
  });
  it('needs little and has safe defaults', () => {
    expect(read()).toMatchObject({
      grpc: { listen: '127.0.0.1:9835', auth: 'tokens' },
      admin: { listen: '127.0.0.1:9836' },
      electrum: { trust_single_electrum: false },
      lightning: { backend: 'lnnoded' },
      limits: {
        max_inflight_swaps: 100,
        max_open_unpaid_per_principal: 2,
        max_asset_share_per_principal_ppm: 50_000,
        max_asset_share_ppm: 300_000,
        create_per_minute: 30,
        max_streams_per_principal: 20,
        feerate_ceiling_sat_per_kvb: 2_000,
        fee_reserve_sats_per_open_swap: 400,
      },
      log: { level: 'info' },
    });
    expect(check()).toEqual({
      network: 'regtest',
      offers: [
        {
          assetId: GOLD,
          ticker: 'GOLD',
          precision: 2,
          priceMsatNumerator: 1_000n,
          priceDenominator: 1n,
          spreadPpm: 5_000,
          minAmount: 1n,
          maxAmount: 1_000n,
          profile: 'regtest',
          minFundingConfs: 1,
          maxFundingConfs: 5,
        },
      ],
    });
  });
  it('is read from a file, and every key can come from the environment', () => {
    const file = join(dir, 'swapd.toml');
    const toml = `
      [admin]
      token_file = "admin.token"
      [network]
      name = "regtest"
      [electrum]
      servers = ["tcp://127.0.0.1:50001"]
      [lightning]
      address = "127.0.0.1:9000"
      [wallet]
      mnemonic_file = "mnemonic"
      [database]
      path = "swapd.db"
      bundle_dir = "bundles"
      [[offer]]
      asset_id = "${GOLD}"
      ticker = "GOLD"
      precision = 2
      price_msat_numerator = 9007199254740993
      price_denominator = 1
      min_amount = 1
      max_amount = 2100000000000000
      profile = "regtest"`;
    writeFileSync(file, toml);
    const env = { SWAPD_GRPC__AUTH: 'none', SWAPD_LIMITS__CREATE_PER_MINUTE: '5', SWAPD_ADMIN__LISTEN: 'unix:/run/a' };
    const config = loadConfig({ schema: swapdSchema, envPrefix: 'SWAPD', env, file });
    expect(config).toMatchObject({
      grpc: { auth: 'none' },
      limits: { create_per_minute: 5 },
      admin: { listen: 'unix:/run/a' },
      offer: [{ price_msat_numerator: 9_007_199_254_740_993n, max_amount: 2_100_000_000_000_000n }],
    });
  });
  it('lists every missing key at once', () => {
    const load = (): unknown => loadConfig({ schema: swapdSchema, envPrefix: 'SWAPD', env: {} });
    for (const key of ['admin', 'network', 'electrum', 'lightning', 'wallet', 'database']) {
      expect(load).toThrow(refusal(`${key}: expected a section, found nothing`, 'bad_config'));
    }
  });
  it.each<[string, ConfigTree, string]>([
    ['an unknown section', { colour: {} }, 'colour: expected a known key, found an unknown one'],
    ['an unknown key', { wallet: { mnemonic_file: 'm', mnemonic: 'words' } }, 'wallet.mnemonic: expected a known key'],
    [
      'a port that is none',
      { grpc: { listen: '127.0.0.1:70000' } },
      'grpc.listen: expected host:port, found "127.0.0.1:70000"',
    ],
    ['a listener without a port', { grpc: { listen: 'localhost' } }, 'grpc.listen: expected host:port'],
    [
      'another way to tell callers apart',
      { grpc: { auth: 'password' } },
      'grpc.auth: expected tokens or none, found "password"',
    ],
    [
      'an admin listener that is neither',
      { admin: { token_file: 't', listen: '/run/a' } },
      'admin.listen: expected host:port or unix:PATH',
    ],
    ['no server', { electrum: { servers: [] } }, 'electrum.servers: expected at least one server'],
    [
      'a server without a protocol',
      { electrum: { servers: ['a.example:50002'] } },
      'electrum.servers.0: expected ssl://host:port or tcp://host:port',
    ],
    [
      'another backend',
      { lightning: { backend: 'cln', address: 'a:1' } },
      'lightning.backend: expected lnnoded or lnd, found "cln"',
    ],
    ['another network', { network: { name: 'bitcoin' } }, 'network.name: expected liquidv1, liquidtestnet or regtest'],
    [
      'an asset in upper case',
      { offer: [{ ...OFFER, asset_id: 'AA'.repeat(32) }] },
      'offer.0.asset_id: expected 64 lower-case hex digits',
    ],
    ['a precision beyond 8', { offer: [{ ...OFFER, precision: 9 }] }, 'offer.0.precision: expected 0..8, found 9'],
    [
      'a spread below 0',
      { offer: [{ ...OFFER, spread_ppm: -1 }] },
      'offer.0.spread_ppm: expected 0..1000000, found -1',
    ],
    [
      'an amount of 0',
      { offer: [{ ...OFFER, min_amount: 0 }] },
      'offer.0.min_amount: expected a positive integer, found',
    ],
    [
      'a price of 0',
      { offer: [{ ...OFFER, price_denominator: 0 }] },
      'offer.0.price_denominator: expected a positive integer',
    ],
    [
      'more of an asset than there can be',
      { offer: [{ ...OFFER, max_amount: 2_100_000_000_000_001n }] },
      'offer.0.max_amount: expected at most 2100000000000000',
    ],
    ['an amount that is no integer', { offer: [{ ...OFFER, max_amount: 'many' }] }, 'expected a positive integer'],
    ['a fee ceiling beyond reason', { limits: { feerate_ceiling_sat_per_kvb: 2e9 } }, 'expected at most 1000000'],
    [
      'a price beyond 64 bits',
      { offer: [{ ...OFFER, price_msat_numerator: 2n ** 63n }] },
      'offer.0.price_msat_numerator: expected at most 2^62',
    ],
    [
      'a share of nothing',
      { limits: { max_asset_share_ppm: 0 } },
      'limits.max_asset_share_ppm: expected 1..1000000, found 0',
    ],
    [
      'no stream at all',
      { limits: { max_streams_per_principal: 0 } },
      'limits.max_streams_per_principal: expected at least 1, found 0',
    ],
    [
      'a reserve below nothing',
      { limits: { fee_reserve_sats_per_open_swap: -1 } },
      'limits.fee_reserve_sats_per_open_swap: expected at least 0, found -1',
    ],
    [
      'a reserve beyond reason',
      { limits: { fee_reserve_sats_per_open_swap: 1_000_001 } },
      'limits.fee_reserve_sats_per_open_swap: expected at most 1000000',
    ],
    [
      'a ceiling below the relay fee',
      { limits: { feerate_ceiling_sat_per_kvb: 99 } },
      'limits.feerate_ceiling_sat_per_kvb: expected at least 100',
    ],
  ])('refuses %s', (_name, over, problem) => {
    expect(() => read(over)).toThrow(refusal(problem, 'bad_config'));
  });
  it('lists every wrong limit at once', () => {
    const limits = {
      max_inflight_swaps: 0,
      max_asset_share_ppm: 2e6,
      create_per_minute: -1,
      max_streams_per_principal: 0.5,
    };
    const load = (): unknown => read({ limits });
    for (const key of Object.keys(limits)) expect(load).toThrow(refusal(`limits.${key}: expected`, 'bad_config'));
  });
});

describe('keys that belong together', () => {
  it.each<[string, ConfigTree, string[]]>([
    ['loopback needs neither TLS nor tokens', { grpc: { listen: '127.0.0.1:0', auth: 'none' } }, []],
    ['so does IPv6 loopback', { grpc: { listen: '[::1]:1', auth: 'none' } }, []],
    ['so does localhost', { grpc: { listen: 'localhost:1', auth: 'none' } }, []],
    [
      'the world needs TLS',
      { grpc: { listen: '0.0.0.0:9735' } },
      ['grpc.listen: expected a loopback address without TLS, found 0.0.0.0:9735'],
    ],
    ['the world with TLS', { grpc: { listen: '0.0.0.0:1', tls_cert_file: 'c', tls_key_file: 'k' } }, []],
    [
      'the world needs tokens',
      { grpc: { listen: '0.0.0.0:1', tls_cert_file: 'c', tls_key_file: 'k', auth: 'none' } },
      ['grpc.auth: expected "tokens" on 0.0.0.0:1, found "none" (loopback only)'],
    ],
    [
      'a name that looks like loopback',
      { grpc: { listen: '127.0.0.1.example.com:1' } },
      ['grpc.listen: expected a loopback address without TLS, found 127.0.0.1.example.com:1'],
    ],
    [
      'a certificate needs its key',
      { grpc: { tls_cert_file: 'c' } },
      ['grpc: expected tls_cert_file and tls_key_file together, found one of them'],
    ],
    [
      'the operator is on loopback',
      { admin: { token_file: 't', listen: '0.0.0.0:1' } },
      ['admin.listen: expected a loopback address or unix:PATH, found 0.0.0.0:1'],
    ],
    ['or on a socket', { admin: { token_file: 't', listen: 'unix:/run/swapd.sock' } }, []],
    [
      'no network',
      { network: {}, offer: [] },
      ['network.name: expected liquidv1, liquidtestnet or regtest, found nothing'],
    ],
    [
      'an unknown chain',
      { network: { genesis: 'ab'.repeat(32) }, offer: [] },
      [`network.genesis: expected a known chain, found ${'ab'.repeat(32)}`],
    ],
    [
      'name and genesis of two chains',
      { network: { name: 'regtest', genesis: LIQUID_NETWORKS.liquidv1.genesis } },
      ['network: expected name and genesis of one chain, found regtest and the genesis of liquidv1'],
    ],
    ['mainnet with two servers', MAINNET, []],
    [
      'mainnet with one',
      { ...MAINNET, electrum: { servers: ['ssl://a:1'] } },
      ['electrum.servers: expected two of different operators, found 1 (or set electrum.trust_single_electrum = true)'],
    ],
    [
      'mainnet with one that is trusted',
      { ...MAINNET, electrum: { servers: ['ssl://a:1'], trust_single_electrum: true } },
      [],
    ],
    [
      'one server twice, and one in clear',
      { ...MAINNET, electrum: { servers: ['ssl://a:1', 'ssl://a:1', 'tcp://b:2'] } },
      [
        'electrum.servers: expected each once, found ssl://a:1 again',
        'electrum.servers: expected ssl:// off this machine, found tcp://b:2',
      ],
    ],
    [
      'a node elsewhere without TLS',
      { ...MAINNET, lightning: { address: '192.0.2.1:9000' } },
      ['lightning.address: expected a loopback address without lightning.tls_cert_file, found 192.0.2.1:9000'],
    ],
    ['a node elsewhere with TLS', { ...MAINNET, lightning: { address: '192.0.2.1:9000', tls_cert_file: 'n.crt' } }, []],
    ['testnet with one', { ...MAINNET, network: { name: 'liquidtestnet' }, electrum: { servers: ['ssl://a:1'] } }, []],
    [
      'regtest times on mainnet',
      { ...MAINNET, offer: [OFFER] },
      ['offer.0.profile: expected routed, near or direct on liquidv1, found regtest'],
    ],
    ['an asset twice', { offer: [OFFER, OFFER] }, [`offer.1.asset_id: expected each asset once, found ${GOLD} again`]],
    [
      'a greatest amount below the least',
      { offer: [{ ...OFFER, min_amount: 7, max_amount: 6 }] },
      ['offer.0.max_amount: expected at least min_amount 7, found 6'],
    ],
    [
      'L-BTC with another precision',
      { offer: [{ ...OFFER, asset_id: LBTC }] },
      ['offer.0.precision: expected 8 for L-BTC, found 2'],
    ],
    ['L-BTC', { offer: [{ ...OFFER, asset_id: LBTC, precision: 8 }] }, []],
    ['nothing for sale', { offer: [] }, []],
  ])('%s', (_name, over, problems) => {
    expect(problemsOf(over)).toEqual(problems);
  });
  it.each<[number | undefined, number | undefined, boolean]>([
    [undefined, undefined, true],
    [2, 5, true],
    [3, 3, true],
    [1, 5, false],
    [2, 6, false],
    [4, 3, false],
    [undefined, 1, false],
  ])('funding depths %s..%s on mainnet: %s', (min, max, isGood) => {
    const depths = {
      ...(min === undefined ? {} : { min_funding_confs: min }),
      ...(max === undefined ? {} : { max_funding_confs: max }),
    };
    const problems = problemsOf({ ...MAINNET, offer: [{ ...OFFER, profile: 'routed', ...depths }] });
    expect(problems).toEqual(
      isGood
        ? []
        : [expect.stringContaining('offer.0.min_funding_confs..max_funding_confs: expected a range within 2..5')],
    );
  });
  it('are all told at once', () => {
    const over = {
      grpc: { listen: '0.0.0.0:1', auth: 'none' },
      admin: { token_file: 't', listen: '0.0.0.0:2' },
      network: { genesis: LIQUID_NETWORKS.liquidv1.genesis },
      offer: [OFFER, { ...OFFER, max_amount: 1, min_amount: 2 }],
    };
    expect(problemsOf(over).map((line) => line.split(':')[0])).toEqual([
      'grpc.listen',
      'grpc.auth',
      'admin.listen',
      'electrum.servers',
      'offer.0.profile',
      'offer.1.profile',
      'offer.1.max_amount',
      'offer.1.asset_id',
    ]);
  });
  it('no profile that can be configured breaks the timelock inequality', () => {
    for (const profile of Object.values(PROFILES)) {
      expect(profile.refundDeltaBlocks).toBeGreaterThanOrEqual(requiredRefundDelta(profile));
    }
  });
});
