/** `swap buy --dry-run`: the quote judged, the plan, and every check that can be made before a swap exists. */
import { genesisOf, nowSecs, type ChainSide } from '../buyer/buyer.js';
import { openLightning, whyCannotPay } from '../buyer/connect.js';
import { acceptedTip, isInitialized, pinnedSeller } from '../buyer/dataDir.js';
import { askAll } from '../buyer/observe.js';
import type { SellerQuote } from '../buyer/quote.js';
import { refuseBadQuote } from '../buyer/quoteCheck.js';
import { decodePayout } from '../core/payout.js';
import { judgeTips } from '../core/tipRule.js';
import { safeTotalCltvDelta } from '../core/timelock.js';
import { msat } from '../core/units.js';
import { SwapError } from '../errors.js';
import { count, describeAmount, describeMsat } from './amount.js';
import { describeFailure, EXIT, type ExitCode } from './exit.js';
import { limitsOf, order, type WishOptions } from './order.js';
import { colour } from './output.js';
import { withChains, withSeller, type Run } from './run.js';
import { lightningNode, loggerOf } from './settings.js';
import { describeQuote } from './views.js';

type Options = WishOptions & {
  readonly asset: string;
  readonly amount: string;
  readonly pay?: 'node' | 'external' | undefined;
};

/** One thing that can be known now. */
type Finding = { readonly what: string; readonly ok: boolean; readonly found: string };

/** The final CLTV that the protocol fixes for a seller's invoice, Bitcoin blocks. */
const FINAL_CLTV_DELTA = 42;

/** Makes every check and prints the plan. Writes no file, and the seller gets no more than a request for a quote. */
export async function dryRun(run: Run, options: Options): Promise<ExitCode> {
  const stored = await withSeller(run, async (client) => await order(run, client, options));
  const { quote, offer, ticker, precision } = stored;
  const available = describeAmount(offer.availableAssetAmount, precision, ticker);
  const findings = await withChains(run, async (side) => [
    await attempt('your Electrum servers', async () => await judgeServers(run, side)),
    await attempt('the quote', async () => await judgeQuote(side, quote, options)),
    await attempt('the time that a payment may take', () => Promise.resolve(judgeTime(side, quote))),
    await attempt('where the asset goes', () => Promise.resolve(judgePayout(side, options.payout))),
    await judgePayer(run, side, options.pay),
  ]);
  const checks: Finding[] = [
    {
      what: "the seller's stock",
      ok: offer.availableAssetAmount >= quote.assetAmount,
      found: `${available} available`,
    },
    judgeNodeId(run, quote),
    ...findings,
    judgeMnemonic(run),
  ];
  const ok = checks.every((finding) => finding.ok);
  const steps = plan(quote, options, describeAmount(quote.assetAmount, precision, ticker));
  run.out.result({ dryRun: true, ok, ticker, precision, quote, checks, steps }, () =>
    [
      describeQuote(quote, ticker, precision),
      '',
      'What would be done:',
      ...steps.map((step, i) => `  ${i + 1}. ${step}`),
      '',
      'What can be checked now:',
      ...checks.map((each) => `  ${mark(each.ok)} ${each.what}: ${each.found}`),
      '',
      ok
        ? 'dry run: nothing was stored or started; all is well'
        : 'dry run: nothing was stored or started; this would not work yet',
    ].join('\n'),
  );
  return ok ? EXIT.done : EXIT.refused;
}

const mark = (ok: boolean): string => (ok ? colour('green', 'ok  ') : colour('red', 'FAIL'));

/** A check that throws has failed; what it says is what was found. */
async function attempt(what: string, check: () => Promise<string>): Promise<Finding> {
  try {
    return { what, ok: true, found: await check() };
  } catch (error) {
    const { code, message } = describeFailure(error);
    if (code === 'internal') throw error;
    return { what, ok: false, found: message };
  }
}

const refuse = (problem: string): never => {
  throw new SwapError('chain_unavailable', problem);
};

async function judgeServers({ settings }: Run, side: ChainSide): Promise<string> {
  const { network, chains, isSingleServerTrusted } = side;
  const { answers, failures } = await askAll(chains, async ({ chain }) => await chain.tip());
  const [failure] = failures;
  if (failure !== undefined) refuse(`expected all ${chains.length} to answer, found: ${failure.message}`);
  if (network === 'liquidv1' && chains.length < 2 && !isSingleServerTrusted) {
    refuse('expected two of different operators, found one; give another --electrum or --trust-single-electrum');
  }
  const lastAccepted = acceptedTip(settings.dataDir, genesisOf(network));
  const verdict = judgeTips({ tips: answers, network, now: nowSecs(), lastAccepted });
  return verdict.ok
    ? `${chains.length} of ${chains.length} on ${network}, height ${verdict.height}`
    : refuse(verdict.problem);
}

