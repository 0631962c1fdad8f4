// Writes a person's answers about an imported tool into its manifest; comments, order and everything else stay as they are.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { type Document, isMap, parseDocument } from 'yaml';
import { type LintRuleId, lintRules } from './lint-rules.ts';

/** What a person says about one tool. Absent: as it stands in the manifest. */
export interface ReviewAnswers {
  readonly effect?: 'read' | 'write' | 'irreversible';
  readonly description?: string;
  /** Labels of what comes back. */
  readonly labels?: readonly string[];
  /** Arguments through which data or money can leave, or `*`. */
  readonly egress?: readonly string[] | '*';
  /** JSON pointer into `input` → keywords that narrow the schema there; null removes one. */
  readonly input?: Readonly<Record<string, JsonObject>>;
  readonly summary?: readonly string[];
  readonly resources?: readonly string[];
  readonly idempotency?: JsonObject;
  readonly sideEffect?: JsonObject;
  readonly verify?: JsonObject;
  readonly lookup?: JsonObject;
  readonly compensate?: JsonObject;
  /** Rules with a `reason` row that stay set aside, each with the person's own reason. */
  readonly waives?: Readonly<Record<string, string>>;
}

export const ANSWER_KEYS: readonly (keyof ReviewAnswers)[] = [
  ...(['effect', 'description', 'labels', 'egress', 'input', 'summary', 'resources'] as const),
  ...(['idempotency', 'sideEffect', 'verify', 'lookup', 'compensate', 'waives'] as const),
];

const WHOLE = [
  ...(['effect', 'description', 'summary', 'resources', 'idempotency', 'sideEffect'] as const),
  ...(['verify', 'lookup', 'compensate'] as const),
];

/** The manifest as it would be if the tool were active. `reviewed`: who says so, for the comment. */
export function answeredManifest(yaml: string, answers: ReviewAnswers, reviewed: string): string {
  const document = parseDocument(yaml);
  for (const key of WHOLE) if (answers[key] !== undefined) put(document, [key], answers[key] as Json);
  if (answers.labels !== undefined) put(document, ['output', 'labels'], answers.labels as Json);
  if (answers.egress !== undefined) {
    if (answers.egress.length === 0) document.delete('egress');
    else put(document, ['egress'], answers.egress as Json);
  }
  for (const [pointer, patch] of Object.entries(answers.input ?? {})) narrow(document, pointer, patch);
  put(document, ['lifecycle', 'status'], 'active');
  putWaivers(document, answers.waives ?? {});
  const comment = document.commentBefore?.split('\n') ?? [];
  const kept = comment.filter((line) => !line.startsWith(REVIEWED));
  document.commentBefore = [...kept.map(pastTense), `${REVIEWED}${reviewed}.`].join('\n');
  return document.toString({ lineWidth: 0 });
}

const REVIEWED = ' Reviewed by ';

/** What the import wrote is no longer true of a reviewed tool. */
function pastTense(line: string): string {
  return line
    .replace(/\. Nobody has reviewed it:$/, '.')
    .replace(
      /^ whatever the server says, it is a write, and a person decides on every call\.$/,
      ' Imported as a write that a person decides on.',
    );
}

/** The manifest with the answers, still imported: `missing` are the rules that it breaks, waived by name. */
export function stillImported(
  answered: string,
  before: string,
  missing: readonly string[],
  kept: Readonly<Record<string, string>>,
): string {
  const document = parseDocument(answered);
  put(document, ['lifecycle', 'status'], 'imported');
  const reasons = missing.map((rule) => [
    rule,
    'Not answered in the review yet: a person decides on every call.',
  ]);
  putWaivers(document, { ...Object.fromEntries(reasons), ...kept });
  const comment = parseDocument(before).commentBefore;
  if (comment != null) document.commentBefore = comment;
  return document.toString({ lineWidth: 0 });
}

/** The rule that a mistake's message begins with, or null. */
export function ruleOf(message: string): LintRuleId | null {
  const rule = /^([a-z-]+): /.exec(message)?.[1] ?? '';
  return Object.hasOwn(lintRules, rule) ? (rule as LintRuleId) : null;
}

function putWaivers(document: Document, waives: Readonly<Record<string, string>>): void {
  if (Object.keys(waives).length === 0) document.deleteIn(['lifecycle', 'waives']);
  else put(document, ['lifecycle', 'waives'], waives as JsonObject);
}

function put(document: Document, path: readonly string[], value: Json): void {
  document.setIn(path, typeof value === 'object' && value !== null ? document.createNode(value) : value);
}

/** Keywords are set beside those that stand there; null takes one away. A pointer that leads nowhere throws. */
function narrow(document: Document, pointer: string, patch: JsonObject): void {
  const steps = pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  const path = ['input', ...steps];
  if (!isMap(document.getIn(path))) throw new RangeError(`input has nothing at ${pointer}`);
  for (const [keyword, value] of Object.entries(patch)) {
    if (value === null) document.deleteIn([...path, keyword]);
    else put(document, [...path, keyword], value);
  }
}
