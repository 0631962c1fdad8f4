// The person of the run: decides on every open approval, as the seed says, whenever the broker is there to be told.
import { diceOf } from '../fuzz/dice.ts';
import type { Client } from './client.ts';

interface Open {
  readonly approval_id: string;
  readonly deed_digest: string;
}

const LOOKS_EVERY_MS = 150;

/** Answers how to end: the person finishes what is at hand. */
export function startApprover(seed: number, client: Client): { stop(): Promise<void> } {
  let stopped = false;
  const dice = diceOf(seed, 0);
  const working = (async () => {
    while (!stopped) {
      const listed = (await client.ask('GET', '/v1/approvals?status=open')) as {
        readonly approvals?: readonly Open[];
      };
      for (const { approval_id, deed_digest } of listed?.approvals ?? []) {
        const verdict = dice.odds(0.85) ? 'approve' : 'reject';
        await client.ask('POST', `/v1/approvals/${approval_id}/votes`, { verdict, deed_digest });
      }
      await new Promise((resolve) => setTimeout(resolve, LOOKS_EVERY_MS));
    }
  })();
  return {
    async stop() {
      stopped = true;
      await working;
    },
  };
}
