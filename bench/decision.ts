// Measures what one decision costs, compiled and in the official engine, by the number of policies.
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { compilePolicySet } from '../packages/broker/src/rules/cedar-compile.ts';
import { EngineOracle, parsePolicies } from '../packages/broker/src/rules/cedar-engine.ts';
import { datetimeOf } from '../packages/broker/src/rules/cedar-fact.ts';
import { marshalRequest } from '../packages/broker/src/rules/cedar-marshal.ts';
import { entityKey } from '../packages/broker/src/rules/cedar-value.ts';
import { decide } from '../packages/broker/src/rules/decide.ts';
import type {
  DecisionRequest,
  EntityUid,
  FactEntity,
  FactValue,
} from '../packages/broker/src/rules/decision.ts';

const RELEVANT = [10, 100, 1000];
const IRRELEVANT = [0, 10_000];
const NONE: ReadonlySet<string> = new Set();
const START_MS = Date.UTC(2026, 0, 5, 9);

/** The kinds of policies that people write for a tool, numbered so that no two are the same. */
const shapes: readonly ((n: number) => string)[] = [
  (n) => `permit (principal in Role::"support-${n % 7}", action == Action::"refund_invoice", resource)
    when { context.args.amount_minor <= ${1000 + n} && context.cost.currency == "EUR" };`,
  (n) => `forbid (principal, action == Action::"refund_invoice", resource)
    when { context.cost.minor > ${50_000 + n} && principal.roles.contains("junior") };`,
  (n) => `forbid (principal, action in Action::"write", resource)
    when { context.mode == "observe" || context.mode == "frozen-${n}" };`,
  (n) => `permit (principal, action in [Action::"refund_invoice", Action::"credit_invoice"], resource)
    when { context.bound.ticket like "ZD-${n}*" && context.args.invoice like "INV-*" };`,
  (n) => `forbid (principal, action in Action::"egress", resource)
    when { context.labels.contains("private") && context.labels.contains("untrusted-${n}") };`,
  (n) => `forbid (principal, action == Action::"refund_invoice", resource is Resource)
    when { resource.system == "legacy-${n}" && !(principal.owner == Person::"ann") };`,
  (n) => `forbid (principal in Tenant::"acme", action == Action::"refund_invoice", resource)
    when { context has claimed.why && context.claimed.why == "test ${n}" };`,
  (n) => `forbid (principal, action == Action::"refund_invoice", resource)
    when { context.now > datetime("2030-01-01").offset(duration("${n}h")) && context.prepared.invoice.paid_minor < ${n} };`,
  (n) => `forbid (principal, action == Action::"refund_invoice", resource)
    when { context.prepared.invoice.refunded_minor + context.args.amount_minor > context.prepared.invoice.paid_minor + ${n} };`,
  (n) => `permit (principal, action == Action::"refund_invoice", resource in Connector::"desk-${n}")
    when { ["EUR", "USD", "CHF"].contains(context.cost.currency) };`,
];

const numbered = (count: number, make: (n: number) => string): string =>
  Array.from({ length: count }, (_, n) => `@id("p${n}-${count}")\n${make(n)}`).join('\n');

const relevantText = (count: number): string =>
  numbered(count, (n) => (shapes[n % shapes.length] as (n: number) => string)(n));

const irrelevantText = (count: number): string =>
  numbered(
    count,
    (n) =>
      `permit (principal, action == Action::"other_${n % 500}", resource) when { context.args.n > ${n} };`,
  );

const uid = (type: string, id: string): EntityUid => ({ type, id });
const refund = uid('Action', 'refund_invoice');
const groups = ['write', 'egress', 'connector:desk'].map((id) => entityKey(uid('Action', id)));
const actionAncestors = new Map<string, ReadonlySet<string>>([[entityKey(refund), new Set(groups)]]);
for (let n = 0; n < 500; n += 1) actionAncestors.set(entityKey(uid('Action', `other_${n}`)), new Set(groups));

