// Checks that judging with UNKNOWN facts is sound: blurs random facts, then completes them at random.
import type { DecisionRequest, EntityUid, FactEntity, Judgement } from '#rules/decision.ts';
import type { Compile } from './compare.ts';
import { randomPolicy } from './policies.ts';
import { Random } from './random.ts';
import { entityUids, factOf, kinds, setField } from './values.ts';
import type { World } from './world.ts';
import { randomRequest, randomWorld } from './world.ts';

type Standing = 'applies' | 'not' | 'errs' | 'unknown';

export interface Unsound {
  readonly policy: unknown;
  readonly blurred: Standing;
  readonly completed: Standing;
}

export interface BlurReport {
  /** One policy in one completion. */
  readonly cases: number;
  /** How policies stood on blurred facts. */
  readonly standings: Record<Standing, number>;
  readonly unsound: readonly Unsound[];
}

const POLICIES = 60;
const COMPLETIONS = 6;

/** Judges `rounds` requests with blurred facts and in several completions; `unknown` is the compiler's own symbol. */
export function blurAll(compile: Compile, unknown: symbol, seed: number, rounds: number): BlurReport {
  const standings = { applies: 0, not: 0, errs: 0, unknown: 0 };
  const unsound: Unsound[] = [];
  let cases = 0;
  for (let round = 0; round < rounds && unsound.length === 0; round += 1) {
    const random = new Random(seed * 1_000_003 + round);
    const world = randomWorld(random);
    const policies = Array.from({ length: POLICIES }, (_, index) => {
      const json = randomPolicy(random, random.pick(['permit', 'forbid'] as const));
      return { id: `p${index}`, json, annotations: {} };
    });
    const fallback = () => ({ error: 'the compiler knows the whole grammar' });
    const set = compile({ policies, actionAncestors: world.actionAncestors, fallback });
    const request = randomRequest(random, world);
    const blurred = blurRequest(random, request, world, unknown);
    const before = set.judge(blurred);
    for (const { id } of policies) standings[standingOf(before, id)] += 1;
    for (let index = 0; index < COMPLETIONS; index += 1) {
      // What was there before the blurring is a completion too, and the one that policies fit best.
      const after = set.judge(index === 0 ? request : completeRequest(random, blurred, unknown));
      cases += POLICIES;
      for (const { id, json } of policies) {
        const [was, is] = [standingOf(before, id), standingOf(after, id)];
        if (!fits(was, is)) unsound.push({ policy: json, blurred: was, completed: is });
      }
    }
  }
  return { cases, standings, unsound };
}

/** What a policy may turn out to be, by what was said of it on blurred facts. */
function fits(blurred: Standing, completed: Standing): boolean {
  if (blurred === 'unknown') return completed !== 'unknown';
  // A policy of which nothing was said must not apply; where an unknown came first it may still err.
  if (blurred === 'not') return completed === 'not' || completed === 'errs';
  return blurred === completed;
}

function standingOf(judgement: Judgement, id: string): Standing {
  if (judgement.permits.includes(id) || judgement.forbids.includes(id)) return 'applies';
  if (judgement.unknownPermits.includes(id) || judgement.unknownForbids.includes(id)) return 'unknown';
  return judgement.errors.some(({ policy }) => policy === id) ? 'errs' : 'not';
}

function blurRequest(
  random: Random,
  request: DecisionRequest,
  world: World,
  unknown: symbol,
): DecisionRequest {
  const entities = new Map<string, FactEntity>();
  for (const [key, entity] of world.entities) {
    const blur = random.chance(0.3);
    const attrs = blur ? blurFact(random, entity.attrs, unknown) : entity.attrs;
    const tags = blur ? blurFact(random, entity.tags, unknown) : entity.tags;
    entities.set(key, { ...entity, attrs, tags } as FactEntity);
  }
  return {
    ...request,
    resource: (random.chance(0.3) ? unknown : request.resource) as EntityUid,
    context: (random.chance(0.15) ? unknown : blurFact(random, request.context, unknown)) as never,
    entities: (key) => entities.get(key),
  };
}

/** Replaces fields and elements by UNKNOWN, at any depth, but not the fact itself. */
function blurFact(random: Random, fact: unknown, unknown: symbol): unknown {
  const part = (value: unknown): unknown =>
    random.chance(0.25) ? unknown : blurFact(random, value, unknown);
  if (Array.isArray(fact)) return fact.map(part);
  if (typeof fact !== 'object' || fact === null) return fact;
  if (Object.hasOwn(fact, '__entity') || Object.hasOwn(fact, '__extn')) return fact;
  const record = {};
  for (const [name, value] of Object.entries(fact)) setField(record, name, part(value));
  return record;
}

function completeRequest(random: Random, blurred: DecisionRequest, unknown: symbol): DecisionRequest {
  const entities = new Map<string, FactEntity | undefined>();
  const context = (blurred.context as unknown) === unknown ? factOf(random, 'record') : blurred.context;
  return {
    ...blurred,
    resource: (blurred.resource as unknown) === unknown ? random.pick(entityUids) : blurred.resource,
    context: completeFact(random, context, unknown) as never,
    entities: (key) => {
      const entity = blurred.entities(key);
      if (!entities.has(key)) {
        entities.set(key, entity && (completeEntity(random, entity, unknown) as FactEntity));
      }
      return entities.get(key);
    },
  };
}

function completeEntity(random: Random, entity: FactEntity, unknown: symbol): unknown {
  const attrs = completeFact(random, entity.attrs, unknown);
  return { ...entity, attrs, tags: completeFact(random, entity.tags, unknown) };
}

/** Puts a random value in each UNKNOWN place, or leaves the place out. */
function completeFact(random: Random, fact: unknown, unknown: symbol): unknown {
  if (Array.isArray(fact)) {
    const kept = fact.filter((element) => element !== unknown || random.chance(0.8));
    return kept.map((element) =>
      completeFact(random, element === unknown ? anyFact(random) : element, unknown),
    );
  }
  if (typeof fact !== 'object' || fact === null) return fact;
  if (Object.hasOwn(fact, '__entity') || Object.hasOwn(fact, '__extn')) return fact;
  const record = {};
  for (const [name, value] of Object.entries(fact)) {
    if (value === unknown && random.chance(0.2)) continue;
    setField(record, name, value === unknown ? anyFact(random) : completeFact(random, value, unknown));
  }
  return record;
}

function anyFact(random: Random): unknown {
  return factOf(random, random.pick(kinds), 1);
}
