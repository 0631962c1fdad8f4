// How far quotas are used up: what operators see of the counters of their tenant.
import type { QuotaView } from '@countersign/contract/wire-operations.ts';
import type { World } from '#call/world.ts';
import type { Person } from '#rules/principal.ts';
import { holderIn, type Quota } from '#rules/quota.ts';
import { listUse, type StoredUse } from '#store/quotas.ts';
import { ok, type Result } from './result.ts';

/**
 * Counters of the present windows, and of earlier ones in which something is still reserved; the fullest first. Those
 * of quotas that the bundle in force does not have are left out.
 */
export async function listQuotas(
  world: World,
  person: Person,
  filter: { readonly limit: number },
): Promise<Result<QuotaView[]>> {
  const { quotas } = world.bundle().settings;
  if (quotas.length === 0) return ok([]);
  const uses = await world.store.read((tx) => listUse(tx, person.tenant, world.clock.now(), filter.limit));
  return ok(uses.map((use) => viewOf(quotas, use)).filter((view) => view !== null));
}

function viewOf(quotas: readonly Quota[], use: StoredUse): QuotaView | null {
  const quota = quotas.find(({ name }) => name === use.quota);
  const subject = quota === undefined ? null : holderIn(quota, use);
  if (quota === undefined || subject === null) return null;
  const { name, of, per, limit, window } = quota;
  return {
    ...{ quota: name, of, per, subject, limit, window },
    used: use.posted,
    reserved: use.reserved,
    window_ends_at_ms: use.window_end_ms,
  };
}
