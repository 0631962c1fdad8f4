// Runs the cases of a bundle against its policies, by the same facts and the same decision as real calls.
import type { Issue } from '@countersign/contract/problem.ts';
import { saysOtherwise } from '#rules/bound-context.ts';
import { decide } from '#rules/decide.ts';
import type { Decision } from '#rules/decision.ts';
import type { Scope } from '#rules/expression.ts';
import { factsOf } from '#rules/facts.ts';
import { type Agent, agentUndone } from '#rules/principal.ts';
import type { Tool } from '#rules/tool.ts';
import type { Bundle, TestCase } from './bundle.ts';

export interface CaseResult {
  readonly name: string;
  readonly ok: boolean;
  readonly expected: string;
  readonly got: string;
  readonly file: string;
  readonly line: number;
}

/** One result for each case, in the order of the files. Pure: nothing is called, nothing is recorded. */
export function runCases(bundle: Bundle): CaseResult[] {
  return bundle.tests.map((test) => {
    const { name, file, line } = test;
    const outcome = judgeCase(bundle, test);
    return { name, file, line, expected: expectedOf(test), ...outcome };
  });
}

function judgeCase(bundle: Bundle, test: TestCase): { ok: boolean; got: string } {
  const named = bundle.agents.get(test.agent);
  const agent = named !== undefined && test.undo ? agentUndone(named) : named;
  const tool = bundle.tools.get(test.tool);
  if (agent === undefined || tool === undefined) return { ok: false, got: 'no such agent or tool' };
  const issues = issuesOf(test, tool);
  if (issues.length > 0) return { ok: false, got: `the case does not fit the tool: ${issues.join('; ')}` };
  let decision: Decision;
  try {
    decision = decideCase(bundle, test, agent, tool);
  } catch (error) {
    return { ok: false, got: `the facts are not complete: ${(error as Error).message}` };
  }
  return { ok: meets(test, decision), got: describe(decision) };
}

// What a real call could never bring is no fact to test with: a green case must mean something.
function issuesOf(test: TestCase, tool: Tool): string[] {
  const say = (where: string, issues: readonly Issue[]): string[] =>
    issues.map(({ pointer, message }) => `${where}${pointer}: ${message}`);
  return [
    ...say('args', tool.checkInput(test.args)),
    ...tool.prepare.flatMap((step) =>
      Object.hasOwn(test.prepared, step.id)
        ? say(`prepared.${step.id}`, step.checkOutput(test.prepared[step.id]))
        : [`prepared.${step.id} is missing`],
    ),
    ...say('', saysOtherwise(tool.equalToBound, test)),
    ...tool.requires.filter((key) => !Object.hasOwn(test.bound, key)).map((key) => `bound.${key} is missing`),
  ];
}

function decideCase(bundle: Bundle, test: TestCase, agent: Agent, tool: Tool): Decision {
  const { args, prepared, bound, claimed, undo, now_ms } = test;
  const run = { id: 'run_test', ambient: Object.keys(bound).length === 0, trigger: null };
  const scope: Scope = {
    args,
    prepared,
    bound,
    call: { id: 'call_test', label: 'csn-test' },
    run: { id: run.id, tenant: agent.tenant, agent: agent.name },
    now: now_ms,
  };
  const requests = factsOf({
    ...{ base: bundle.facts, agent, tool, args, prepared, bound, claimed, run, undo, now_ms },
    labels: [...new Set([...test.labels, ...tool.prepare.flatMap((step) => step.labels)])].sort(),
    cost: tool.cost === undefined ? null : costOf(tool.cost, scope),
    resources: tool.resources.map((each) => String(each.evaluate(scope))),
  });
  return decide(bundle.policies, requests, new Set(test.approved));
}

function costOf(cost: NonNullable<Tool['cost']>, scope: Scope): { minor: number; currency: string } {
  const minor = cost.minor.evaluate(scope);
  if (!Number.isSafeInteger(minor) || (minor as number) < 0)
    throw new Error('the cost is not a whole amount');
  return { minor: minor as number, currency: String(cost.currency.evaluate(scope)).toUpperCase() };
}

function meets(test: TestCase, decision: Decision): boolean {
  if (decision.verdict !== test.expect) return false;
  if (test.by !== null && test.by.join() !== [...decision.policies].sort().join()) return false;
  return test.reason === null || reasonsOf(decision).some((it) => it.includes(test.reason ?? ''));
}

function reasonsOf(decision: Decision): readonly string[] {
  if (decision.verdict === 'permit') return [];
  if (decision.verdict === 'hold') return decision.asks.map((ask) => ask.because);
  return [decision.reason, ...decision.because];
}

function expectedOf({ expect, by, reason }: TestCase): string {
  return `${expect}${by === null ? '' : ` by ${by.join(', ')}`}${reason === null ? '' : ` (${reason})`}`;
}

function describe(decision: Decision): string {
  const by = decision.policies.length === 0 ? '' : ` by ${[...decision.policies].sort().join(', ')}`;
  const reasons = reasonsOf(decision);
  return `${decision.verdict}${by}${reasons.length === 0 ? '' : ` (${reasons.join('; ')})`}`;
}
