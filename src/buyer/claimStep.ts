/** The claim of a purchase: kit, signed versions on disk, each followed until one is final. */
import { join } from 'node:path';

import { claimKey } from '../core/keys.js';
import { hex, preimage, type Preimage } from '../core/units.js';
import { SwapError } from '../errors.js';
import type { Coin } from '../liquid/wallet.js';
import type { Buyer } from './buyer.js';
import type { ClaimSource } from './claim.js';
import type { ClaimVersion } from './claimBump.js';
import { followClaim, type FollowOptions } from './claimFollow.js';
import { writeClaimKit } from './claimKit.js';
import { beginClaim, signVersion, type ClaimNeed, type PricedVersion } from './claimSign.js';
import { purchaseFolder, saveRecord } from './dataDir.js';
import type { Drive, DriveOptions } from './drive.js';
import type { Progress, PurchaseRecord, StoredClaim, StoredHtlc } from './record.js';
import { pause } from './wait.js';
import { lockWallet } from './walletLock.js';

/** Another program that chooses coins does not keep a claim waiting for longer than this. */
const LOCK_MS = 30_000;
/** Between two tries to pay a fee that nothing can pay. */
const RETRY_MS = 5_000;

/** What the claim of a purchase is signed from. */
export function claimSource(buyer: Buyer, record: PurchaseRecord, htlc: StoredHtlc): ClaimSource {
  return {
    network: record.deal.network,
    paymentHash: htlc.paymentHash,
    witnessScript: Buffer.from(htlc.witnessScript, 'hex'),
    refundHeight: htlc.refundHeight,
    outpoints: htlc.outpoints,
    fundingTx: Buffer.from(htlc.fundingTx, 'hex'),
    privateKey: claimKey(buyer.seed, record.deal.network, record.number).privateKey,
    payoutScript: Buffer.from(record.payout.scriptPubKey, 'hex'),
    blindingPubkey: record.payout.blindingPubkey ?? undefined,
    changeScript: record.payout.changeScript === undefined ? undefined : Buffer.from(record.payout.changeScript, 'hex'),
  };
}

/** Where the claim kit of a purchase lies. */
export const claimKitFile = (dir: string, number: number): string =>
  join(purchaseFolder(dir, number), 'claim-kit.json');

/** Writes the claim kit; again with the preimage once it is known. */
export function writeKit(buyer: Buyer, record: PurchaseRecord, htlc: StoredHtlc, secret: Preimage | undefined): void {
  writeClaimKit(claimKitFile(buyer.dir, record.number), {
    genesis: record.deal.genesis,
    swapId: htlc.swapId,
    source: claimSource(buyer, record, htlc),
    preimage: secret,
    bolt11: htlc.bolt11,
    electrum: buyer.chains.map(({ name }) => name),
  });
}

/** Driving a claim takes no more of a purchase under way. */
type ClaimDrive = Pick<Drive, 'buyer' | 'options'>;
type Claiming = Extract<Progress, { step: 'claiming' }>;

const storedClaim = ({ txid, raw, height }: ClaimVersion): StoredClaim => ({ txid, raw: hex(raw), height });

/** Signs the claim; it is broadcast only after it is on disk. Undefined while nothing can pay its fee. */
export async function prepareClaim(
  drive: ClaimDrive,
  record: PurchaseRecord,
  paid: Extract<Progress, { step: 'paid' }>,
): Promise<Progress | undefined> {
  const begun = await beginClaim(drive.buyer, claimSource(drive.buyer, record, paid.htlc));
  const claiming: Claiming = { ...paid, step: 'claiming', claims: [] };
  if ('refunded' in begun) return { step: 'lost', htlc: paid.htlc, refundTxid: begun.refunded };
  if ('seen' in begun) return { ...claiming, claims: [storedClaim(begun.seen)] };
  const next = await signNext(drive, record, claiming, begun.need);
  if (next === undefined) await pause(RETRY_MS, drive.options.signal);
  return next?.progress;
}

