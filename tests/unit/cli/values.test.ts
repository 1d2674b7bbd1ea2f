import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { BuyerError, RemoteError } from '../../../src/buyer/buyerError.js';
import { describeAmount, describeMsat, formatAmount, parseAmount } from '../../../src/cli/amount.js';
import { findAsset } from '../../../src/cli/asset.js';
import { describeFailure, EXIT_OF_STEP, failureLine } from '../../../src/cli/exit.js';
import { toJson } from '../../../src/cli/json.js';
import { assetId } from '../../../src/core/units.js';
import { SwapError } from '../../../src/errors.js';
import { NextAction, PaymentStatus, Swap, SwapStatus } from '../../../src/gen/ln_liquid_swap/v1/swap.js';
import { refusal } from '../core/zkp.js';

describe('an amount', () => {
  it.each([
    ['25', 8, 2_500_000_000n],
    ['0.00000001', 8, 1n],
    ['12.5', 2, 1_250n],
    ['007', 0, 7n],
    ['21000000.00000000', 8, 2_100_000_000_000_000n],
  ])('%s with %i decimals is exactly %i', (text, precision, units) => {
    expect(parseAmount('--amount', text, precision)).toBe(units);
  });
  it.each([
    ['', 8, 'a decimal number'],
    ['-1', 8, 'a decimal number'],
    ['+1', 8, 'a decimal number'],
    ['1e3', 8, 'a decimal number'],
    ['1,5', 8, 'a decimal number'],
    ['1_000', 8, 'a decimal number'],
    ['.5', 8, 'a decimal number'],
    ['5.', 8, 'a decimal number'],
    [' 5', 8, 'a decimal number'],
    ['0x10', 8, 'a decimal number'],
    ['NaN', 8, 'a decimal number'],
    ['0.000', 8, 'more than 0'],
    ['0.123456789', 8, 'at most 8 decimals'],
    ['1.5', 0, 'at most 0 decimals'],
    ['21000000.00000001', 8, 'at most 21000000.00000000'],
  ])('"%s" with %i decimals is refused: %s', (text, precision, expected) => {
    expect(() => parseAmount('--amount', text, precision)).toThrow(refusal(`--amount: expected ${expected}`));
  });
  it('reads back what it prints, at every precision', () => {
    fc.assert(
      fc.property(fc.bigInt(1n, 2_100_000_000_000_000n), fc.integer({ min: 0, max: 8 }), (units, precision) => {
        expect(parseAmount('x', formatAmount(units, precision), precision)).toBe(units);
      }),
    );
  });
  it('is shown with its exact integer', () => {
    expect(describeAmount(1_250n, 2, 'GOLD')).toBe('12.50 GOLD (1250)');
    expect([describeMsat(26_125_000n), describeMsat(1_001n)]).toEqual([
      '26125 sat (26125000 msat)',
      '1.001 sat (1001 msat)',
    ]);
  });
});

describe('an asset by name', () => {
  const gold = { assetId: assetId('11'.repeat(32)), ticker: 'GOLD', precision: 2 };
  const fake = { assetId: assetId('22'.repeat(32)), ticker: 'gold', precision: 2 };
  it('is found by ticker in any case, or by id', () => {
    expect([findAsset('gold', [gold]), findAsset(gold.assetId, [fake, gold])]).toEqual([gold, gold]);
  });
  it('is refused when a ticker names two assets, unless one of them is verified', () => {
    expect(() => findAsset('GOLD', [gold, fake])).toThrow('2 assets called "GOLD"; give the id');
    expect(findAsset('GOLD', [gold, fake], [gold])).toBe(gold);
  });
  it('is refused when the ticker stands for another id than the verified one', () => {
    expect(() => findAsset('GOLD', [fake], [gold])).toThrow('expected one of');
    expect(() => findAsset('SILVER', [])).toThrow('(no offers)');
  });
});

describe('JSON', () => {
  it('has names of enums, hex, ids in display order and 64-bit integers as text', () => {
    const swap = Swap.fromPartial({
      swapId: Buffer.of(1, 2),
      status: SwapStatus.FUNDED,
      paymentStatus: PaymentStatus.HELD,
      nextAction: NextAction.BUYER_PAYS,
      fundingTxid: Buffer.of(1, 2, 3),
      outpoints: [{ txid: Buffer.of(1, 2, 3), vout: 1, assetId: Buffer.of(9, 8), value: 2n ** 60n }],
      refundHeight: 7,
    });
    expect(toJson(swap)).toMatchObject({
      swap_id: '0102',
      status: 'FUNDED',
      payment_status: 'HELD',
      next_action: 'BUYER_PAYS',
      funding_txid: '030201',
      claim_txid: '',
      outpoints: [{ txid: '030201', vout: 1, asset_id: '0809', value: '1152921504606846976' }],
      refund_height: 7,
      price_msat: '0',
    });
  });
  it('leaves out what is undefined and keeps null', () => {
    expect(toJson({ claimTxid: undefined, preimage: null, isOk: true })).toEqual({ preimage: null, is_ok: true });
  });
  it('shows a status that this program does not know yet', () => {
    expect(toJson({ status: 99 })).toEqual({ status: 'UNRECOGNIZED' });
  });
});

describe('exit codes', () => {
  const remote = (outcome: RemoteError['outcome']): RemoteError =>
    new RemoteError({ code: 'x', outcome, message: 'm', violations: [], cause: undefined });
  it.each([
    ['a refusal by the seller', remote('refused'), 1],
    ['a wrong request', remote('wrong_usage'), 2],
    ['a seller that is away', remote('unavailable'), 4],
    ['a fault of the seller', remote('failed'), 1],
    ['a wrong argument', new SwapError('invalid_argument', 'm'), 2],
    ['a wrong configuration', new SwapError('bad_config', 'm'), 2],
    ['a chain that is away', new SwapError('chain_unavailable', 'm'), 4],
    ['a refused verification', new BuyerError('verification_refused', 'm'), 3],
    ['a seller that changed its node', new BuyerError('seller_node_changed', 'm'), 3],
    ['an unknown swap', new BuyerError('unknown_swap', 'm'), 1],
    ['a bug', new TypeError('m'), 1],
  ])('of %s', (_, error, exitCode) => {
    expect(describeFailure(error).exitCode).toBe(exitCode);
  });
  it('tell claimed from unpaid and from pending', () => {
    expect(EXIT_OF_STEP).toMatchObject({ claimed: 0, unpaid: 5, lost: 1, quoted: 4, paying: 4, claiming: 4 });
  });
  it('come with one line, whatever the message was', () => {
    const error = new SwapError('bad_config', 'refused:\n  a: b\n  c: d', {
      violations: [{ field: 'f', description: 'g' }],
    });
    expect(failureLine(describeFailure(error))).toBe('bad_config: refused: · a: b · c: d (f: g)');
  });
});
