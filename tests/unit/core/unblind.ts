/** Opens confidential outputs as their owner would, with the library's own code. */
import { confidential, type Transaction } from 'liquidjs-lib';

import { ZERO_BLINDER, type Blinded, type Zkp } from '../../../src/core/blind.js';
import { explicitOutput } from '../../../src/core/funding.js';
import { assetAmount, assetId, displayHex } from '../../../src/core/units.js';

type LibraryZkp = ConstructorParameters<typeof confidential.Confidential>[0];

/** Amount, asset and blinders of an output; throws if the key does not open it or a proof is wrong. */
export function openOutput(zkp: Zkp, output: Transaction['outs'][number], blindingPrivateKey: Buffer): Blinded {
  const explicit = explicitOutput(output);
  if (explicit !== undefined) return { ...explicit, assetBlinder: ZERO_BLINDER, valueBlinder: ZERO_BLINDER };
  const library = new confidential.Confidential(zkp as LibraryZkp);
  const opened = library.unblindOutputWithKey(output, blindingPrivateKey);
  if (!library.rangeProofVerify(output.rangeProof ?? Buffer.alloc(0), output.value, output.asset, output.script)) {
    throw new Error('the range proof does not verify');
  }
  return {
    assetId: assetId(displayHex(opened.asset)),
    value: assetAmount(BigInt(opened.value)),
    assetBlinder: opened.assetBlindingFactor,
    valueBlinder: opened.valueBlindingFactor,
  };
}
