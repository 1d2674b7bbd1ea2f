import { describe, expect, it } from 'vitest';

import { msat, pubkey, sat } from '../../../src/core/units.js';
import { SwapError } from '../../../src/errors.js';
import { connectLightning, endpointProblems } from '../../../src/lightning/backend.js';
import { checkAtStart } from '../../../src/lightning/fitness.js';
import type { LightningNode, NodeInfo } from '../../../src/lightning/node.js';
import { createLogger } from '../../../src/log.js';

describe('an endpoint', () => {
  const files = { tlsCertFile: 'cert', macaroonFile: 'macaroon' };
  it.each([
    [{ backend: 'lnd', tlsCertFile: 'cert' }, 'lightning.macaroon_file'],
    [{ backend: 'lnd', macaroonFile: 'macaroon' }, 'lightning.tls_cert_file'],
    [{ backend: 'lnd', ...files, tokenFile: 'token' }, 'lightning.token_file'],
    [{ backend: 'lnnoded', macaroonFile: 'macaroon' }, 'lightning.macaroon_file'],
    [{ macaroonFile: 'macaroon' }, 'lightning.macaroon_file'],
    [{ backend: 'lnnoded', holdExpiryDelta: 20 }, 'lightning.hold_expiry_delta_blocks'],
  ] as const)('%o is refused for %s', (endpoint, key) => {
    expect(endpointProblems(endpoint)).toEqual([expect.stringContaining(`${key}: expected`)]);
    const log = createLogger('test', 'silent');
    expect(() => connectLightning({ address: 'localhost:1', ...endpoint }, log)).toThrow(SwapError);
  });
  it('of each kind is complete with its own files', () => {
    expect(endpointProblems({ backend: 'lnd', ...files, holdExpiryDelta: 20 })).toEqual([]);
    expect(endpointProblems({ tokenFile: 'token', tlsCertFile: 'cert' })).toEqual([]);
  });
});

describe('the check at start', () => {
  const info: NodeInfo = {
    nodeId: pubkey('0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798'),
    network: 'regtest',
    blockHeight: 9,
    isSynced: true,
  };
  const check = (change: Partial<LightningNode>, role: 'seller' | 'buyer' = 'seller'): Promise<string | undefined> => {
    const parts: Partial<LightningNode> = {
      getInfo: () => Promise.resolve(info),
      inboundCapacityMsat: () => Promise.resolve(msat(1n)),
      ...change,
    };
    return checkAtStart(parts as LightningNode, { role, network: 'regtest' });
  };

  it('has nothing to say of a node that can serve', async () => {
    expect(await check({})).toBeUndefined();
    expect(await check({ missingRights: () => Promise.resolve([]) })).toBeUndefined();
    expect(await check({ missingFeeCoins: () => Promise.resolve(sat(0n)) })).toBeUndefined();
  });
  it('names a node that is not synced', async () => {
    const lagging = { getInfo: () => Promise.resolve({ ...info, isSynced: false }) };
    expect(await check(lagging)).toBe('the Lightning node is not synced to its chain; it is at block 9');
  });
  it('asks for the rights of the role', async () => {
    const missingRights = (role: string) => Promise.resolve([`/${role}`]);
    expect(await check({ missingRights }, 'buyer')).toContain('the macaroon lacks the right to /buyer;');
  });
  it('wants a seller, not a buyer, to have coins for the fees of claims', async () => {
    const poor = { missingFeeCoins: () => Promise.resolve(sat(7_000n)) };
    expect(await check(poor)).toBe(
      "the Lightning node's wallet lacks 7000 sat of confirmed coins: without them it could not take a payment on the chain in time",
    );
    expect(await check(poor, 'buyer')).toBeUndefined();
  });
  it('wants somebody to open a channel to a seller, not to a buyer', async () => {
    const empty = { inboundCapacityMsat: () => Promise.resolve(msat(0n)) };
    expect(await check(empty)).toContain('can receive anything');
    expect(await check(empty, 'buyer')).toBeUndefined();
  });
  it("passes on the node's own words, and hides no bug", async () => {
    const locked = new SwapError('lightning_unavailable', 'lnd: its wallet is locked');
    expect(await check({ getInfo: () => Promise.reject(locked) })).toBe('lnd: its wallet is locked');
    await expect(check({ getInfo: () => Promise.reject(new Error('bug')) })).rejects.toThrow('bug');
  });
});
