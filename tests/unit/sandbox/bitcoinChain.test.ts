import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Block, crypto, networks, payments, script as bscript, Transaction } from 'bitcoinjs-lib';
import { pointFromScalar, sign } from 'tiny-secp256k1';
import { afterEach, describe, expect, it } from 'vitest';

import { type BitcoinChain, openBitcoinChain } from '../../../src/sandbox/bitcoin/chain.js';
import { reversedBytes, type Txid } from '../../../src/core/units.js';

const PRIVATE_KEY = Buffer.alloc(32, 7);
const PUBLIC_KEY = Buffer.from(pointFromScalar(PRIVATE_KEY, true) ?? []);
const SCRIPT_PUBKEY = Buffer.concat([Buffer.from('0014', 'hex'), crypto.hash160(PUBLIC_KEY)]);
const ADDRESS = payments.p2wpkh({ pubkey: PUBLIC_KEY, network: networks.regtest }).address ?? '';
const FUNDED_SAT = 100_000n;
const FINAL = 0xffff_ffff;

const folders: string[] = [];
function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'bitcoin-chain-'));
  folders.push(folder);
  return folder;
}
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

type SpendOptions = {
  readonly feeSat?: bigint;
  readonly sequence?: number;
  readonly locktime?: number;
  readonly key?: Buffer;
  readonly script?: Buffer;
};

/** A signed spend of the faucet's payment to {@link ADDRESS}. */
function spend(chain: BitcoinChain, fundingTxid: Txid, options: SpendOptions = {}): Transaction {
  const funding = chain.transaction(fundingTxid);
  const vout = funding?.outs.findIndex(({ script }) => SCRIPT_PUBKEY.equals(script)) ?? -1;
  const tx = new Transaction();
  tx.version = 2;
  tx.locktime = options.locktime ?? 0;
  tx.addInput(reversedBytes(fundingTxid), vout, options.sequence ?? 0xffff_fffd);
  tx.addOutput(options.script ?? SCRIPT_PUBKEY, FUNDED_SAT - (options.feeSat ?? 500n));
  const code = Buffer.concat([Buffer.from('76a914', 'hex'), crypto.hash160(PUBLIC_KEY), Buffer.from('88ac', 'hex')]);
  const hash = tx.hashForWitnessV0(0, code, FUNDED_SAT, Transaction.SIGHASH_ALL);
  const signature = bscript.signature.encode(sign(hash, options.key ?? PRIVATE_KEY), Transaction.SIGHASH_ALL);
  tx.setWitness(0, [signature, PUBLIC_KEY]);
  return tx;
}

function fundedChain(options: { dir?: string } = {}): { chain: BitcoinChain; funding: Txid } {
  const chain = openBitcoinChain(options);
  const funding = chain.faucet(ADDRESS, FUNDED_SAT);
  chain.mine(1);
  return { chain, funding };
}

const submit = (chain: BitcoinChain, tx: Transaction): string => chain.submit(tx.toBuffer());

describe('a new chain', () => {
  it('starts at the genesis block of regtest and has mature coins', () => {
    const chain = openBitcoinChain();
    expect(chain.blockAt(0)?.hash).toBe('0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206');
    expect(chain.tip.height).toBe(120);
  });

  it('makes blocks that a strict parser accepts', () => {
    const { chain } = fundedChain();
    const block = Block.fromHex(chain.tip.block.toHex());
    expect(block.checkProofOfWork()).toBe(true);
    expect(block.checkTxRoots()).toBe(true);
    expect(block.hasWitnessCommit()).toBe(true);
    expect(block.transactions).toHaveLength(2);
  });

  it('stamps blocks with the wall clock, and always later than the median before', () => {
    const chain = openBitcoinChain({ now: () => 1_800_000_000 });
    expect(chain.tip.time).toBe(1_800_000_000);
    chain.mine(30);
    for (let height = 1; height <= chain.tip.height; height++) {
      const [block, before] = [chain.blockAt(height), chain.blockAt(height - 1)];
      if (block === undefined || before === undefined) throw new Error('gap');
      expect(block.time).toBeGreaterThan(chain.medianTime(before));
    }
  });
});

