// What of an upstream's reply goes on: manifest redaction, labels of the fields present, and the projection.
import type { Json } from '@countersign/contract/json.ts';
import type { Scope } from './expression.ts';
import type { Tool } from './tool.ts';

export const REDACTED = '[redacted]';

/** The reply with the manifest's redacted fields replaced. Done first: nothing else sees those values. */
export function redactFields(value: Json, pointers: readonly string[]): Json {
  let out = value;
  for (const pointer of pointers) out = replaceAt(out, segmentsOf(pointer), 0);
  return out;
}

/** Labels of the fields that the output really has, sorted; those of the whole output are not among them. */
export function labelsOfFields(value: Json, fields: Tool['output']['fields']): string[] {
  const labels = new Set<string>();
  for (const field of fields) {
    if (existsAt(value, segmentsOf(field.pointer), 0)) for (const label of field.labels) labels.add(label);
  }
  return [...labels].sort();
}

export type Projection =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly why: string };

/** What the agent gets: the manifest's projection of the reply, checked against the output schema. */
export function projectOutput(tool: Tool, scope: Scope): Projection {
  let value: unknown;
  try {
    value = tool.output.project === undefined ? scope.response : tool.output.project.fill(scope);
  } catch (error) {
    return { ok: false, why: `the output cannot be projected: ${(error as Error).message}` };
  }
  const issues = tool.output.checkOutput?.(value) ?? [];
  if (issues.length > 0) {
    const first = issues[0]!;
    return { ok: false, why: `the output does not fit its schema: ${first.pointer} ${first.message}` };
  }
  return { ok: true, value: (value ?? null) as Json };
}

/** RFC 6901 segments; `*` stands for every item of a list. */
function segmentsOf(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function replaceAt(value: Json, segments: readonly string[], at: number): Json {
  if (at === segments.length) return REDACTED;
  const segment = segments[at]!;
  if (Array.isArray(value)) {
    const list = value as readonly Json[];
    return list.map((item, index) =>
      segment === '*' || segment === String(index) ? replaceAt(item, segments, at + 1) : item,
    );
  }
  if (value === null || typeof value !== 'object' || !Object.hasOwn(value, segment)) return value;
  const record = value as { readonly [key: string]: Json };
  return { ...record, [segment]: replaceAt(record[segment]!, segments, at + 1) };
}

function existsAt(value: Json, segments: readonly string[], at: number): boolean {
  if (at === segments.length) return value !== null && value !== '';
  const segment = segments[at]!;
  if (Array.isArray(value)) {
    const list = value as readonly Json[];
    return list.some(
      (item, index) => (segment === '*' || segment === String(index)) && existsAt(item, segments, at + 1),
    );
  }
  if (value === null || typeof value !== 'object' || !Object.hasOwn(value, segment)) return false;
  return existsAt((value as { readonly [key: string]: Json })[segment]!, segments, at + 1);
}
