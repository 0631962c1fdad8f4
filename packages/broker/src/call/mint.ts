// Mint: a credential for this call only, and only once the call is admitted.
import { problem } from '@countersign/contract/problem.ts';
import { type MintedForCall, mintFor } from './attempt.ts';
import type { Admitted, Minted } from './call.ts';
import type { Stage, Step } from './step.ts';
import type { World } from './world.ts';

/** Ends with `credential_unavailable`. The credential lives in memory, between here and the end of the attempt. */
export const mint: Stage<Admitted, Minted> = (call, world) => {
  const minted = mintFor(call, 'call', call.deed.credentialScope, world);
  return minted instanceof Promise
    ? minted.then((later) => mintedStep(call, later, world))
    : mintedStep(call, minted, world);
};

function mintedStep(call: Admitted, minted: MintedForCall, world: World): Step<Minted> {
  if (!minted.ok) {
    world.log.error('no credential', {
      call: call.id,
      connector: call.tool.connector,
      reason: minted.reason,
    });
    return {
      stop: problem('credential_unavailable', 'The broker could not get a credential for this call.'),
    };
  }
  return { go: { ...call, credential: minted.credential } };
}
