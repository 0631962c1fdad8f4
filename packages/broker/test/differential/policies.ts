// Random policies over the whole expression grammar: mostly well typed, so that they get somewhere, but not always.
import type { Random } from './random.ts';
import type { ExtensionKind, Kind } from './values.ts';
import {
  attributes,
  edgeLong,
  entityUids,
  extensionText,
  kinds,
  longLiteral,
  STRINGS,
  setField,
  twinTexts,
} from './values.ts';

export type Json = unknown;

const ILL_TYPED = 0.05;
const TYPES = ['User', 'Team', 'Desk::Item', 'Action', 'Nowhere'];

/** One policy in Cedar's JSON format, static, without annotations. */
export function randomPolicy(random: Random, effect: 'permit' | 'forbid'): Record<string, Json> {
  return {
    effect,
    principal: randomScope(random),
    action: randomActionScope(random),
    resource: randomScope(random),
    conditions: Array.from({ length: random.pick([0, 1, 1, 1, 1, 2, 3]) }, () => ({
      kind: random.chance(0.7) ? 'when' : 'unless',
      body: random.chance(0.5) ? probes(random) : expression(random, 'bool', 2 + random.below(4)),
    })),
  };
}

function randomScope(random: Random): Json {
  const entity = random.pick(entityUids);
  switch (random.below(20)) {
    case 0:
      return { op: '==', entity };
    case 1:
      return { op: 'in', entity };
    case 2:
      return { op: 'is', entity_type: random.pick(TYPES) };
    case 3:
      return { op: 'is', entity_type: random.pick(TYPES), in: { entity } };
    default:
      return { op: 'All' };
  }
}

function randomActionScope(random: Random): Json {
  const actions = entityUids.filter((uid) => uid.type === 'Action');
  switch (random.below(10)) {
    case 0:
      return { op: '==', entity: random.pick(actions) };
    case 1:
      return { op: 'in', entity: random.pick(actions) };
    case 2:
      return { op: 'in', entities: random.some(3, () => random.pick(actions)) };
    default:
      return { op: 'All' };
  }
}

/**
 * Small tests of one operator on well typed operands close to each other. Deep expressions meet many operators
 * together, but mostly err or are settled before a wrong answer of one of them would show.
 */
function probes(random: Random): Json {
  const one = (): Json => (random.chance(0.2) ? { '!': { arg: probe(random) } } : probe(random));
  if (random.chance(0.6)) return one();
  return { [random.pick(['&&', '||'])]: { left: one(), right: one() } };
}

function probe(random: Random): Json {
  const of = (kind: Kind) => (): Json => operand(random, kind);
  const two = (operator: string, operate: () => Json): Json => ({
    [operator]: { left: operate(), right: operate() },
  });
  const order = random.pick(['<', '<=', '>', '>=', '==', '!=']);
  return random.pick<() => Json>([
    () => two(order, of('long')),
    () => two(order, () => arithmetic(random)),
    () => ({ [order]: { left: arithmetic(random), right: { Value: random.below(7) - 3 } } }),
    () => two(order, of('datetime')),
    () => two(order, of('duration')),
    () => two(order, () => ({ toTime: [operand(random, 'datetime')] })),
    () => two(random.pick(['==', '!=']), of(random.pick(['entity', 'string']))),
    () => twins(random, random.pick(['ip', 'ip', 'decimal', 'datetime', 'duration'])),
    () => two(random.pick(['==', '==', '!=', 'containsAll', 'containsAny']), () => smallSet(random)),
    () => ({ contains: { left: smallSet(random), right: { Value: random.below(3) } } }),
    () => ({ contains: { left: path(random, 'strings'), right: { Value: random.pick(STRINGS) } } }),
    () => ({ in: { left: operand(random, 'entity'), right: membership(random) } }),
    () => nearLike(random),
    () => extensionTest(random, (kind) => operand(random, kind)),
    () => two(random.pick(['&&', '||']), () => leaf(random, random.chance(0.8) ? 'bool' : 'long')),
    () => hasExpression(random, (kind) => leaf(random, kind)),
  ])();
}

/** A literal, or now and then a fact; longs from a small range, so that equal ones meet. */
function operand(random: Random, kind: Kind): Json {
  if (kind === 'long' && random.chance(0.6)) return { Value: random.below(4) };
  return random.chance(0.75) ? literal(random, kind) : path(random, kind);
}

function arithmetic(random: Random): Json {
  const units = ['toMilliseconds', 'toSeconds', 'toMinutes', 'toHours', 'toDays'];
  return random.pick<() => Json>([
    () => operand(random, 'long'),
    () => ({ neg: { arg: operand(random, 'long') } }),
    () => ({ [random.pick(units)]: [literal(random, 'duration')] }),
    () => ({
      [random.pick(units)]: [{ durationSince: [literal(random, 'datetime'), literal(random, 'datetime')] }],
    }),
    () => ({
      [random.pick(['+', '-', '*', '*'])]: {
        left: { Value: edgeLong(random) },
        right: { Value: edgeLong(random) },
      },
    }),
  ])();
}

