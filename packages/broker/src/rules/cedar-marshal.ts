// Writes a request as the official engine reads it: entities listed, values in Cedar's JSON escapes.
import type { CedarValueJson, EntityJson } from '@cedar-policy/cedar-wasm/nodejs';
import { EntityRef, entityKey, Opaque, parseEntityKey } from './cedar-value.ts';
import type { DecisionRequest, EntityUid, FactEntity } from './decision.ts';
import { UNKNOWN } from './decision.ts';

export interface EngineRequest {
  readonly principal: EntityUid;
  readonly action: EntityUid;
  readonly resource: EntityUid;
  readonly context: Record<string, CedarValueJson>;
  readonly entities: EntityJson[];
}

// JSON.rawJSON is in Node 22 and newer but not yet in the library types.
const { rawJSON } = JSON as unknown as { rawJSON: (text: string) => unknown };

/** A value as the engine's JSON: escapes for entities and extension values, bigints as plain digits. */
export function forEngine(value: unknown): unknown {
  if (typeof value === 'bigint') return rawJSON(String(value));
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Opaque) return value.toJSON();
  if (Array.isArray(value)) return value.map(forEngine);
  const record: Record<string, unknown> = Object.create(null);
  for (const [key, field] of Object.entries(value)) record[key] = forEngine(field);
  return record;
}

/** Adds the keys of all entities that a JSON tree (a policy or a fact) refers to. */
export function entitiesIn(value: unknown, keys: Set<string>): void {
  if (typeof value !== 'object' || value === null) return;
  if (value instanceof EntityRef) keys.add(value.key);
  if (value instanceof Opaque) return;
  const { type, id } = value as { type?: unknown; id?: unknown };
  if (typeof type === 'string' && typeof id === 'string') keys.add(entityKey({ type, id }));
  for (const part of Object.values(value)) entitiesIn(part, keys);
}

/**
 * The request with every entity that a policy could reach from it or from the policies' literals. `unknown`
 * when any fact among them is UNKNOWN.
 */
export function marshalRequest(
  request: DecisionRequest,
  literals: readonly string[],
  actionAncestors: ReadonlyMap<string, ReadonlySet<string>>,
): EngineRequest | 'unknown' {
  const { principal, action, resource, context } = request;
  if (resource === UNKNOWN || context === UNKNOWN || holdsUnknown(context)) return 'unknown';
  const keys = new Set([...literals, entityKey(principal), entityKey(action), entityKey(resource)]);
  entitiesIn(context, keys);
  const entities: EntityJson[] = [];
  // A Set visits what is added while it is walked: this reaches the transitive closure.
  for (const key of keys) {
    const entity = request.entities(key);
    const ancestors = actionAncestors.get(key) ?? entity?.ancestors;
    if (entity === undefined && ancestors === undefined) continue;
    if (holdsUnknown(entity?.attrs) || holdsUnknown(entity?.tags)) return 'unknown';
    for (const ancestor of ancestors ?? []) keys.add(ancestor);
    entitiesIn(entity?.attrs, keys);
    entitiesIn(entity?.tags, keys);
    entities.push(entityForEngine(key, entity, ancestors ?? new Set()));
  }
  return {
    principal,
    action,
    resource,
    context: forEngine(context) as Record<string, CedarValueJson>,
    entities,
  };
}

function entityForEngine(
  key: string,
  entity: FactEntity | undefined,
  ancestors: ReadonlySet<string>,
): EntityJson {
  return {
    uid: uidOf(key),
    attrs: forEngine(entity?.attrs ?? {}) as Record<string, CedarValueJson>,
    parents: [...ancestors].map(uidOf),
    tags: forEngine(entity?.tags ?? {}) as Record<string, CedarValueJson>,
  };
}

function uidOf(key: string): EntityUid {
  const uid = parseEntityKey(key);
  if (uid === undefined) throw new Error(`${key} is no entity key`);
  return uid;
}

function holdsUnknown(value: unknown): boolean {
  if (value === UNKNOWN) return true;
  if (typeof value !== 'object' || value === null || value instanceof Opaque) return false;
  return Object.values(value).some(holdsUnknown);
}