async function judgeQuote(side: ChainSide, quote: SellerQuote, options: WishOptions): Promise<string> {
  const { minFundingConfs, maxPriceMsat } = limitsOf(options);
  await refuseBadQuote(side, quote, { minFundingConfs: minFundingConfs ?? quote.minFundingConfs, maxPriceMsat });
  return `within your limits; binds nobody, good for ${quote.expiresAt - nowSecs()} s`;
}

/** As it will be if the funding confirms as fast as it can. */
function judgeTime({ network }: ChainSide, quote: SellerQuote): string {
  const regtest = network === 'regtest' && quote.profile === 'regtest';
  const blocksLeft = quote.refundDeltaBlocks - quote.minFundingConfs;
  const cap = safeTotalCltvDelta({ blocksLeft, finalCltvDelta: FINAL_CLTV_DELTA, regtest });
  if (cap === undefined)
    return refuse(`expected time for a payment, found ${blocksLeft} blocks until the refund opens`);
  return `about ${blocksLeft} Liquid blocks until the refund opens, so a total CLTV of at most ${cap} Bitcoin blocks`;
}

function judgePayout({ network }: ChainSide, payout: string | undefined): string {
  if (payout === undefined) return "the next address of this buyer's own wallet";
  const { blindingPubkey } = decodePayout(payout, network);
  return `${payout} (${blindingPubkey === undefined ? 'plain' : 'confidential: the claim is larger'})`;
}

/** As a purchase would judge it, but nothing is pinned. */
function judgeNodeId({ settings }: Run, quote: SellerQuote): Finding {
  const { node_id: given, address = '' } = settings.config.seller;
  const known = given ?? pinnedSeller(settings.dataDir, address);
  const what = "the seller's Lightning node";
  if (known === undefined) {
    return { what, ok: true, found: `${quote.sellerNodeId}; would be pinned now: compare it with a source you trust` };
  }
  const ok = known === quote.sellerNodeId;
  return { what, ok, found: ok ? `${known}, as known` : `${quote.sellerNodeId} instead of ${known}` };
}

async function judgePayer({ settings }: Run, { network }: ChainSide, who: Options['pay']): Promise<Finding> {
  const what = 'who pays';
  if (who === 'external') {
    return { what, ok: true, found: 'you, from another wallet, within its limit of the total CLTV' };
  }
  const endpoint = lightningNode(settings);
  if (endpoint === undefined) {
    return { what, ok: false, found: 'no Lightning node; give --lightning-address, or pay with --pay external' };
  }
  return await attempt(what, async () => {
    const node = openLightning(endpoint, loggerOf(settings));
    try {
      const problem = await whyCannotPay(node, network);
      if (problem !== undefined) refuse(problem);
      const { nodeId, blockHeight } = await node.getInfo();
      return `our Lightning node ${nodeId}, synced to Bitcoin block ${blockHeight}`;
    } finally {
      node.close();
    }
  });
}

function judgeMnemonic({ settings }: Run): Finding {
  const what = 'your keys';
  if (isInitialized(settings.dataDir)) return { what, ok: true, found: `a mnemonic in ${settings.dataDir}` };
  if (settings.isWorld) return { what, ok: true, found: 'none yet; a world makes one for its buyer by itself' };
  return { what, ok: false, found: `no mnemonic in ${settings.dataDir}; run: swap init` };
}

function plan(quote: SellerQuote, options: Options, amount: string): string[] {
  const confs = options.confs ?? quote.minFundingConfs;
  const fee = limitsOf(options).maxFeeSat;
  const maxFee = describeMsat(fee === undefined ? msat(quote.priceMsat / 100n + 10_000n) : msat(fee * 1000n));
  const pays = options.pay === 'external' ? 'show you the invoice to pay from another wallet' : 'pay it from your node';
  return [
    `store the order, and ask the seller to lock ${amount} for ${quote.refundDeltaBlocks} Liquid blocks`,
    `wait until the funding is ${count(confs, 'block')} deep, about ${count(confs, 'minute')} on a real chain`,
    'make every check of the swap on your own servers, and stop if one fails',
    `write the claim kit, then ${pays}: ${describeMsat(quote.priceMsat)}${options.pay === 'external' ? '' : `, at most ${maxFee} for routing`}`,
    'claim the asset with the preimage, and wait for 2 confirmations',
  ];
}
