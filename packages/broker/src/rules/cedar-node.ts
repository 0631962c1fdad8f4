// Reads nodes of Cedar's JSON policy format strictly: what does not look exactly as expected is not compiled.
import type { Evaluate } from './cedar-frame.ts';
import type { Value } from './cedar-value.ts';
import { CedarError } from './cedar-value.ts';

/** The compiler does not know this construct exactly; the official engine has to judge the policy. */
export class CedarUnsupported extends Error {
  override readonly name = 'CedarUnsupported';
}

/**
 * A compiled expression; `constant` where it needs no request and does not err, `path` where it is a variable
 * or a chain of attributes on one.
 */
export interface Code {
  readonly run: Evaluate;
  readonly constant?: { readonly value: Value };
  readonly path?: string;
}

/** Code for a value computed once. Where computing it errs, every evaluation errs in the same way. */
export function constantOf(compute: () => Value): Code {
  try {
    const value = compute();
    return { run: () => value, constant: { value } };
  } catch (error) {
    if (!(error instanceof CedarError)) throw error;
    return {
      run: () => {
        throw error;
      },
    };
  }
}

/** The one key of an object; CedarUnsupported when there is not exactly one. */
export function soleKey(json: unknown, what: string): string {
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) {
    const keys = Object.keys(json);
    if (keys.length === 1) return keys[0] as string;
  }
  throw new CedarUnsupported(`${what} that is not an object with one key`);
}

/** The fields of a node: all required ones, none but the named ones. */
export function fieldsOf<R extends string, O extends string = never>(
  json: unknown,
  required: readonly R[],
  optional: readonly O[] = [],
): Record<R, unknown> & Partial<Record<O, unknown>> {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new CedarUnsupported(`a node that is no object, where ${required.join(', ')} are expected`);
  }
  const known: readonly string[] = [...required, ...optional];
  const extra = Object.keys(json).find((key) => !known.includes(key));
  if (extra !== undefined) throw new CedarUnsupported(`the field \`${extra}\``);
  const missing = required.find((key) => !Object.hasOwn(json, key));
  if (missing !== undefined) throw new CedarUnsupported(`a node without \`${missing}\``);
  return json as Record<R, unknown> & Partial<Record<O, unknown>>;
}

export function nameOf(json: unknown): string {
  if (typeof json === 'string') return json;
  throw new CedarUnsupported(`${JSON.stringify(json)} where a name is expected`);
}

/** An entity type in its normal form, e.g. `Desk::Ticket`. */
export function typeNameIn(json: unknown): string {
  if (typeof json === 'string' && /^[A-Za-z_]\w*(::[A-Za-z_]\w*)*$/.test(json)) return json;
  throw new CedarUnsupported(`${JSON.stringify(json)} where an entity type is expected`);
}

/** An entity reference of a scope or literal: `{type, id}`, plain or under `__entity`. */
export function entityIn(json: unknown): { readonly type: string; readonly id: string } {
  const wrapped = typeof json === 'object' && json !== null && Object.hasOwn(json, '__entity');
  const { type, id } = fieldsOf(wrapped ? (json as { __entity: unknown }).__entity : json, ['type', 'id']);
  return { type: typeNameIn(type), id: nameOf(id) };
}
