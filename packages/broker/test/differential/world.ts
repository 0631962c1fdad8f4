// Random entities with a hierarchy, attributes and tags, and random requests about them.
import { entityKey } from '#rules/cedar-value.ts';
import type { DecisionRequest, EntityUid, FactEntity, FactValue } from '#rules/decision.ts';
import type { Random } from './random.ts';
import { entityUids, factOf, kinds, recordFact, STRINGS, setField } from './values.ts';

export interface World {
  readonly entities: ReadonlyMap<string, FactEntity>;
  readonly actionAncestors: ReadonlyMap<string, ReadonlySet<string>>;
}

type Facts = { readonly [key: string]: FactValue };

/** Entities of which some are missing; each lies below later ones only, so the hierarchy has no circle. */
export function randomWorld(random: Random): World {
  const entities = new Map<string, FactEntity>();
  const actionAncestors = new Map<string, ReadonlySet<string>>();
  for (let index = entityUids.length - 1; index >= 0; index -= 1) {
    const uid = entityUids[index] as EntityUid;
    const missing = uid.type !== 'Action' && (['none', 'nobody'].includes(uid.id) || random.chance(0.1));
    if (missing) continue;
    const ancestors = randomAncestors(random, index, entities);
    const action = uid.type === 'Action';
    const attrs = action ? {} : (recordFact(random, 0) as Facts);
    const entity: FactEntity = { uid, attrs, ancestors, tags: action ? {} : randomTags(random) };
    entities.set(entityKey(uid), entity);
    if (action) actionAncestors.set(entityKey(uid), ancestors);
  }
  return { entities, actionAncestors };
}

function randomAncestors(random: Random, index: number, above: ReadonlyMap<string, FactEntity>): Set<string> {
  const own = entityUids[index] as EntityUid;
  const ancestors = new Set<string>();
  for (const uid of entityUids.slice(index + 1)) {
    // Actions lie below actions only, and nothing else lies below one.
    if ((uid.type === 'Action') !== (own.type === 'Action') || !random.chance(0.25)) continue;
    ancestors.add(entityKey(uid));
    for (const key of above.get(entityKey(uid))?.ancestors ?? []) ancestors.add(key);
  }
  return ancestors;
}

function randomTags(random: Random): Facts {
  const tags = {};
  for (const name of random.some(5, () => random.pick(STRINGS)))
    setField(tags, name, factOf(random, random.pick(kinds)));
  return tags;
}

export function randomRequest(random: Random, world: World): DecisionRequest {
  const users = entityUids.filter((uid) => uid.type === 'User');
  const actions = entityUids.filter((uid) => uid.type === 'Action');
  return {
    principal: random.chance(0.85) ? random.pick(users) : random.pick(entityUids),
    action: random.pick(actions),
    resource: random.pick(entityUids),
    context: recordFact(random, 0, 0.9) as Facts,
    entities: (key) => world.entities.get(key),
  };
}
