// Decides whether what a manifest says about its undo could work: the tool exists, is a write, and takes the arguments.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Tool } from '#rules/tool.ts';
import type { LintRuleId } from './lint-rules.ts';
import type { Manifest } from './manifest.ts';
import { hintFor, type Mistakes } from './mistake.ts';

const RULE: LintRuleId = 'compensate-fits';

/** `named`: every tool of the bundle, also those whose own files have mistakes and are not blamed twice. */
export function lintCompensations(
  manifests: readonly Manifest[],
  named: ReadonlySet<string>,
  mistakes: Mistakes,
): void {
  const tools = new Map(manifests.map(({ tool }) => [tool.name, tool]));
  for (const { source, tool, value } of manifests) {
    const { compensate } = tool;
    if (compensate === undefined) continue;
    const tell: Tell = (pointer, message, hint) => {
      const at = source.at(`/compensate${pointer}`, pointer.startsWith('/args/') ? 'key' : 'value');
      mistakes.error(source.file, at, `${RULE}: ${message}`, hint);
    };
    lintShape(compensate, tell);
    if (compensate.kind === 'manual' || compensate.tool === undefined) continue;
    const by = tools.get(compensate.tool);
    if (by !== undefined) {
      lintArguments(by, ((value.compensate as JsonObject).args ?? {}) as JsonObject, tell);
    } else if (!named.has(compensate.tool)) {
      tell('/tool', `no tool "${compensate.tool}"`, hintFor(compensate.tool, named));
    }
  }
}

/** The pointer begins below `compensate`. */
type Tell = (pointer: string, message: string, hint?: string) => void;

function lintShape({ kind, tool, args, runbook, leaves }: NonNullable<Tool['compensate']>, tell: Tell): void {
  if (kind === 'manual') {
    if (runbook === undefined) tell('', 'a manual undo names a runbook', 'say what a person does');
    if (tool !== undefined || args !== undefined)
      tell('/kind', 'a manual undo calls no tool', 'kind: tool, or leave tool and args out');
  } else if (tool === undefined) {
    tell('', `a ${kind} undo names its tool`, 'without one it is manual, with a runbook');
  }
  if (kind === 'soft' && leaves === undefined)
    tell('', 'a soft undo says what it leaves as it is', 'leaves: one sentence');
  if (kind !== 'soft' && leaves !== undefined)
    tell('/leaves', 'only a soft undo leaves something', 'kind: soft');
}

function lintArguments(by: Tool, args: JsonObject, tell: Tell): void {
  if (by.effect === 'read') tell('/tool', `"${by.name}" only reads`, 'a write undoes a write');
  const names = Object.keys(propertiesOf(by));
  const given = Object.keys(args);
  const required = (by.input.required ?? []) as readonly string[];
  const missing = required.filter((name) => !given.includes(name));
  for (const name of given) {
    if (names.includes(name) || by.input.additionalProperties !== false) continue;
    tell(`/args/${name}`, `"${by.name}" takes no argument "${name}"`, hintFor(name, names));
  }
  for (const name of missing)
    tell(given.length > 0 ? '/args' : '', `"${by.name}" needs the argument "${name}"`, `add ${name} to args`);
  lintLiterals(by, args, tell);
}

/** What holds no expression is what it will be: whether it fits can be told now. */
function lintLiterals(by: Tool, args: JsonObject, tell: Tell): void {
  const literal = Object.fromEntries(Object.entries(args).filter(([, value]) => !holdsExpression(value)));
  for (const { pointer, message } of by.checkInput(literal)) {
    const [, name] = pointer.split('/');
    if (name !== undefined && Object.hasOwn(literal, name) && Object.hasOwn(propertiesOf(by), name))
      tell(`/args/${name}`, `${name} does not fit "${by.name}": ${message}`);
  }
}

function propertiesOf({ input }: Tool): JsonObject {
  return (input.properties ?? {}) as JsonObject;
}

function holdsExpression(value: unknown): boolean {
  if (typeof value === 'string') return value.startsWith('=');
  return typeof value === 'object' && value !== null && Object.values(value).some(holdsExpression);
}
