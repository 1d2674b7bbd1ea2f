/** What the commands of the control socket do. */
import { PROCESS_NAMES, type ControlRequest, type ControlResult } from '../control.js';
import { WorldError } from '../problem.js';
import { BITCOIN_PRECISION, formatUnits, parseUnits } from '../units.js';
import { issueAsset, startProgram, type World, writeWorldFile } from './world.js';

const BITCOIN_ADDRESS = /^(bcrt1|[2mn])/i;
const LBTC = 'L-BTC';
const BTC = 'BTC';

type RequestOf<Command extends ControlRequest['command']> = Extract<ControlRequest, { command: Command }>;

/** Performs one command. @throws WorldError, SwapError or BitcoinRpcError with what to tell the caller. */
export async function runCommand(world: World, request: ControlRequest): Promise<ControlResult> {
  switch (request.command) {
    case 'status':
      return status(world);
    case 'mine':
      world.chains[request.chain].mine(request.blocks);
      return tipResult(world, request.chain);
    case 'reorg':
      reorg(world, request);
      return tipResult(world, request.chain);
    case 'faucet':
      return faucet(world, request);
    case 'issue':
      return issue(world, request);
    case 'start':
      await startProgram(world, request.name);
      return programResult(world, request.name);
    case 'stop':
      await world.programs[request.name].stop();
      return programResult(world, request.name);
    case 'kill':
      await world.programs[request.name].kill();
      return programResult(world, request.name);
    case 'floor':
      world.chains.liquid.setFloor(BigInt(request.sat_per_kvb));
      return { floor_sat_per_kvb: world.chains.liquid.floor().toString() };
    case 'auto':
      world.miners[request.chain].blockSecs = request.block_secs;
      return { chain: request.chain, block_secs: request.block_secs };
    default:
      throw new Error(`unknown command ${JSON.stringify(request satisfies never)}`);
  }
}

function status(world: World): ControlResult {
  const { chains, miners, programs, state } = world;
  const { bitcoin, liquid } = chains;
  return {
    dir: world.layout.dir,
    pid: process.pid,
    liquid: {
      height: liquid.tip().height,
      hash: liquid.tip().hash,
      mempool: liquid.mempoolSize(),
      block_secs: miners.liquid.blockSecs,
      floor_sat_per_kvb: liquid.floor().toString(),
    },
    bitcoin: {
      height: bitcoin.tip.height,
      hash: bitcoin.tip.hash,
      mempool: bitcoin.mempoolTxids().length,
      block_secs: miners.bitcoin.blockSecs,
    },
    assets: state.assets,
    processes: Object.fromEntries(
      PROCESS_NAMES.map((name) => [name, { state: programs[name].state, pid: programs[name].pid ?? null }]),
    ),
  };
}

function reorg({ chains }: World, { chain, blocks, drop = false }: RequestOf<'reorg'>): void {
  if (chain === 'liquid') chains.liquid.reorg(blocks, drop);
  else if (!drop) chains.bitcoin.reorg(blocks);
  else throw new WorldError('invalid_argument', 'drop: expected the Liquid chain, found the Bitcoin chain');
}

function tipResult({ chains }: World, chain: 'liquid' | 'bitcoin'): ControlResult {
  const { height, hash } = chain === 'liquid' ? chains.liquid.tip() : chains.bitcoin.tip;
  return { chain, height, hash };
}

function programResult({ programs }: World, name: RequestOf<'start'>['name']): ControlResult {
  return { name, state: programs[name].state, pid: programs[name].pid ?? null };
}

function faucet(world: World, { address, amount, asset }: RequestOf<'faucet'>): ControlResult {
  if (BITCOIN_ADDRESS.test(address)) {
    if (asset !== undefined && asset !== BTC) {
      throw new WorldError(
        'invalid_argument',
        `asset: expected ${BTC} or none for a Bitcoin address, found "${asset}"`,
      );
    }
    const sats = parseUnits(amount, BITCOIN_PRECISION);
    const txid = world.chains.bitcoin.faucet(address, sats);
    return { chain: 'bitcoin', txid, ...amountFields(BTC, sats, BITCOIN_PRECISION) };
  }
  const found = assetOf(world, asset ?? LBTC);
  const units = parseUnits(amount, found.precision);
  const txid = world.chains.liquid.faucet({ address, assetId: found.id, amount: units });
  return { chain: 'liquid', txid, asset_id: found.id, ...amountFields(found.ticker, units, found.precision) };
}

const amountFields = (ticker: string, amount: bigint, precision: number): ControlResult => ({
  ticker,
  amount: amount.toString(),
  amount_units: formatUnits(amount, precision),
});

function assetOf(world: World, name: string): { id: string; ticker: string; precision: number } {
  const { policyAsset } = world.chains.liquid;
  if (name === LBTC || name === policyAsset) return { id: policyAsset, ticker: LBTC, precision: BITCOIN_PRECISION };
  for (const [ticker, { id, precision }] of Object.entries(world.state.assets)) {
    if (name === ticker || name === id) return { id, ticker, precision };
  }
  const known = [LBTC, ...Object.keys(world.state.assets)].join(', ');
  throw new WorldError('invalid_argument', `asset: expected one of ${known} or its id, found "${name}"`);
}

function issue(world: World, { ticker, amount, precision }: RequestOf<'issue'>): ControlResult {
  if (ticker === LBTC || ticker === BTC || world.state.assets[ticker] !== undefined) {
    throw new WorldError('invalid_argument', `ticker: expected a new one, found "${ticker}", which exists`);
  }
  const asset = issueAsset(world, ticker, amount, precision);
  writeWorldFile(world);
  return { asset_id: asset.id, ...amountFields(ticker, parseUnits(amount, precision), precision) };
}