describe('a transaction', () => {
  it('is taken, served from the mempool and mined', () => {
    const { chain, funding } = fundedChain();
    const tx = spend(chain, funding);
    expect(submit(chain, tx)).toBe(tx.getId());
    expect(submit(chain, tx)).toBe(tx.getId());
    expect(chain.mempoolTxids()).toEqual([tx.getId()]);
    chain.mine(1);
    expect(chain.mempoolTxids()).toEqual([]);
    expect(chain.tip.txids).toContain(tx.getId());
    expect(() => submit(chain, tx)).toThrow('already in utxo set');
  });

  it('is refused with a signature of another key', () => {
    const { chain, funding } = fundedChain();
    const tx = spend(chain, funding, { key: Buffer.alloc(32, 8) });
    expect(() => submit(chain, tx)).toThrow('Signature must be zero');
  });

  it('is refused when it creates one satoshi', () => {
    const { chain, funding } = fundedChain();
    expect(() => submit(chain, spend(chain, funding, { feeSat: -1n }))).toThrow('bad-txns-in-belowout');
  });

  it('is refused one satoshi below the relay fee and taken at it', () => {
    const { chain, funding } = fundedChain();
    const vsize = BigInt(spend(chain, funding).virtualSize());
    expect(() => submit(chain, spend(chain, funding, { feeSat: vsize - 1n }))).toThrow('min relay fee not met');
    submit(chain, spend(chain, funding, { feeSat: vsize }));
  });

  it('is refused when its input is missing or spent', () => {
    const { chain, funding } = fundedChain();
    submit(chain, spend(chain, funding));
    chain.mine(1);
    expect(() => submit(chain, spend(chain, funding, { feeSat: 900n }))).toThrow('bad-txns-inputs-missingorspent');
  });

  it('waits for its locktime: refused one block early', () => {
    const { chain, funding } = fundedChain();
    const tx = spend(chain, funding, { locktime: chain.tip.height + 1 });
    expect(() => submit(chain, tx)).toThrow('non-final');
    chain.mine(1);
    submit(chain, tx);
  });

  it('waits for its relative locktime: refused one block early', () => {
    const { chain, funding } = fundedChain();
    const tx = spend(chain, funding, { sequence: 2 });
    expect(() => submit(chain, tx)).toThrow('non-BIP68-final');
    chain.mine(1);
    submit(chain, tx);
  });
});

describe('a replacement', () => {
  it('needs the old fee and its own relay fee on top', () => {
    const { chain, funding } = fundedChain();
    const first = spend(chain, funding, { feeSat: 500n });
    submit(chain, first);
    const needed = 500n + BigInt(first.virtualSize());
    expect(() => submit(chain, spend(chain, funding, { feeSat: needed - 1n }))).toThrow('insufficient fee');
    const second = spend(chain, funding, { feeSat: needed });
    submit(chain, second);
    expect(chain.mempoolTxids()).toEqual([second.getId()]);
  });

  it('drops the descendants of what it replaces', () => {
    const { chain, funding } = fundedChain();
    const parent = spend(chain, funding, { feeSat: 500n });
    submit(chain, parent);
    const child = new Transaction();
    child.version = 2;
    child.addInput(parent.getHash(), 0, FINAL);
    child.addOutput(SCRIPT_PUBKEY, FUNDED_SAT - 1_500n);
    const code = Buffer.concat([Buffer.from('76a914', 'hex'), crypto.hash160(PUBLIC_KEY), Buffer.from('88ac', 'hex')]);
    const hash = child.hashForWitnessV0(0, code, FUNDED_SAT - 500n, Transaction.SIGHASH_ALL);
    child.setWitness(0, [bscript.signature.encode(sign(hash, PRIVATE_KEY), Transaction.SIGHASH_ALL), PUBLIC_KEY]);
    submit(chain, child);
    expect(() => submit(chain, spend(chain, funding, { feeSat: 1_500n }))).toThrow('insufficient fee');
    const winner = spend(chain, funding, { feeSat: 2_000n });
    submit(chain, winner);
    expect(chain.mempoolTxids()).toEqual([winner.getId()]);
  });
});

