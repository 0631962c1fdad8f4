// Compiles tests/*.yaml into cases whose agents, tools and policies exist.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { PolicySet } from '#rules/decision.ts';
import type { TestCase } from './bundle.ts';
import { hintFor, type Mistakes } from './mistake.ts';
import type { Source } from './parse-yaml.ts';

const NOW_DEFAULT = '2026-01-01T00:00:00Z';

/** Names that cases may use. `policies` null: they have mistakes, and cases are not blamed for those. */
export interface CaseWorld {
  readonly agents: ReadonlySet<string>;
  readonly tools: ReadonlySet<string>;
  readonly policies: PolicySet | null;
}

export function compileTests(
  files: readonly { readonly source: Source; readonly value: JsonObject }[],
  world: CaseWorld,
  mistakes: Mistakes,
): TestCase[] {
  return files.flatMap(({ source, value }) =>
    (value.cases as readonly JsonObject[]).map((given, index) => {
      const pointer = `/cases/${index}`;
      const check = (key: string, name: string, known: Iterable<string>): void => {
        const names = [...known];
        if (names.includes(name)) return;
        const what = key === 'agent' || key === 'tool' ? key : 'rule that asks for approval';
        mistakes.error(
          source.file,
          source.at(`${pointer}/${key}`),
          `no ${what} "${name}"`,
          hintFor(name, names),
        );
      };
      const test = caseOf(given, source, pointer);
      check('agent', test.agent, world.agents);
      check('tool', test.tool, world.tools);
      if (world.policies !== null) {
        for (const rule of test.approved) check('approved', rule, world.policies.approvals.keys());
      }
      if (Number.isNaN(test.now_ms)) {
        mistakes.error(
          source.file,
          source.at(`${pointer}/now`),
          'not a time',
          `write it like ${NOW_DEFAULT}`,
        );
      }
      return test;
    }),
  );
}

function caseOf(given: JsonObject, source: Source, pointer: string): TestCase {
  const object = (key: string): JsonObject => (given[key] ?? {}) as JsonObject;
  const list = (key: string): readonly string[] => (given[key] ?? []) as readonly string[];
  return {
    name: given.name as string,
    file: source.file,
    line: source.at(pointer).line,
    agent: given.agent as string,
    tool: given.tool as string,
    args: object('args'),
    bound: object('bound'),
    claimed: object('claimed'),
    prepared: object('prepared'),
    labels: list('labels'),
    undo: given.undo === true,
    now_ms: Date.parse((given.now as string | undefined) ?? NOW_DEFAULT),
    approved: list('approved'),
    expect: given.expect as TestCase['expect'],
    by: given.by === undefined ? null : [...list('by')].sort(),
    reason: (given.reason as string | undefined) ?? null,
  };
}
