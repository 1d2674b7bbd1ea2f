/** Errors of the JSON-RPC, with the numbers of Bitcoin Core (rpc/protocol.h). */

/** RPC error numbers of Bitcoin Core. */
export const RPC_CODES = {
  misc: -1,
  type: -3,
  notFound: -5,
  invalidParameter: -8,
  deserialization: -22,
  transaction: -25,
  rejected: -26,
  alreadyInChain: -27,
  invalidRequest: -32600,
  methodNotFound: -32601,
  parse: -32700,
} as const;

/** An error that the JSON-RPC answers with its number. */
export class BitcoinRpcError extends Error {
  readonly rpcCode: number;

  constructor(rpcCode: number, message: string) {
    super(message);
    this.name = 'BitcoinRpcError';
    this.rpcCode = rpcCode;
  }
}