function smallSet(random: Random): Json {
  return { Set: random.some(4, () => ({ Value: random.chance(0.9) ? random.below(2) : [random.below(2)] })) };
}

function membership(random: Random): Json {
  if (random.chance(0.3)) return operand(random, 'entity');
  return { Set: random.some(4, () => operand(random, random.chance(0.9) ? 'entity' : 'long')) };
}

const LETTERS = ['a', 'a', 'a', 'b', 'b', 'b', '*', '😀', 'é'];

/** A text, and a pattern of pieces of that very text: the pieces fit, the question is whether together. */
function nearLike(random: Random): Json {
  const letters = random.some(5, () => random.pick(LETTERS));
  const pattern = random.some(3, () => {
    const from = random.below(letters.length + 1);
    const piece = { Literal: letters.slice(from, from + 1 + random.below(2)).join('') };
    return random.chance(0.8) ? ['Wildcard', piece] : [piece, 'Wildcard'];
  });
  return { like: { left: { Value: letters.join('') }, pattern: pattern.flat() } };
}

/** Two extension values that are written alike, and mostly are not equal. */
function twins(random: Random, kind: ExtensionKind): Json {
  const [left, right] = twinTexts(random, kind);
  const value = (text: string): Json => ({ [kind]: [{ Value: text }] });
  return { [random.pick(['==', '!='])]: { left: value(left), right: value(right) } };
}

/** An expression that mostly has the asked kind; `depth` is how much deeper it may nest. */
export function expression(random: Random, wanted: Kind, depth: number): Json {
  const kind = random.chance(ILL_TYPED) ? random.pick(kinds) : wanted;
  if (depth <= 0) return leaf(random, kind);
  const below = (of: Kind): Json => expression(random, of, depth - 1);
  if (random.chance(0.06)) {
    // biome-ignore lint/suspicious/noThenProperty: Cedar's JSON format has this key.
    return { 'if-then-else': { if: below('bool'), then: below(kind), else: below(kind) } };
  }
  switch (kind) {
    case 'bool':
      return booleanExpression(random, below);
    case 'long':
      return longExpression(random, below);
    case 'datetime':
      return random.pick([
        () => leaf(random, 'datetime'),
        () => ({ offset: [below('datetime'), below('duration')] }),
        () => ({ toDate: [below('datetime')] }),
      ])();
    case 'duration':
      return random.pick([
        () => leaf(random, 'duration'),
        () => ({ durationSince: [below('datetime'), below('datetime')] }),
        () => ({ toTime: [below('datetime')] }),
      ])();
    case 'strings':
      return random.chance(0.5) ? leaf(random, kind) : { Set: random.some(4, () => below('string')) };
    case 'longs':
      return random.chance(0.5) ? leaf(random, kind) : { Set: random.some(4, () => below('long')) };
    case 'entities':
      return random.chance(0.5) ? leaf(random, kind) : { Set: random.some(3, () => below('entity')) };
    case 'record':
      return random.chance(0.6) ? leaf(random, kind) : randomRecord(random, below);
    default:
      return leaf(random, kind);
  }
}

function booleanExpression(random: Random, below: (kind: Kind) => Json): Json {
  const two = (operator: string, left: Kind, right: Kind = left): Json => ({
    [operator]: { left: below(left), right: below(right) },
  });
  const any = (): Kind => random.pick(kinds);
  const ordered = (): Kind => random.pick(['long', 'long', 'long', 'datetime', 'duration']);
  const same = random.chance(0.9) ? any() : undefined;
  const [element, set] = random.pick([
    ['string', 'strings'],
    ['long', 'longs'],
    ['entity', 'entities'],
  ] as const);
  return random.pick<() => Json>([
    () => two('&&', 'bool'),
    () => two('&&', 'bool'),
    () => two('||', 'bool'),
    () => two('||', 'bool'),
    () => ({ '!': { arg: below('bool') } }),
    () => two(random.pick(['==', '!=']), same ?? any(), same ?? any()),
    () => two(random.pick(['==', '!=']), same ?? any(), same ?? any()),
    () => two(random.pick(['<', '<=', '>', '>=']), ordered()),
    () => {
      const kind = ordered();
      return two(random.pick(['<', '<=', '>', '>=']), kind);
    },
    () => two('in', 'entity', random.pick(['entity', 'entities'])),
    () => isExpression(random, below),
    () => hasExpression(random, below),
    () => hasExpression(random, below),
    () => ({ like: { left: below('string'), pattern: randomPattern(random) } }),
    () => two('contains', set, element),
    () => two('containsAll', set),
    () => two('containsAny', set),
    () => ({ isEmpty: { arg: below(set) } }),
    () => two('hasTag', 'entity', 'string'),
    () => extensionTest(random, below),
    () => leaf(random, 'bool'),
  ])();
}

