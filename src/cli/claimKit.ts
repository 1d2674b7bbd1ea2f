/** Claiming from a kit, whose preimage a person may bring. */
import type { ChainSide } from '../buyer/buyer.js';
import { claimFromKit } from '../buyer/claimFromKit.js';
import { readClaimKit } from '../buyer/claimKit.js';
import { withTimeout } from '../buyer/wait.js';
import { preimage as toPreimage, type Preimage } from '../core/units.js';
import { SwapError } from '../errors.js';
import { EXIT, type ExitCode } from './exit.js';
import { readLine } from './input.js';
import { narrate } from './progress.js';
import { withChains, type Run } from './run.js';

/** Works with nothing but the kit and Electrum servers: the kit's own if none are given. */
export async function claimKit(
  run: Run,
  path: string,
  options: { readonly timeout: number; readonly preimageStdin: boolean },
): Promise<ExitCode> {
  const kit = readClaimKit(path);
  const preimage = kit.preimage ?? (await readKitPreimage(run, options.preimageStdin));
  const tell = (): string =>
    'The kit and its file stay as they are: run the same command again before the refund height.';
  const signal = withTimeout(run.interruptible(tell), options.timeout * 1000);
  const narrator = narrate(run.out);
  const body = async (side: ChainSide): Promise<ExitCode> => {
    const end = await claimFromKit(side, path, { signal, onEvent: narrator.onEvent, preimage });
    narrator.close();
    run.out.result(end, () => (end.kind === 'pending' ? 'claim: pending' : `${end.kind}: ${end.txid}`));
    if (end.kind === 'pending') return EXIT.unknown;
    return end.kind === 'claimed' ? EXIT.done : EXIT.failed;
  };
  try {
    return await withChains(run, body, kit.electrum);
  } finally {
    narrator.close();
  }
}

/** From stdin if that was asked for; on a terminal by a question. Nothing: it is looked for on the chain. */
async function readKitPreimage(run: Run, isStdin: boolean): Promise<Preimage | undefined> {
  if (!isStdin && !process.stdin.isTTY) return undefined;
  if (!isStdin)
    run.out.progress('The kit has no preimage. Type it (64 hex digits, not shown), or Enter to look on the chain:');
  const text = (await readLine('the preimage, 64 hex digits')).trim().toLowerCase();
  if (text === '' && !isStdin) return undefined;
  if (!/^[0-9a-f]{64}$/.test(text)) {
    throw new SwapError('invalid_argument', `preimage: expected 64 hex digits, found ${text.length} characters`);
  }
  return toPreimage(Buffer.from(text, 'hex'));
}
