// Leases: a credential of one call is put on record before it is used, and revoked when the call is over.
import type { Json } from '@countersign/contract/json.ts';
import type { Credential } from '#rules/credential.ts';
import { draftEntry, type Facts } from '#rules/ledger-entry.ts';
import { backoff_ms, chanceOf } from '#rules/retry.ts';
import { closeLease, openLease, postponeLease, type StoredLease } from '#store/leases.ts';
import type { Validated } from './call.ts';
import { tenantLog } from './logs.ts';
import type { World } from './world.ts';

/** No provider's credential of one call outlives this; what says nothing of its end is taken to end then. */
const LONGEST_MS = 24 * 3_600_000;
/** Clocks differ: a credential counts as over only this long after its end. */
const SKEW_MS = 60_000;
const BACKOFF = { base_ms: 2_000, max_ms: 300_000 };

/** Whether the credentials of a connector are minted for each call anew. */
export function isPerCall(call: Validated, world: World): boolean {
  const grade = world.credentials(call.bundle).describe(call.tool.connector)?.grade;
  return grade === 'A' || grade === 'B';
}

/**
 * Puts a fresh credential of the call on record: a crash from here on leaves a lease that the next start revokes. False
 * when it could not be recorded; then it is revoked at once and must not be used.
 */
export async function recordLease(call: Validated, credential: Credential, world: World): Promise<boolean> {
  const lease = leaseOf(call, credential, world);
  if (lease !== null) {
    try {
      await world.store.write((tx) => openLease(tx, lease, world.clock.now()));
    } catch (error) {
      world.log.error('a credential could not be put on record, and is not used', {
        call: call.id,
        why: (error as Error).message,
      });
      await world
        .credentials(call.bundle)
        .revoke(lease)
        .catch(() => undefined);
      return false;
    }
  }
  world.leases.hold(call.id, { connector: call.tool.connector, credential });
  return true;
}

type Lease = Omit<StoredLease, 'tries' | 'next_at_ms' | 'why'>;

function leaseOf(call: Validated, credential: Credential, world: World): Lease | null {
  const credentials = world.credentials(call.bundle);
  const handle = credentials.sealHandle(credential);
  const described = credentials.describe(call.tool.connector);
  if (handle === null || described === null) return null;
  return {
    credential: credential.id,
    call_id: call.id,
    run: call.run.id,
    tenant: call.agent.tenant,
    connector: call.tool.connector,
    provider: described.provider,
    handle,
    expires_at_ms: credential.expires_at_ms ?? world.clock.now() + LONGEST_MS,
  };
}

/** A call is over for now, however it ended: a job revokes what it held, and its caller does not wait for that. */
export function releaseCredentials(call_id: string, world: World): void {
  if (world.leases.release(call_id)) world.signals.notify('leases');
}

/** Revokes one lease, or finds it over, and records how it ended. Answers whether it is over. */
export async function endLease(lease: StoredLease, world: World): Promise<boolean> {
  const revoked = await world
    .credentials(world.bundle())
    .revoke(lease)
    .catch((error: Error) => ({ ok: false, reason: `revoking broke: ${error.name}` }) as const);
  const now = world.clock.now();
  const over = !revoked.ok && lease.expires_at_ms + SKEW_MS <= now;
  if (revoked.ok || over) {
    const how = revoked.ok ? 'revoked' : 'expired';
    const why: Json = revoked.ok ? null : { why: revoked.reason };
    await world.store.write((tx) => closeLease(tx, lease.credential, ending(lease, how, why, now)));
    return true;
  }
  const tries = lease.tries + 1;
  world.log.error('a credential could not be revoked', {
    ...{ call: lease.call_id, credential: lease.credential, connector: lease.connector },
    ...{ tries, why: revoked.reason },
  });
  const next_at_ms = now + backoff_ms(BACKOFF, tries, (1 + chanceOf(world.random(4))) / 2);
  await world.store.write((tx) => postponeLease(tx, lease, { tries, next_at_ms, why: revoked.reason }, now));
  world.signals.notify('alerts');
  return false;
}

function ending(lease: StoredLease, how: 'revoked' | 'expired', payload: Json, at_ms: number) {
  const { call_id, credential, provider, run, tenant, tries } = lease;
  const facts = { call: call_id, credential, credential_provider: provider, how, run, tries };
  return draftEntry({ log: tenantLog(tenant), at_ms, kind: 'credential.ended', facts, payload });
}

/** What an entry about a call says of the credential that it used. */
export function credentialFacts(
  call: Validated,
  credential: Credential | null | undefined,
  world: World,
): Facts {
  if (credential == null) return {};
  const described = world.credentials(call.bundle).describe(call.tool.connector);
  return {
    credential: credential.id,
    credential_expires_at_ms: credential.expires_at_ms,
    ...(described === null
      ? {}
      : { credential_provider: described.provider, credential_grade: described.grade }),
    // Whether an entry `credential.ended` follows.
    ...(credential.handle === undefined ? {} : { credential_revoked_after: true }),
    ...(credential.granted === undefined ? {} : { credential_scopes: credential.granted }),
  };
}