/** The claim's versions are on disk; they may be broadcast any number of times. */
export async function finishClaim(
  drive: ClaimDrive,
  record: PurchaseRecord,
  claiming: Claiming,
): Promise<Progress | undefined> {
  const { buyer, options } = drive;
  const source = claimSource(buyer, record, claiming.htlc);
  const versions = claiming.claims.map(({ txid, raw, height }) => ({ txid, raw: Buffer.from(raw, 'hex'), height }));
  let stuckAt: ClaimVersion['height'];
  for (;;) {
    const end = await followClaim(buyer, source, { versions, stuckAt, ...claimTold(options) });
    switch (end.kind) {
      case 'claimed':
        return { step: 'claimed', htlc: claiming.htlc, claimTxid: end.txid };
      case 'refunded':
        return { step: 'lost', htlc: claiming.htlc, refundTxid: end.txid };
      case 'pending':
        return undefined;
      case 'bump': {
        const next = await signNext(drive, record, claiming, end);
        if (next === undefined) {
          stuckAt = end.tipHeight;
          break;
        }
        const { txid, feeSat } = next.version;
        options.onEvent({ kind: 'claim', news: { kind: 'bumped', reason: end.reason, txid, feeSat } });
        return next.progress;
      }
      default:
        throw new Error(`unknown end ${JSON.stringify(end satisfies never)}`);
    }
  }
}

/** What following a claim tells, as events of whoever drives it. */
export function claimTold({
  signal,
  onEvent,
}: Pick<DriveOptions, 'signal' | 'onEvent'>): Pick<FollowOptions, 'signal' | 'onNews' | 'onTrouble'> {
  return {
    signal,
    onNews: (news) => {
      onEvent({ kind: 'claim', news });
    },
    onTrouble: (error) => {
      onEvent({ kind: 'waiting', problem: error.message });
    },
  };
}

/** The next version behind those that are stored; undefined if nothing can pay for it. */
async function signNext(
  drive: ClaimDrive,
  record: PurchaseRecord,
  claiming: Claiming,
  need: ClaimNeed,
): Promise<{ readonly progress: Claiming; readonly version: PricedVersion } | undefined> {
  const { buyer } = drive;
  const source = claimSource(buyer, record, claiming.htlc);
  const turn: { end?: () => void } = {};
  const coins = async (): Promise<readonly Coin[]> => {
    turn.end = await lockWallet(buyer.dir, LOCK_MS, drive.options.signal);
    const earlier = claiming.claims.map(({ raw }) => Buffer.from(raw, 'hex'));
    return await buyer.wallet.feeCoins({ number: record.number, earlier });
  };
  const { change, sign } = buyer.wallet;
  const wallet = { change, sign, coins: async () => await coinsOrNone(drive, coins) };
  try {
    const version = await signVersion(source, preimage(Buffer.from(claiming.preimage, 'hex')), need, wallet);
    const progress = { ...claiming, claims: [...claiming.claims, storedClaim(version)] };
    // Others look at the disk for coins that are taken, so the version is there before it is their turn.
    if (turn.end !== undefined) saveRecord(buyer.dir, { ...record, progress });
    return { progress, version };
  } catch (error) {
    if (!(error instanceof SwapError && error.code === 'feerate_too_high')) throw error;
    drive.options.onEvent({ kind: 'waiting', problem: `${error.message}${await depositHint(buyer)}` });
    return undefined;
  } finally {
    turn.end?.();
  }
}

/** A wallet that cannot be read has no coins: the claim goes out with what the HTLC holds. */
async function coinsOrNone({ options }: ClaimDrive, coins: () => Promise<readonly Coin[]>): Promise<readonly Coin[]> {
  try {
    return await coins();
  } catch (error) {
    if (!(error instanceof SwapError) || options.signal.aborted) throw error;
    options.onEvent({ kind: 'waiting', problem: `own L-BTC cannot help the claim: ${error.message}` });
    return [];
  }
}

async function depositHint({ wallet }: Buyer): Promise<string> {
  try {
    return `; L-BTC sent to ${(await wallet.look()).address} can pay it after one confirmation`;
  } catch (error) {
    if (!(error instanceof SwapError)) throw error;
    return '';
  }
}
