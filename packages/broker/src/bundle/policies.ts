// Compiles the policies of a bundle with the baseline: parsed, typed against the generated schema, approvals checked.
import { type ApprovalText, parseApproval } from '#rules/approval.ts';
import { compilePolicySet } from '#rules/cedar-compile.ts';
import {
  engineFallback,
  type ParsedPolicy,
  parsePolicies,
  type ValidationMistake,
  validatePolicies,
} from '#rules/cedar-engine.ts';
import { entityKey } from '#rules/cedar-value.ts';
import type { PolicySet } from '#rules/decision.ts';
import { actionGroups } from '#rules/facts.ts';
import type { Tool } from '#rules/tool.ts';
import { BASELINE_IDS } from './baseline.ts';
import type { CedarSchema } from './cedar-schema.ts';
import { hintFor, type Mistakes, type Position } from './mistake.ts';
import type { Principals } from './principals.ts';

/** Name under which the baseline appears in mistakes and among the files of the bundle. */
export const BASELINE_FILE = 'policies/(baseline).cedar';

const ANNOTATIONS: readonly string[] = ['id', 'approval', 'because', 'description'];

export interface PolicyWorld {
  /** Null: files of people are broken, so that nobody can say who could approve. */
  readonly electorate: Pick<Principals, 'people' | 'groups' | 'agents' | 'openGroups'> | null;
  /** Names by entity type, of the types that are known whole. */
  readonly names: ReadonlyMap<string, ReadonlySet<string>>;
}

/** What policies are typed against; `untyped`: tools whose types are broken. */
export interface Typing {
  readonly cedar: CedarSchema;
  readonly untyped: ReadonlySet<string>;
}

interface Placed {
  readonly file: string;
  readonly policy: ParsedPolicy;
}

/**
 * `texts`: path → text of every .cedar file, the baseline among them. `schema` null: only parsed, not validated;
 * what validation says of its untyped tools is left out.
 * Answers null when the policies cannot be compiled.
 */
export function compilePolicies(
  texts: ReadonlyMap<string, string>,
  schema: Typing | null,
  tools: readonly Tool[],
  known: PolicyWorld,
  mistakes: Mistakes,
): PolicySet | null {
  const placed = parseAll(texts, mistakes);
  for (const each of placed) {
    checkAnnotations(each, known.electorate, mistakes);
    checkMentions(each, known.names, mistakes);
  }
  if (schema !== null) validateAll(placed, schema, mistakes);
  if (mistakes.hasErrors) return null;
  const policies = placed.map((it) => it.policy);
  const compile = (groups: readonly string[]): PolicySet => {
    const actionAncestors = ancestorsOf(tools, groups);
    return compilePolicySet({
      policies,
      actionAncestors,
      fallback: engineFallback(policies, actionAncestors),
    });
  };
  const usual = compile([]);
  // Needed only once an upstream has asked a caller for something, so compiled only then.
  let carrying: PolicySet | undefined;
  return {
    ...usual,
    judge(request) {
      if (request.egress !== true) return usual.judge(request);
      carrying ??= compile(['egress']);
      return carrying.judge(request);
    },
  };
}

/** For every action all groups above it and those given, as entity keys. */
function ancestorsOf(tools: readonly Tool[], groups: readonly string[] = []): Map<string, Set<string>> {
  const key = (id: string): string => entityKey({ type: 'Action', id });
  return new Map(tools.map((tool) => [key(tool.name), new Set([...actionGroups(tool), ...groups].map(key))]));
}

