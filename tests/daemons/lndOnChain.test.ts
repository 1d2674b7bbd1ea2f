/** A settled payment that went back to the payer on the chain: lnd calls it settled and claimed, and has no money. */
import { getChainTransactions, getClosedChannels } from 'lightning';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { isOwnTx } from '../../src/lightning/lnd/invoices.js';
import { openRpc } from '../../src/lightning/lnd/rpc.js';
import { bakeMacaroon } from '../support/daemons/bakedMacaroon.js';
import { daemonBinary } from '../support/daemons/binaries.js';
import { startLndPair, type LndPair } from '../support/daemons/lndPair.js';
import { eventually } from '../support/eventually.js';
import { OURS, ranAgainst } from '../support/interoperability.js';

const isBuilt = ['btcd', 'lnd', 'lncli'].every((name) => daemonBinary(name as 'lnd') !== undefined);
const SLOW = 300_000;

describe.skipIf(!isBuilt)('a payment that lnd settled', { timeout: SLOW }, () => {
  let pair: LndPair;
  beforeAll(async () => {
    pair = await startLndPair();
  }, SLOW);
  afterAll(async () => {
    await pair.close();
  }, SLOW);
  ranAgainst(() => ({
    ours: [OURS.lnd],
    what: 'settled payments that end on the chain',
    software: [...pair.software],
  }));

  /** Mines block by block, so that lnd acts in between, until the condition holds. */
  const mineUntil = async (what: string, probe: () => Promise<boolean>): Promise<void> => {
    let blocks = 0;
    await eventually(
      what,
      async () => {
        if (await probe()) return true;
        if (blocks++ > 200) throw new Error(`not within 200 blocks: ${what}`);
        await pair.mine(1);
        await new Promise((done) => setTimeout(done, 200));
        return false;
      },
      SLOW,
    );
  };

  it('and took on the chain itself is told as received', async () => {
    const { paymentHash, preimage } = await pair.held({ minFinalCltvDelta: 24 });
    await pair.payer.node.stop('SIGKILL');
    await pair.payee.port.settleInvoice(preimage);
    const settled = await pair.inState(paymentHash, 'SETTLED');
    expect(settled).toMatchObject({ isHtlcPending: true, isTimedOutOnChain: false });
    await pair.mine(12); // lnd acts ten blocks before the timeout
    await mineUntil('the money', async () => {
      const invoice = await pair.payee.port.lookupInvoice(paymentHash);
      expect(invoice).toMatchObject({ isTimedOutOnChain: false });
      return invoice?.isHtlcPending === false;
    });
    const { channels } = await getClosedChannels({ lnd: pair.payee.node.lnd });
    expect(channels).toHaveLength(1);
  });
  it('was taken only if lnd made the transaction: whoever spends an HTLC can pay the wallet as well', async () => {
    const { node } = pair.payee;
    const { rpcAddress: address, tlsCertFile } = node;
    const rpc = openRpc({ address, tlsCertFile, macaroonFile: await bakeMacaroon(node, 'swapd.macaroon') });
    const { transactions } = await getChainTransactions({ lnd: node.lnd });
    const isOwn = await Promise.all(transactions.map(({ id }) => isOwnTx(rpc, id)));
    rpc.close();
    const from = (wanted: boolean) => transactions.filter((_, i) => isOwn[i] === wanted);
    expect(from(true).map(({ description }) => description)).toContain('0:sweep');
    expect(from(false).some(({ is_outgoing, tokens }) => !is_outgoing && tokens > 1_000_000)).toBe(true);
  });
  it('and that nobody took in time, in a channel without anchors, is not told as received', async () => {
    await pair.payer.node.start();
    await pair.openChannel(5_000_000n, 'STATIC_REMOTE_KEY');
    const { paymentHash, preimage } = await pair.held({ minFinalCltvDelta: 24 });
    await pair.payer.node.stop('SIGKILL');
    await pair.payee.port.settleInvoice(preimage);
    await pair.inState(paymentHash, 'SETTLED');
    await pair.payee.node.stop('SIGKILL');
    await pair.mine(40);
    await pair.payee.node.start();
    await mineUntil('the seller knows', async () => {
      const invoice = await pair.payee.port.lookupInvoice(paymentHash);
      expect(invoice?.isHtlcPending === false && !invoice.isTimedOutOnChain).toBe(false);
      return invoice?.isTimedOutOnChain === true;
    });
  });
});