function requests(): DecisionRequest[] {
  const owner: FactValue = { __entity: { type: 'Person', id: 'ann' } };
  const agent: FactEntity = {
    uid: uid('Agent', 'support-bot'),
    attrs: { owner, roles: ['support', 'billing'], mode: 'act' },
    ancestors: new Set([uid('Role', 'support-3'), uid('Tenant', 'acme')].map(entityKey)),
  };
  return Array.from({ length: 64 }, (_, n) => {
    const resource: FactEntity = {
      uid: uid('Resource', `desk:invoice/INV-${n}`),
      attrs: { system: 'desk', kind: 'invoice', id: `INV-${n}` },
      ancestors: new Set([entityKey(uid('Connector', 'desk'))]),
    };
    const entities = new Map([agent, resource].map((entity) => [entityKey(entity.uid), entity]));
    return {
      principal: agent.uid,
      action: refund,
      resource: resource.uid,
      entities: (key) => entities.get(key),
      context: {
        args: { invoice: `INV-${n}`, amount_minor: 500 + n * 20 },
        prepared: { invoice: { paid_minor: 90_000, refunded_minor: 0, currency: 'EUR', status: 'paid' } },
        bound: { ticket: `ZD-${n}`, user: 'u1' },
        claimed: { why: 'the customer asked' },
        cost: { minor: 500 + n * 20, currency: 'EUR' },
        effect: 'write',
        mode: 'act',
        labels: ['private', 'untrusted'],
        run: { id: 'run_1', ambient: false, trigger: 'zendesk:ticket/1' },
        now: datetimeOf(START_MS + n),
      },
    };
  });
}

interface Row {
  readonly relevant: number;
  readonly irrelevant: number;
  readonly engine: 'compiled' | 'cedar-wasm';
  readonly p50_us: number;
  readonly p99_us: number;
  readonly decisions: number;
}

function measure(decisions: number, once: (n: number) => void): { p50_us: number; p99_us: number } {
  for (let n = 0; n < Math.min(decisions, 20_000); n += 1) once(n);
  const times = new Float64Array(decisions);
  for (let n = 0; n < decisions; n += 1) {
    const start = process.hrtime.bigint();
    once(n);
    times[n] = Number(process.hrtime.bigint() - start) / 1000;
  }
  times.sort();
  const at = (part: number): number => Number((times[Math.floor(decisions * part)] ?? 0).toFixed(2));
  return { p50_us: at(0.5), p99_us: at(0.99) };
}

function compare(relevant: number, irrelevant: number): Row[] {
  const { policies, mistakes } = parsePolicies(`${relevantText(relevant)}\n${irrelevantText(irrelevant)}`);
  if (mistakes.length > 0) throw new Error(JSON.stringify(mistakes[0]));
  const fallback = (id: string): never => {
    throw new Error(`policy ${id} was not compiled`);
  };
  const set = compilePolicySet({ policies, actionAncestors, fallback });
  const oracle = new EngineOracle(
    'bench',
    policies.map(({ id, text }) => ({ id, policy: text })),
    actionAncestors,
  );
  const asked = requests();
  const marshalled = asked.map((request) => {
    const answer = marshalRequest(request, [], actionAncestors);
    if (answer === 'unknown') throw new Error('the facts are complete');
    return answer;
  });
  const pick = <T>(items: readonly T[], n: number): T => items[n % items.length] as T;
  // A fast answer that is wrong would be worth nothing.
  asked.forEach((request, n) => {
    const { decision, reasons, errors } = oracle.authorizeMarshalled(pick(marshalled, n));
    const ours = decide(set, [request], NONE);
    const same = (ours.verdict === 'permit') === (decision === 'allow');
    if (!same || errors.length > 0 || ours.policies.join() !== reasons.join()) {
      throw new Error(`request ${n}: ${JSON.stringify(ours)}, the engine: ${decision} by ${reasons.join()}`);
    }
  });
  const ours = 40_000;
  const theirs = relevant + irrelevant > 5000 ? 60 : relevant > 500 ? 300 : 2000;
  return [
    {
      ...{ relevant, irrelevant, engine: 'compiled', decisions: ours },
      ...measure(ours, (n) => void decide(set, [pick(asked, n)], NONE)),
    },
    {
      ...{ relevant, irrelevant, engine: 'cedar-wasm', decisions: theirs },
      ...measure(theirs, (n) => void oracle.authorizeMarshalled(pick(marshalled, n))),
    },
  ];
}

const rows = RELEVANT.flatMap((relevant) =>
  IRRELEVANT.flatMap((irrelevant) => compare(relevant, irrelevant)),
);
console.table(rows);
mkdirSync(new URL('results/', import.meta.url), { recursive: true });
writeFileSync(
  new URL('results/decision.json', import.meta.url),
  `${JSON.stringify({ node: process.version, cpu: cpus()[0]?.model ?? 'unknown', rows }, null, 2)}\n`,
);
