import { confidential } from 'liquidjs-lib';
import { describe, expect, it } from 'vitest';

import { SwapError } from '../../../src/errors.js';
import { parseTransaction } from '../../../src/sandbox/liquid/transaction.js';
import { decodeAddress, NodeError, openLiquidChain } from '../../../src/sandbox/liquid/world.js';
import { loadZkp } from '../../../src/sandbox/liquid/zkp.js';
import { BLINDING_KEY, BLINDING_PUBKEY, OTHER_SCRIPT, P2WPKH } from './liquidKit.js';

const GOLD = { ticker: 'GOLD', precision: 2, amount: 1_000_000n };

type Unblinder = { unblindOutputWithKey: (output: unknown, key: Buffer) => { value: string; asset: Buffer } };

async function unblind(rawHex: string): Promise<{ value: string; asset: string }> {
  // The library's typings of zkp are older than zkp itself.
  const unblinder = new confidential.Confidential((await loadZkp()) as never) as Unblinder;
  const output = parseTransaction(rawHex)?.outs[0];
  const { value, asset } = unblinder.unblindOutputWithKey(output, BLINDING_KEY);
  return { value, asset: Buffer.from(asset).reverse().toString('hex') };
}

describe('the faucet', () => {
  it('pays a blinded gift that the receiver, and nobody else, can read', async () => {
    const chain = await openLiquidChain();
    const id = chain.faucet({ scriptPubKey: P2WPKH, blindingPubkey: BLINDING_PUBKEY, amount: 123_456n });
    const raw = chain.transaction(id)?.rawHex ?? '';
    expect(await unblind(raw)).toEqual({ value: '123456', asset: chain.policyAsset });
    expect(parseTransaction(raw)?.outs[0]?.value[0]).not.toBe(1);
  });
  it('gives its issued assets, explicit and blinded, from a stock that lasts for many gifts in one block', async () => {
    const chain = await openLiquidChain();
    const { assetId } = chain.issueAsset(GOLD);
    chain.mine(1);
    for (let given = 0; given < 40; given += 1) chain.faucet({ scriptPubKey: OTHER_SCRIPT, amount: 10n, assetId });
    const id = chain.faucet({ scriptPubKey: P2WPKH, blindingPubkey: BLINDING_PUBKEY, amount: 5n, assetId });
    expect(await unblind(chain.transaction(id)?.rawHex ?? '')).toEqual({ value: '5', asset: assetId });
    chain.mine(1);
    expect(chain.status().mempool).toEqual([]);
  });
  it('gives the whole of an issue and not one unit more', async () => {
    const chain = await openLiquidChain();
    const { assetId } = chain.issueAsset({ ...GOLD, amount: 17n });
    chain.faucet({ scriptPubKey: OTHER_SCRIPT, amount: 17n, assetId });
    expect(() => chain.faucet({ scriptPubKey: OTHER_SCRIPT, amount: 1n, assetId })).toThrow(
      `faucet: needs 1 of asset ${assetId}, has 0`,
    );
  });
  it('issues amounts up to its limit', async () => {
    const chain = await openLiquidChain();
    const { assetId } = chain.issueAsset({ ...GOLD, amount: 1_900_000_000_000_000n });
    chain.faucet({ scriptPubKey: OTHER_SCRIPT, amount: 1_900_000_000_000_000n, assetId });
    expect(() => chain.issueAsset({ ...GOLD, amount: 1_900_000_000_000_001n })).toThrow('expected at most');
  });
  it('makes a different asset of each issue', async () => {
    const chain = await openLiquidChain();
    expect(chain.issueAsset(GOLD).assetId).not.toBe(chain.issueAsset(GOLD).assetId);
  });
  it('refuses to give nothing, or dust', async () => {
    const chain = await openLiquidChain();
    expect(() => chain.faucet({ scriptPubKey: OTHER_SCRIPT, amount: 0n })).toThrow(SwapError);
    expect(() => chain.faucet({ scriptPubKey: OTHER_SCRIPT, amount: 14n })).toThrow(NodeError);
    chain.faucet({ scriptPubKey: OTHER_SCRIPT, amount: 15n });
  });
});

describe('an address', () => {
  const plain = 'ert1q4hsmpa33fa2lcqafflmgnt9d0crt92h0j0ewgs';
  const blinded =
    'el1qqdmfyg84uk5sgyd5cduvtn3xkjfd4vhdgtxp2whlrn08tk7f8rzynt0pkrmrzn64lsp6jnlk3xk26lsxk24w7y07h6urav0pk';
  const blindedP2wsh =
    'el1qqdmfyg84uk5sgyd5cduvtn3xkjfd4vhdgtxp2whlrn08tk7f8rzyjjhgz4e0qmsm3r74emt6rgqqj32r96p7z4g7daepa6wqpwxvxvnq5q7s2nvn2w6a';

  it('of regtest gives its script, and the blinding key if it has one', () => {
    expect(decodeAddress(plain)).toEqual({ scriptPubKey: P2WPKH });
    expect(decodeAddress(blinded)).toEqual({ scriptPubKey: P2WPKH, blindingPubkey: BLINDING_PUBKEY });
    expect(decodeAddress(blindedP2wsh)).toEqual({ scriptPubKey: OTHER_SCRIPT, blindingPubkey: BLINDING_PUBKEY });
    expect(decodeAddress(plain.toUpperCase())).toEqual({ scriptPubKey: P2WPKH });
  });
  it.each([
    ['of Bitcoin', 'bcrt1qcr8te4kr609gcawutmrza0j4xv80jy8zmfp6l0'],
    ['of Liquid main', 'ex1q7gkeyjut0mrxc3j0kjlt7rmcnvsh0gt45d3fud'],
    ['with a typing error', `${plain.slice(0, -1)}q`],
    ['with a typing error in its blinded form', `${blinded.slice(0, -1)}q`],
    ['that is empty', ''],
  ])('%s is refused', (_, text) => {
    expect(() => decodeAddress(text)).toThrow('address: expected ert1... or el1...');
  });
});