function longExpression(random: Random, below: (kind: Kind) => Json): Json {
  const units = ['toMilliseconds', 'toSeconds', 'toMinutes', 'toHours', 'toDays'];
  return random.pick<() => Json>([
    () => ({ [random.pick(['+', '-', '*'])]: { left: below('long'), right: below('long') } }),
    () => ({ neg: { arg: below('long') } }),
    () => ({ [random.pick(units)]: [below('duration')] }),
    () => leaf(random, 'long'),
  ])();
}

function isExpression(random: Random, below: (kind: Kind) => Json): Json {
  const test = { left: below('entity'), entity_type: random.pick(TYPES) };
  return { is: random.chance(0.5) ? test : { ...test, in: below(random.pick(['entity', 'entities'])) } };
}

function hasExpression(random: Random, below: (kind: Kind) => Json): Json {
  const name = (): string => random.pick(attributes)[0];
  const left = below(random.pick(['entity', 'record']));
  // An extended path holds identifiers only, as the grammar has it.
  const identifiers = ['n', 's', 'rec', 'owner', 'flag', 'rec', 'owner'];
  const path = Array.from({ length: 1 + random.below(3) }, () => random.pick(identifiers));
  return { has: { left, attr: random.chance(0.6) ? name() : path } };
}

function extensionTest(random: Random, below: (kind: Kind) => Json): Json {
  // Now and then the number of arguments is wrong: that errs while evaluating, not while parsing.
  const call = (name: string, ...args: readonly Json[]): Json => ({
    [name]: random.chance(0.05) ? [...args, ...args].slice(0, random.below(4)) : args,
  });
  return random.pick<() => Json>([
    () => call(random.pick(['isIpv4', 'isIpv6', 'isLoopback', 'isMulticast']), below('ip')),
    () => call('isInRange', below('ip'), below('ip')),
    () =>
      call(
        random.pick(['lessThan', 'lessThanOrEqual', 'greaterThan', 'greaterThanOrEqual']),
        below('decimal'),
        below('decimal'),
      ),
  ])();
}

function randomPattern(random: Random): Json[] {
  return random.some(5, () => (random.chance(0.4) ? 'Wildcard' : { Literal: random.pick(STRINGS) }));
}

function randomRecord(random: Random, below: (kind: Kind) => Json): Json {
  const record: Record<string, Json> = {};
  for (const [name, kind] of random.some(4, () => random.pick(attributes)))
    setField(record, name, below(kind));
  return { Record: record };
}

function leaf(random: Random, kind: Kind): Json {
  return random.chance(0.55) ? path(random, kind) : literal(random, kind);
}

/** An attribute or tag of a variable, of a record in it, or of an entity that it refers to. */
function path(random: Random, kind: Kind): Json {
  const root: Json = { Var: random.pick(['context', 'context', 'principal', 'resource', 'action']) };
  if (kind === 'entity' && random.chance(0.6))
    return { Var: random.pick(['principal', 'resource', 'action']) };
  if (kind === 'record' && random.chance(0.3)) return { Var: 'context' };
  if (random.chance(0.05)) {
    const owner = { Var: random.pick(['principal', 'resource']) };
    return { getTag: { left: owner, right: { Value: random.pick(STRINGS) } } };
  }
  const step = random.below(10);
  const attr = (left: Json, name: string): Json => ({ '.': { left, attr: name } });
  const from = step === 0 ? attr(root, 'rec') : step === 1 ? attr(root, 'owner') : root;
  const names = attributes.filter(([, usual]) => usual === kind).map(([name]) => name);
  return attr(from, random.pick(names));
}

function literal(random: Random, kind: Kind): Json {
  switch (kind) {
    case 'bool':
      return { Value: random.chance(0.5) };
    case 'long':
      return { Value: longLiteral(random) };
    case 'string':
      return { Value: random.pick(STRINGS) };
    case 'entity':
      return { Value: { __entity: random.pick(entityUids) } };
    case 'strings':
      return { Set: random.some(3, () => ({ Value: random.pick(STRINGS) })) };
    case 'longs':
      return { Set: random.some(3, () => ({ Value: longLiteral(random) })) };
    case 'entities':
      return { Set: random.some(3, () => ({ Value: { __entity: random.pick(entityUids) } })) };
    case 'record':
      return random.chance(0.5)
        ? { Record: { n: { Value: longLiteral(random) } } }
        : { Value: { n: 1, rec: { s: 'a' } } };
    default: {
      const text = extensionText(random, kind);
      return random.chance(0.7)
        ? { [kind]: [{ Value: text }] }
        : { Value: { __extn: { fn: kind, arg: text } } };
    }
  }
}