describe('a reorg', () => {
  it('replaces blocks by a longer branch that holds the same transactions', () => {
    const { chain, funding } = fundedChain();
    const tx = spend(chain, funding);
    submit(chain, tx);
    chain.mine(2);
    const [oldTip, height] = [chain.tip, chain.tip.height];
    const mined = chain.reorg(2);
    expect(mined).toHaveLength(3);
    expect(chain.tip.height).toBe(height + 1);
    expect(chain.isActive(oldTip)).toBe(false);
    expect(chain.blockByHash(oldTip.hash)).toBe(oldTip);
    expect(chain.blockAt(height - 1)?.txids).toContain(tx.getId());
  });

  it('is refused when it reaches below the blocks of the start', () => {
    const { chain } = fundedChain();
    expect(() => chain.reorg(2)).toThrow('expected 1..1, found 2');
    expect(() => chain.reorg(0)).toThrow('found 0');
  });
});

describe('the faucet', () => {
  it('names what is wrong with an address or an amount', () => {
    const chain = openBitcoinChain();
    expect(() => chain.faucet('bc1qnonsense', 1000n)).toThrow('expected a Bitcoin regtest address');
    expect(() => chain.faucet(ADDRESS, 1n)).toThrow('expected at least 546 sat');
    expect(() => chain.faucet(ADDRESS, 2_100_000_000_000_000n)).toThrow('expected at most');
  });
});

describe('the journal', () => {
  it('brings chain, reorgs and mempool back', () => {
    const dir = temporaryFolder();
    const { chain, funding } = fundedChain({ dir });
    chain.mine(2);
    const stale = chain.tip.hash;
    chain.reorg(1);
    submit(chain, spend(chain, funding));
    chain.close();
    const again = openBitcoinChain({ dir });
    expect(again.tip.hash).toBe(chain.tip.hash);
    expect(again.mempoolTxids()).toEqual(chain.mempoolTxids());
    expect(again.blockByHash(again.tip.hash)?.txids).toEqual(chain.tip.txids);
    expect(again.isActive(again.blockByHash(chain.tip.hash) ?? again.tip)).toBe(true);
    expect(again.blockByHash(chain.tip.hash)).toBeDefined();
    expect([...again.mine(1)]).toHaveLength(1);
    const staleBlock = Array.from({ length: again.tip.height }, (_, height) => again.blockAt(height)?.hash);
    expect(staleBlock).not.toContain(stale);
    again.close();
  });

  it('loses only the record that was cut off', () => {
    const dir = temporaryFolder();
    const { chain } = fundedChain({ dir });
    chain.mine(1);
    chain.close();
    const path = join(dir, 'bitcoin.journal');
    truncateSync(path, readFileSync(path).length - 3);
    appendFileSync(path, Buffer.alloc(2));
    const again = openBitcoinChain({ dir });
    expect(again.tip.height).toBe(chain.tip.height - 1);
    again.mine(3);
    again.close();
    const third = openBitcoinChain({ dir });
    expect(third.tip.hash).toBe(again.tip.hash);
    third.close();
  });

  it('is refused when it is damaged before its end', () => {
    const dir = temporaryFolder();
    fundedChain({ dir }).chain.close();
    const path = join(dir, 'bitcoin.journal');
    const bytes = readFileSync(path);
    bytes.writeUInt8(bytes.readUInt8(100) ^ 1, 100);
    writeFileSync(path, bytes);
    expect(() => openBitcoinChain({ dir })).toThrow('damaged at byte 0');
  });
});