function parseAll(texts: ReadonlyMap<string, string>, mistakes: Mistakes): Placed[] {
  const placed: Placed[] = [];
  const where = new Map<string, string>();
  for (const [file, text] of texts) {
    const parsed = parsePolicies(text);
    for (const it of parsed.mistakes) {
      if (it.severity === 'error') mistakes.error(file, it, it.message, it.hint);
      else mistakes.warn(file, it, it.message, it.hint);
    }
    for (const policy of parsed.policies) {
      const first = where.get(policy.id);
      if (file !== BASELINE_FILE && BASELINE_IDS.includes(policy.id)) {
        mistakes.error(
          file,
          policy,
          `the policy id "${policy.id}" belongs to the baseline`,
          'give it an id of its own',
        );
      } else if (first !== undefined) {
        mistakes.error(
          file,
          policy,
          `the policy id "${policy.id}" exists in ${first} too`,
          'give each policy an id of its own',
        );
      } else {
        where.set(policy.id, file);
        placed.push({ file, policy });
      }
    }
  }
  return placed;
}

function checkAnnotations(
  { file, policy }: Placed,
  people: Pick<Principals, 'people' | 'groups' | 'agents' | 'openGroups'> | null,
  mistakes: Mistakes,
): void {
  const wrong = (name: string, message: string, hint?: string): void =>
    mistakes.error(file, annotationAt(policy, name), message, hint);
  for (const name of Object.keys(policy.annotations)) {
    // A misspelt @approval would be a plain forbid, a misspelt @because a denial that explains nothing.
    if (!ANNOTATIONS.includes(name)) wrong(name, `unknown annotation @${name}`, hintFor(name, ANNOTATIONS));
  }
  const text = policy.annotations.approval;
  if (text === undefined || file === BASELINE_FILE) return;
  if (policy.json.effect !== 'forbid') {
    wrong(
      'approval',
      '@approval stands on a permit',
      'write a forbid for what needs people, and a permit for the rest',
    );
    return;
  }
  const parsed = parseApproval(text);
  if (!parsed.ok) wrong('approval', parsed.message);
  else if (people !== null) {
    const reason = whyUnreachable(parsed.approval, people);
    if (reason !== null) wrong('approval', reason.message, reason.hint);
  }
}

/** People leave and roles are given later: a rule about either is no slip for sure. */
const MAY_BE_MISSING: readonly string[] = ['Person', 'Role'];

/** A misspelt name in a forbid guards nobody. Actions and attributes are the validator's to check. */
function checkMentions({ file, policy }: Placed, names: PolicyWorld['names'], mistakes: Mistakes): void {
  if (file === BASELINE_FILE) return;
  for (const { type, id } of mentionsIn(policy.json)) {
    const known = names.get(type);
    if (known === undefined || known.has(id)) continue;
    const at = placeOf(policy, Math.max(0, policy.text.indexOf(`${type}::${JSON.stringify(id)}`)));
    const what = type === 'Role' ? `no agent has the role "${id}"` : `no ${type.toLowerCase()} "${id}"`;
    const hint = hintFor(id, known);
    if (MAY_BE_MISSING.includes(type)) mistakes.warn(file, at, what, hint);
    else mistakes.error(file, at, what, hint);
  }
}

function mentionsIn(json: unknown): { readonly type: string; readonly id: string }[] {
  if (Array.isArray(json)) return json.flatMap(mentionsIn);
  if (typeof json !== 'object' || json === null) return [];
  const { type, id } = json as { readonly type?: unknown; readonly id?: unknown };
  if (typeof type === 'string' && typeof id === 'string') return [{ type, id }];
  return Object.values(json).flatMap(mentionsIn);
}

/** Why nobody could ever satisfy this ask, or null when enough people could. */
export function whyUnreachable(
  ask: ApprovalText,
  { people, groups, agents, openGroups }: Pick<Principals, 'people' | 'groups' | 'agents' | 'openGroups'>,
): { message: string; hint: string | undefined } | null {
  const members = groups.get(ask.group);
  if (members === undefined)
    return { message: `no group "${ask.group}"`, hint: hintFor(ask.group, groups.keys()) };
  // Who is in it is said at log-ins: nobody can count them now.
  if (openGroups.has(ask.group)) return null;
  const eligible = [...members].filter((name) => {
    const person = people.get(name);
    return person?.status === 'active' && person.roles.includes('approver');
  });
  const owners = new Set([...agents.values()].map((agent) => agent.owner));
  const excluded = ask.excluding.includes('owner') && eligible.some((name) => owners.has(name)) ? 1 : 0;
  const count = eligible.length - excluded;
  if (ask.quorum <= count) return null;
  const without = excluded === 0 ? '' : ' besides an owner';
  return {
    message: `asks for ${ask.quorum} of "${ask.group}", which has ${count} active approver${count === 1 ? '' : 's'}${without}`,
    hint: 'add people with the role approver to the group, or ask for fewer',
  };
}

