// Compiles the verifiers of bound context: a read that has to confirm a value before a run is opened with it.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { compileExpression, compileTemplate } from '#rules/cel.ts';
import type { Expression } from '#rules/expression.ts';
import { compileSchema } from '#rules/json-schema.ts';
import type { Agent, Orchestrator } from '#rules/principal.ts';
import type { Tool } from '#rules/tool.ts';
import type { ContextVerifier } from './bundle.ts';
import { hintFor } from './mistake.ts';

/** What verifiers refer to. Names also of files with mistakes: nobody is blamed for referring to these. */
export interface VerifierWorld {
  readonly tools: ReadonlyMap<string, Tool>;
  readonly toolNames: ReadonlySet<string>;
  readonly agents: ReadonlyMap<string, Agent>;
  readonly agentNames: ReadonlySet<string>;
  readonly orchestrators: ReadonlyMap<string, Orchestrator>;
}

type Wrong = (pointer: string, message: string, hint?: string) => void;

/** `context`: as countersign.yaml has it, of the right shape. By key. */
export function compileVerifiers(
  context: Readonly<Record<string, JsonObject>>,
  world: VerifierWorld,
  wrong: Wrong,
): ReadonlyMap<string, ContextVerifier> {
  const verifiers = new Map<string, ContextVerifier>();
  for (const [key, { verify }] of Object.entries(context)) {
    if (verify === undefined) continue;
    const at = `/context/${key}/verify`;
    const { tool, as, args, expect } = verify as {
      tool: string;
      as: readonly string[];
      args: JsonObject;
      expect: readonly string[];
    };
    checkTool(tool, `${at}/tool`, world, wrong);
    checkAgents(key, as, `${at}/as`, world, wrong);
    const template = compileArguments(args, context, world.tools.get(tool), `${at}/args`, wrong);
    const expected = expect.map((source, index) =>
      compileExpectation(source, `${at}/expect/${index}`, wrong),
    );
    verifiers.set(key, { key, tool, as, args: template, expect: expected });
  }
  return verifiers;
}

function checkTool(name: string, at: string, world: VerifierWorld, wrong: Wrong): void {
  const tool = world.tools.get(name);
  if (tool === undefined) {
    if (!world.toolNames.has(name)) wrong(at, `no tool "${name}"`, hintFor(name, world.toolNames));
  } else if (tool.effect !== 'read') {
    wrong(at, `"${name}" is not a read`, 'a verifier only reads');
  } else if (tool.lifecycle.status === 'retired') wrong(at, `"${name}" is retired`);
}

/** One for each tenant in which somebody may bind the key. */
function checkAgents(
  key: string,
  names: readonly string[],
  at: string,
  { agents, agentNames, orchestrators }: VerifierWorld,
  wrong: Wrong,
): void {
  const tenants = new Map<string, string>();
  names.forEach((name, index) => {
    const agent = agents.get(name);
    if (agent === undefined) {
      if (!agentNames.has(name)) wrong(`${at}/${index}`, `no agent "${name}"`, hintFor(name, agentNames));
      return;
    }
    const other = tenants.get(agent.tenant);
    if (other !== undefined)
      wrong(`${at}/${index}`, `"${other}" verifies for ${agent.tenant} already`, 'name one for each tenant');
    tenants.set(agent.tenant, name);
  });
  if (names.some((name) => !agents.has(name))) return;
  for (const { name, tenant, context } of orchestrators.values()) {
    if (context.includes(key) && !tenants.has(tenant))
      wrong(at, `"${name}" binds ${key} in ${tenant}, and no agent of ${tenant} is named here`);
  }
}

function compileArguments(
  args: JsonObject,
  context: Readonly<Record<string, JsonObject>>,
  tool: Tool | undefined,
  at: string,
  wrong: Wrong,
): ContextVerifier['args'] {
  const properties = (tool?.input.properties ?? {}) as Record<string, JsonObject>;
  if (tool !== undefined) {
    for (const name of Object.keys(args)) {
      if (!Object.hasOwn(properties, name))
        wrong(
          `${at}/${name}`,
          `"${tool.name}" has no argument "${name}"`,
          hintFor(name, Object.keys(properties)),
        );
    }
    for (const name of (tool.input.required ?? []) as readonly string[])
      if (!Object.hasOwn(args, name)) wrong(at, `"${tool.name}" needs the argument "${name}"`);
  }
  const compiled = compileTemplate(args, 'verifierArgs');
  if (!compiled.ok) {
    for (const { path, message, hint } of compiled.mistakes) wrong(`${at}/${path.join('/')}`, message, hint);
    return { reads: new Set(), fill: () => ({}) };
  }
  for (const { leaf, path } of compiled.paths) {
    const [root, key] = path;
    if (root === 'bound' && key !== undefined && !Object.hasOwn(context, key))
      wrong(`${at}/${leaf.join('/')}`, `no context key "${key}"`, hintFor(key, Object.keys(context)));
  }
  for (const [name, value] of Object.entries(args)) {
    const property = properties[name];
    if (property !== undefined) checkValue(value, property, context, `${at}/${name}`, wrong);
  }
  return compiled.template;
}

/** A literal fits the argument's schema; a key of context has the argument's type. Other expressions: at run time. */
function checkValue(
  value: Json,
  property: JsonObject,
  context: Readonly<Record<string, JsonObject>>,
  at: string,
  wrong: Wrong,
): void {
  if (typeof value === 'string' && value.startsWith('=') && !value.startsWith('==')) {
    const key = /^=\s*bound\.([a-z][a-z0-9_]*)\s*$/.exec(value)?.[1];
    const type = key === undefined ? undefined : context[key]?.type;
    if (type !== undefined && typeof property.type === 'string' && property.type !== type)
      wrong(at, `the argument is of type ${property.type}, bound.${key} of type ${String(type)}`);
    return;
  }
  const schema = compileSchema(property);
  const [issue] = schema.ok ? schema.check(value) : [];
  if (issue !== undefined) wrong(at, `does not fit the argument: ${issue.message}`);
}

function compileExpectation(source: string, at: string, wrong: Wrong): Expression {
  const compiled = compileExpression(source, 'verifierExpect');
  if (compiled.ok) return compiled.expression;
  for (const { message, hint } of compiled.mistakes) wrong(at, message, hint);
  return { source, reads: new Set(), evaluate: () => false };
}
