// Judges the same random policies and requests by our compiler and by the official engine, and compares.

import type { PolicySource } from '#rules/cedar-compile.ts';
import type { PolicyJson } from '#rules/cedar-engine.ts';
import { EngineOracle } from '#rules/cedar-engine.ts';
import { marshalRequest } from '#rules/cedar-marshal.ts';
import type { PolicyFallback } from '#rules/cedar-policy.ts';
import type { DecisionRequest, Judgement, PolicySet } from '#rules/decision.ts';
import { randomPolicy } from './policies.ts';
import { Random } from './random.ts';
import { randomRequest, randomWorld } from './world.ts';

export type Compile = (input: {
  readonly policies: readonly PolicySource[];
  readonly actionAncestors: ReadonlyMap<string, ReadonlySet<string>>;
  readonly fallback: PolicyFallback;
}) => PolicySet;

export interface Difference {
  readonly seed: number;
  readonly batch: number;
  /** The policies about which the two disagree. */
  readonly policies: readonly { readonly id: string; readonly json: unknown }[];
  readonly request: DecisionRequest;
  readonly ours: unknown;
  readonly engine: unknown;
}

export interface Comparison {
  /** One policy judged on one request by both. */
  readonly cases: number;
  readonly requests: number;
  readonly policies: number;
  /** How the judgements came out, so that a generator which only ever errs is noticed. */
  readonly outcomes: { applies: number; not: number; errs: number };
  readonly differences: readonly Difference[];
}

const POLICIES = 100;
// Few: a new policy finds more than another request.
const REQUESTS = 4;

/** Compares batch after batch until `enough` says stop. A batch depends on nothing but seed and number. */
export function compareAll(
  compile: Compile,
  seed: number,
  enough: (sofar: { readonly cases: number; readonly differences: number }) => boolean,
  firstBatch = 0,
): Comparison {
  const outcomes = { applies: 0, not: 0, errs: 0 };
  const differences: Difference[] = [];
  let batch = firstBatch;
  let cases = 0;
  while (!enough({ cases, differences: differences.length })) {
    compareBatch(compile, seed, batch, outcomes, differences);
    batch += 1;
    cases += POLICIES * REQUESTS;
  }
  const batches = batch - firstBatch;
  return { cases, requests: batches * REQUESTS, policies: batches * POLICIES, outcomes, differences };
}

function compareBatch(
  compile: Compile,
  seed: number,
  batch: number,
  outcomes: Comparison['outcomes'],
  differences: Difference[],
): void {
  const random = new Random(seed * 1_000_003 + batch);
  const world = randomWorld(random);
  // Where all have one effect, the determining policies are all that apply: nothing hides behind a forbid.
  const effects = (['permit', 'forbid', 'mixed'] as const)[batch % 3];
  const policies = Array.from({ length: POLICIES }, (_, index) => {
    const effect = effects === 'mixed' ? random.pick(['permit', 'permit', 'forbid'] as const) : effects;
    return { id: `p${index}`, json: randomPolicy(random, effect ?? 'permit'), annotations: {} };
  });
  const engine = new EngineOracle(
    'differential',
    policies.map(({ id, json }) => ({ id, policy: json as unknown as PolicyJson })),
    world.actionAncestors,
  );
  const ours = compile({ policies, actionAncestors: world.actionAncestors, fallback: refuse });
  for (let index = 0; index < REQUESTS; index += 1) {
    const request = randomRequest(random, world);
    const [marshalled, judgement] = [marshalAll(request, world.entities.keys()), ours.judge(request)];
    const theirs = engine.authorizeMarshalled(marshalled);
    const mine = asAnswer(judgement);
    const engineErrors = theirs.errors.map((it) => it.policy);
    outcomes.errs += engineErrors.length;
    if (effects !== 'mixed') outcomes.applies += theirs.reasons.length;
    outcomes.not += POLICIES - engineErrors.length - theirs.reasons.length;
    const yours = { decision: theirs.decision, reasons: theirs.reasons, errors: engineErrors };
    if (JSON.stringify(mine) === JSON.stringify(yours)) continue;
    const odd = new Set([...different(mine.reasons, yours.reasons), ...different(mine.errors, yours.errors)]);
    differences.push({
      seed,
      batch,
      policies: policies.filter(({ id }) => odd.has(id)),
      request,
      ours: { ...mine, messages: judgement.errors.filter((it) => odd.has(it.policy)) },
      engine: { ...yours, messages: theirs.errors.filter((it) => odd.has(it.policy)) },
    });
  }
}

function marshalAll(request: DecisionRequest, keys: Iterable<string>) {
  const marshalled = marshalRequest(request, [...keys], new Map());
  if (marshalled === 'unknown') throw new Error('the generator made an UNKNOWN');
  return marshalled;
}

/** A judgement as the engine reports it: the determining policies only. */
function asAnswer(judgement: Judgement) {
  const reasons = judgement.forbids.length > 0 ? judgement.forbids : judgement.permits;
  const allowed = judgement.forbids.length === 0 && judgement.permits.length > 0;
  return {
    decision: allowed ? 'allow' : 'deny',
    reasons,
    errors: judgement.errors.map((it) => it.policy),
  };
}

function different(left: readonly string[], right: readonly string[]): string[] {
  return [...left.filter((id) => !right.includes(id)), ...right.filter((id) => !left.includes(id))];
}

// Every construct of the grammar is generated, so the compiler has to know them all.
function refuse(policyId: string): never {
  throw new Error(`the compiler handed policy ${policyId} to the fallback`);
}

/** A difference as text, with what is needed to look into it. */
export function describe(difference: Difference): string {
  const show = (value: unknown): string =>
    JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}n` : part));
  return [
    `seed ${difference.seed}, batch ${difference.batch}`,
    ...difference.policies.map(({ id, json }) => `policy ${id}: ${show(json)}`),
    `request: ${show(difference.request)}`,
    `ours:   ${show(difference.ours)}`,
    `engine: ${show(difference.engine)}`,
  ].join('\n');
}
