// What a Cedar value is while a policy runs, and how an evaluation fails.
import { UNKNOWN } from './decision.ts';

/**
 * A value under evaluation. Longs are numbers while they are safe integers and bigints beyond (never both
 * ways for one value, so `===` compares them); lists are sets; plain objects are records, whose fields and
 * elements are still facts and pass `decodeFact` when they are read.
 */
export type Value = boolean | string | Long | Opaque | SetValue | RecordValue | typeof UNKNOWN;
export type Long = number | bigint;
export type SetValue = readonly unknown[];
export type RecordValue = Readonly<Record<string, unknown>>;

/** A failed evaluation: the policy that raised it errs. No stack is taken: policies may err on every call. */
export class CedarError {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
}

/** Values that are neither JSON scalars nor containers: entities and extension values. */
export abstract class Opaque {
  /** The name that type errors use. */
  abstract readonly typeName: string;
  /** Text that is equal for equal values of one type and different otherwise. */
  abstract canonical(): string;
  /** Cedar's JSON escape, so that the official engine reads the same value. */
  abstract toJSON(): unknown;

  equals(other: Opaque): boolean {
    return this.typeName === other.typeName && this.canonical() === other.canonical();
  }
}

/** A reference to an entity; `key` names it in `DecisionRequest.entities` and `FactEntity.ancestors`. */
export class EntityRef extends Opaque {
  readonly typeName = 'entity';
  readonly type: string;
  readonly id: string;
  readonly key: string;

  constructor(type: string, id: string) {
    super();
    this.type = type;
    this.id = id;
    this.key = entityKey({ type, id });
  }

  canonical(): string {
    return this.key;
  }

  override equals(other: Opaque): boolean {
    return other instanceof EntityRef && other.key === this.key;
  }

  toJSON(): unknown {
    return { __entity: { type: this.type, id: this.id } };
  }
}

/** `Type::"id"`, the id as a JSON string: no two entities share a key. */
export function entityKey(uid: { readonly type: string; readonly id: string }): string {
  return `${uid.type}::${JSON.stringify(uid.id)}`;
}

/** The entity that a key names; undefined if the text is no key. */
export function parseEntityKey(key: string): { type: string; id: string } | undefined {
  const at = key.indexOf('::"');
  if (at < 1) return undefined;
  try {
    return { type: key.slice(0, at), id: JSON.parse(key.slice(at + 2)) as string };
  } catch {
    return undefined;
  }
}

/** True for a decoded value that is a record. */
export function isRecordValue(value: Value): value is RecordValue {
  return typeof value === 'object' && !Array.isArray(value) && !(value instanceof Opaque);
}

function typeNameOf(value: Value): string {
  switch (typeof value) {
    case 'boolean':
      return 'bool';
    case 'string':
      return 'string';
    case 'number':
    case 'bigint':
      return 'long';
    case 'symbol':
      return 'unknown';
    default:
      if (value instanceof Opaque) return value.typeName;
      return Array.isArray(value) ? 'set' : 'record';
  }
}

/** The error of an operator that was given a value of another type. */
export function typeError(expected: string, got: Value): CedarError {
  return new CedarError(`type error: expected ${expected}, got ${typeNameOf(got)}`);
}

/** The boolean (or UNKNOWN) that an operand must be. */
export function asBoolean(value: Value): boolean | typeof UNKNOWN {
  if (value === true || value === false || value === UNKNOWN) return value;
  throw typeError('bool', value);
}

/** The string that an operand must be; UNKNOWN was taken out before. */
export function asString(value: Value): string {
  if (typeof value === 'string') return value;
  throw typeError('string', value);
}

export function asEntity(value: Value): EntityRef {
  if (value instanceof EntityRef) return value;
  throw typeError('entity', value);
}

export function asSet(value: Value): SetValue {
  if (Array.isArray(value)) return value;
  throw typeError('set', value);
}
