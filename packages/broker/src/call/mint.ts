// Mint: a credential for this call only, and only once the call is admitted.
import { problem } from '@countersign/contract/problem.ts';
import { mintFor } from './attempt.ts';
import type { Admitted, Minted } from './call.ts';
import type { Stage } from './step.ts';

/** Ends with `credential_unavailable`. The credential lives in memory, between here and the end of the attempt. */
export const mint: Stage<Admitted, Minted> = async (call, world) => {
  const minted = await mintFor(call, call.deed.credentialScope, world);
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
  return { go: { credential: minted.credential } };
};
