// The broker's own work between requests: resuming, expiring, telling people, signing, forgetting what is used up.
import { refreshHalts } from '#call/refresh-halts.ts';
import { refreshRevoked } from '#call/refresh-revoked.ts';
import { tendKeys } from '#call/rotate-keys.ts';
import type { World } from '#call/world.ts';
import type { WebhookSender } from '#connectors/webhook-sender.ts';
import type { TokenKeeper } from '#identity/create-identity.ts';
import { purgeAssertions } from '#store/assertions.ts';
import { logs, signCheckpoint } from '#store/ledger.ts';
import { purgeUse } from '#store/quotas.ts';
import { purgeRevoked } from '#store/revocations.ts';
import { closeDecided } from './close-held.ts';
import { announceAlerts, deliverAlerts } from './deliver-alerts.ts';
import { recordUses } from './record-uses.ts';
import { recoverStranded } from './recover-intents.ts';
import { resumeApproved } from './resume-approved.ts';
import { revokeLeases } from './revoke-leases.ts';
import { settleDoubts } from './settle-doubts.ts';

const APPROVALS_EVERY_MS = 2_000;
const CHECKPOINT_EVERY_MS = 1_000;
const DOUBTS_EVERY_MS = 1_000;
const HALTS_EVERY_MS = 1_000;
const REVOKED_EVERY_MS = 1_000;
const KEYS_EVERY_MS = 60_000;
const LEASES_EVERY_MS = 2_000;
const STRANDED_EVERY_MS = 5_000;
const ALERTS_EVERY_MS = 2_000;
const USES_EVERY_MS = 60_000;
const PURGE_EVERY_MS = 60_000;
const QUOTAS_EVERY_MS = 3_600_000;
/** How long the counts of a window are kept after its end. */
const QUOTAS_KEEP_MS = 2 * 86_400_000;

export interface Jobs {
  /** Ends the loops and waits for what is under way. */
  stop(): Promise<void>;
}

/** Starts the loops. A job that fails is logged and tried again at its next turn; none stops another. */
export function runJobs(world: World, keeper: TokenKeeper, send: WebhookSender): Jobs {
  const stopping = new AbortController();
  const underWay = new Set<string>();
  const resumings = new Set<Promise<unknown>>();
  const loops = [
    loop(world, stopping.signal, 'approvals', APPROVALS_EVERY_MS, async () => {
      await closeDecided(world);
      // Not awaited: one slow deed must not keep the others, rejections and expiries waiting.
      const resuming = resumeApproved(world, underWay).catch((error: Error) =>
        world.log.error('a job failed', { job: 'resume', why: error.message }),
      );
      resumings.add(resuming);
      void resuming.finally(() => resumings.delete(resuming));
    }),
    loop(world, stopping.signal, 'doubts', DOUBTS_EVERY_MS, () => settleDoubts(world)),
    loop(world, stopping.signal, 'halts', HALTS_EVERY_MS, () => refreshHalts(world)),
    loop(world, stopping.signal, 'revoked', REVOKED_EVERY_MS, () => refreshRevoked(world, keeper)),
    loop(world, stopping.signal, 'keys', KEYS_EVERY_MS, () => tendKeys(world, keeper)),
    loop(world, stopping.signal, 'leases', LEASES_EVERY_MS, () => revokeLeases(world)),
    loop(world, stopping.signal, 'uses', USES_EVERY_MS, () => recordUses(world)),
    loop(world, stopping.signal, 'stranded', STRANDED_EVERY_MS, () => recoverStranded(world)),
    loop(world, stopping.signal, 'alerts', ALERTS_EVERY_MS, async () => {
      await announceAlerts(world);
      world.signals.notify('alert-deliveries');
    }),
    // Apart: a receiver that hangs keeps no alert out of the log.
    loop(world, stopping.signal, 'alert-deliveries', ALERTS_EVERY_MS, () =>
      deliverAlerts(world, send, stopping.signal),
    ),
    loop(world, stopping.signal, 'checkpoints', CHECKPOINT_EVERY_MS, () => signCheckpoints(world)),
    loop(world, stopping.signal, 'assertions', PURGE_EVERY_MS, () =>
      world.store.write(async (tx) => {
        await purgeAssertions(tx, world.clock.now());
        await purgeRevoked(tx, world.clock.now());
      }),
    ),
    loop(world, stopping.signal, 'quotas', QUOTAS_EVERY_MS, () =>
      world.store.write((tx) => purgeUse(tx, world.clock.now() - QUOTAS_KEEP_MS)),
    ),
  ];
  return {
    async stop() {
      stopping.abort();
      await Promise.all([...loops, ...resumings]);
    },
  };
}

/** Signs every log that has grown since its last checkpoint. */
export async function signCheckpoints(world: World): Promise<void> {
  for (const log of await world.store.read((tx) => logs(tx))) {
    await signCheckpoint(world.store, log, world.signer, world.clock.now());
  }
}

async function loop(
  world: World,
  stopping: AbortSignal,
  topic: string,
  every_ms: number,
  work: () => Promise<unknown>,
): Promise<void> {
  while (!stopping.aborted) {
    // Listening before working: a vote that comes during the work is not missed.
    const woken = world.signals.wait(topic, every_ms, stopping);
    try {
      await work();
    } catch (error) {
      world.log.error('a job failed', { job: topic, why: (error as Error).message });
    }
    await woken;
  }
}
