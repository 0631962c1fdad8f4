// Connectors as people see them: how much of each is in use now, and what is left alone because it keeps failing.
import type { ConnectorView } from '@countersign/contract/wire-operations.ts';
import type { World } from '#call/world.ts';
import type { Person } from '#rules/principal.ts';
import { fail, hasRole, ok, type Result } from './result.ts';

/** Those of the bundle in force, sorted by name, as this broker sees them. */
export async function listConnectors(world: World, person: Person): Promise<Result<ConnectorView[]>> {
  if (!hasRole(person, 'operator', 'admin')) return fail('forbidden', 'Operators and admins see connectors.');
  const credentials = world.credentials(world.bundle());
  const specs = [...world.bundle().connectors.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return ok(
    specs.map(({ name, kind, flow: { bulkhead } }) => {
      const { running, waiting, paused_until_ms, operations } = world.flow.stateOf(name);
      return {
        name,
        kind,
        credential: credentials.describe(name),
        running,
        concurrency: bulkhead.concurrency,
        waiting,
        queue: bulkhead.queue,
        rate_per_s: bulkhead.rate?.per_s ?? null,
        paused_until_ms,
        breakers: operations,
      };
    }),
  );
}
