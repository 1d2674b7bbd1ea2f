/**
 * The JSON-RPC methods that follow a chain and send transactions, as Bitcoin Core answers them.
 *
 * A transaction or block is hex, hashes are in display order. Errors carry Core's numbers.
 */
import { hex, txid as asTxid, blockHash as asBlockHash } from '../../core/units.js';
import { type BitcoinBlock, prevHashOf, REGTEST_BITS, WORK_PER_BLOCK } from './block.js';
import type { BitcoinChain } from './chain.js';
import { BitcoinRpcError, RPC_CODES } from './rpcError.js';

/** Positional parameters of a call. */
type Params = readonly unknown[];
type Method = (chain: BitcoinChain, params: Params) => unknown;

/** Difficulty of regtest, as Core computes it from the bits. */
const REGTEST_DIFFICULTY = 4.656542373906925e-10;

const METHODS: ReadonlyMap<string, Method> = new Map<string, Method>([
  ['getblockchaininfo', (chain) => blockchainInfo(chain)],
  ['getblockcount', (chain) => chain.tip.height],
  ['getbestblockhash', (chain) => chain.tip.hash],
  ['getblockhash', (chain, params) => blockAtHeight(chain, params[0]).hash],
  ['getblockheader', getBlockHeader],
  ['getblock', getBlock],
  ['getrawtransaction', getRawTransaction],
  ['getrawmempool', (chain) => chain.mempoolTxids()],
  ['sendrawtransaction', (chain, params) => chain.submit(hexParam('hexstring', params[0]))],
  [
    'estimatesmartfee',
    (_, params) => ({
      errors: ['Insufficient data or no feerate found'],
      blocks: integerParam('conf_target', params[0]),
    }),
  ],
]);

/**
 * Performs one call.
 *
 * @throws BitcoinRpcError with the number and text for the answer.
 */
export function callBitcoinRpc(chain: BitcoinChain, method: string, params: Params): unknown {
  const run = METHODS.get(method);
  if (run === undefined) throw new BitcoinRpcError(RPC_CODES.methodNotFound, 'Method not found');
  chain.assertUsable();
  return run(chain, params);
}

function blockchainInfo(chain: BitcoinChain): object {
  const { tip } = chain;
  return {
    chain: 'regtest',
    blocks: tip.height,
    headers: tip.height,
    bestblockhash: tip.hash,
    difficulty: REGTEST_DIFFICULTY,
    time: tip.time,
    mediantime: chain.medianTime(tip),
    verificationprogress: 1,
    initialblockdownload: false,
    chainwork: chainwork(tip),
    size_on_disk: 0,
    pruned: false,
    warnings: '',
  };
}

const chainwork = ({ height }: BitcoinBlock): string =>
  (WORK_PER_BLOCK * BigInt(height + 1)).toString(16).padStart(64, '0');

function getBlockHeader(chain: BitcoinChain, params: Params): unknown {
  const block = blockOfHash(chain, params[0]);
  return booleanParam('verbose', params[1], true) ? headerFields(chain, block) : hex(block.block.toBuffer(true));
}

function headerFields(chain: BitcoinChain, block: BitcoinBlock): object {
  const { height, hash } = block;
  const isActive = chain.isActive(block);
  const next = isActive ? chain.blockAt(height + 1) : undefined;
  const { version, merkleRoot, nonce } = block.block;
  return {
    hash,
    confirmations: isActive ? chain.tip.height - height + 1 : -1,
    height,
    version,
    versionHex: version.toString(16).padStart(8, '0'),
    merkleroot: hex(Buffer.from(merkleRoot ?? []).reverse()),
    time: block.time,
    mediantime: chain.medianTime(block),
    nonce,
    bits: REGTEST_BITS.toString(16),
    difficulty: REGTEST_DIFFICULTY,
    chainwork: chainwork(block),
    nTx: block.transactions.length,
    ...(height > 0 && { previousblockhash: prevHashOf(block) }),
    ...(next && { nextblockhash: next.hash }),
  };
}

function getBlock(chain: BitcoinChain, params: Params): unknown {
  const block = blockOfHash(chain, params[0]);
  const verbosity = typeof params[1] === 'boolean' ? Number(params[1]) : integerParam('verbosity', params[1] ?? 1);
  if (verbosity === 0) return block.block.toHex();
  if (verbosity > 1)
    throw new BitcoinRpcError(RPC_CODES.invalidParameter, 'verbosity: only 0 and 1 are supported here');
  return {
    ...headerFields(chain, block),
    strippedsize: block.block.byteLength(false, false),
    size: block.block.byteLength(false, true),
    weight: block.block.weight(),
    tx: block.txids,
  };
}

function getRawTransaction(chain: BitcoinChain, params: Params): unknown {
  const verbosity = params[1] ?? 0;
  if (verbosity !== 0 && verbosity !== false) {
    throw new BitcoinRpcError(RPC_CODES.invalidParameter, 'verbosity: only 0 is supported here');
  }
  const tx = chain.transaction(asTxid(hashParam('txid', params[0])));
  if (tx === undefined) {
    throw new BitcoinRpcError(RPC_CODES.notFound, 'No such mempool or blockchain transaction');
  }
  return tx.toHex();
}

function blockAtHeight(chain: BitcoinChain, height: unknown): BitcoinBlock {
  const block = chain.blockAt(integerParam('height', height));
  if (block === undefined) throw new BitcoinRpcError(RPC_CODES.invalidParameter, 'Block height out of range');
  return block;
}

function blockOfHash(chain: BitcoinChain, hash: unknown): BitcoinBlock {
  const block = chain.blockByHash(asBlockHash(hashParam('blockhash', hash)));
  if (block === undefined) throw new BitcoinRpcError(RPC_CODES.notFound, 'Block not found');
  return block;
}

function wrongType(name: string, expected: string, found: unknown): never {
  const kind = found === null || found === undefined ? 'null' : Array.isArray(found) ? 'array' : typeof found;
  throw new BitcoinRpcError(RPC_CODES.type, `${name}: JSON value of type ${kind} is not of expected type ${expected}`);
}

function integerParam(name: string, value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : wrongType(name, 'integer', value);
}

function booleanParam(name: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined || value === null) return fallback;
  return typeof value === 'boolean' ? value : wrongType(name, 'bool', value);
}

function hashParam(name: string, value: unknown): string {
  if (typeof value !== 'string') return wrongType(name, 'string', value);
  if (!/^[0-9a-fA-F]{64}$/.test(value)) {
    throw new BitcoinRpcError(
      RPC_CODES.invalidParameter,
      `${name} must be 64 hexadecimal digits, found ${value.length} characters`,
    );
  }
  return value.toLowerCase();
}

function hexParam(name: string, value: unknown): Buffer {
  if (typeof value !== 'string') return wrongType(name, 'string', value);
  if (!/^([0-9a-fA-F]{2})+$/.test(value)) {
    throw new BitcoinRpcError(RPC_CODES.deserialization, 'TX decode failed. Make sure the tx has at least one input.');
  }
  return Buffer.from(value, 'hex');
}