function annotationAt(policy: ParsedPolicy, name: string): Position {
  return placeOf(policy, Math.max(0, policy.text.search(new RegExp(`@\\s*${name}\\b`))));
}

/** The place of a character of the policy in its file. */
function placeOf({ text, line, column }: ParsedPolicy, offset: number): Position {
  const before = text.slice(0, offset);
  const lines = before.split('\n');
  const last = lines.at(-1) ?? '';
  return lines.length === 1
    ? { line, column: column + last.length }
    : { line: line + lines.length - 1, column: last.length + 1 };
}

/**
 * The engine judges every policy for every action of its schema: a thousand tools with a policy each are a million
 * judgements. INVARIANT: what a policy means for an action depends on the action's type, and on its name only where
 * the policy mentions it. So each policy is judged by the tools that it mentions, and where its scope is open beyond
 * them, by one tool of each type.
 */
function validateBySlice(placed: readonly Placed[], { cedar, untyped }: Typing): ValidationMistake[] {
  const kinds = new Map<string, string>();
  for (const [name, first] of cedar.kinds) {
    // Findings about an untyped tool are dropped, so it stands for no other.
    const kind = `${first} ${untyped.has(name)}`;
    if (!kinds.has(kind)) kinds.set(kind, name);
  }
  const slices = new Map<string, { readonly text: string; readonly policies: ParsedPolicy[] }>();
  for (const { policy } of placed) {
    const scoped = new Set(actionsIn(policy.json.action));
    const mentioned = new Set(actionsIn(policy.json).filter((name) => !cedar.groups.has(name)));
    const known = [...mentioned].every((name) => cedar.tools.has(name));
    const open = scoped.size === 0 || [...scoped].some((name) => !mentioned.has(name));
    const tools = new Set([...mentioned, ...(open ? kinds.values() : [])]);
    // A name that nobody has is told beside those that it may have meant.
    const key = known ? JSON.stringify([...tools].sort()) : '';
    const slice = slices.get(key);
    if (slice !== undefined) slice.policies.push(policy);
    else slices.set(key, { text: known ? cedar.textOf(tools) : cedar.text, policies: [policy] });
  }
  return [...slices.values()].flatMap(({ text, policies }) => validatePolicies(policies, text));
}

function actionsIn(json: unknown): string[] {
  return mentionsIn(json).flatMap(({ type, id }) => (type === 'Action' ? [id] : []));
}

function validateAll(placed: readonly Placed[], schema: Typing, mistakes: Mistakes): void {
  const files = new Map(placed.map(({ file, policy }) => [policy.id, file]));
  const found = validateBySlice(placed, schema);
  const aboutUntyped = (message: string): boolean =>
    [...message.matchAll(/Action::"([^"]+)"/g)].some((match) => schema.untyped.has(match[1] ?? ''));
  const erring = new Set(found.filter((it) => it.severity === 'error').map((it) => it.policy));
  for (const it of found) {
    const file = it.policy === null ? undefined : files.get(it.policy);
    const message = it.message.replace(/^for policy `[^`]*`, /, '');
    if (it.severity === 'error') {
      if (!aboutUntyped(message)) mistakes.error(file ?? BASELINE_FILE, it, message, it.hint);
      // A bundle without egress tools makes the baseline's rule about them "impossible"; that is as it should be.
    } else if (file !== undefined && file !== BASELINE_FILE && !erring.has(it.policy)) {
      mistakes.warn(file, it, message, it.hint);
    }
  }
}
