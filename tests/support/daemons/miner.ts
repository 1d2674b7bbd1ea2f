/** A key that is paid for mining, and payments out of its coins. */
import { address as addresses, Block, networks, payments, script, Transaction } from 'bitcoinjs-lib';
import { pointFromScalar, sign } from 'tiny-secp256k1';

/** Blocks before anything else: segwit is active on btcd's regtest after 432, and 350 of the coins are mature. */
export const FIRST_BLOCKS = 450;
const FEE_SATS = 10_000n;
const COINBASE_MATURITY = 100;
const SECRET = Buffer.alloc(32, 7);

export type RpcCall = (method: string, ...params: unknown[]) => Promise<unknown>;

export type Miner = {
  /** Where blocks must pay. */
  readonly address: string;
  /** Sends a transaction that pays; somebody must mine it. */
  pay(address: string, sats: bigint): Promise<void>;
};

/** The same key in every test: its coins are worth nothing. `call` reaches the chain's own server. */
export function makeMiner(call: RpcCall): Miner {
  const pubkey = pointFromScalar(SECRET, true);
  if (pubkey === null) throw new Error('no public key');
  const { address, output, hash } = payments.p2wpkh({ pubkey, network: networks.regtest });
  if (address === undefined || output === undefined || hash === undefined) throw new Error('no address');
  let spent = 0; // the coin of block n is the nth to go

  const coinbase = async (height: number): Promise<Transaction> => {
    const raw = await call('getblock', await call('getblockhash', height), 0);
    const [first] = Block.fromHex(String(raw)).transactions ?? [];
    if (first === undefined) throw new Error(`block ${height} is empty`);
    return first;
  };
  const transfer = async (target: string, sats: bigint): Promise<Transaction> => {
    spent += 1;
    if (spent > FIRST_BLOCKS - COINBASE_MATURITY) throw new Error('every coin is spent');
    const coin = await coinbase(spent);
    const value = coin.outs[0]?.value ?? 0n;
    if (value < sats + FEE_SATS) throw new Error(`expected at most ${value - FEE_SATS} sats, found ${sats}`);
    const tx = new Transaction();
    tx.version = 2;
    tx.addInput(coin.getHash(), 0);
    tx.addOutput(addresses.toOutputScript(target, networks.regtest), sats);
    tx.addOutput(output, value - sats - FEE_SATS);
    const code = payments.p2pkh({ hash, network: networks.regtest }).output;
    if (code === undefined) throw new Error('no script');
    const digest = tx.hashForWitnessV0(0, code, value, Transaction.SIGHASH_ALL);
    tx.setWitness(0, [script.signature.encode(sign(digest, SECRET), Transaction.SIGHASH_ALL), pubkey]);
    return tx;
  };
  return {
    address,
    pay: async (target, sats) => {
      await call('sendrawtransaction', (await transfer(target, sats)).toHex());
    },
  };
}
