// Turns values of a call into parameters of PostgreSQL, and rows of PostgreSQL into JSON that loses nothing.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { SqlRefused } from './sql-refused.ts';

/** The form in which a value goes to the server, which knows the type; undefined: it has none. */
export function toParameter(value: Json): string | null | undefined {
  if (value === null || typeof value === 'string') return value;
  if (typeof value === 'boolean') return String(value);
  if (typeof value !== 'number' || !Number.isFinite(value)) return undefined;
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? undefined : String(value);
}

export interface PostgresField {
  readonly name: string;
  readonly dataTypeID: number;
}

type Convert = (text: string, column: string) => Json;

const whole: Convert = (text, column) => {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  throw new SqlRefused(
    `column ${column}: an integer in the answer is beyond 2^53 and has no exact JSON form`,
  );
};

const real: Convert = (text, column) => {
  const value = Number(text);
  if (Number.isFinite(value)) return value;
  throw new SqlRefused(`column ${column} holds a value that has no JSON form`);
};

const bytes: Convert = (_text, column) => {
  throw new SqlRefused(
    `column ${column} holds bytes, which have no JSON form; select encode(${column}, 'base64')`,
  );
};

const json: Convert = (text) => JSON.parse(text) as Json;

/** By type number. Every other type (text, numeric, uuid, dates, arrays) answers the text that PostgreSQL writes. */
const CONVERT: Readonly<Record<number, Convert>> = {
  16: (text) => text === 't',
  17: bytes,
  20: whole,
  21: whole,
  23: whole,
  26: whole,
  114: json,
  700: real,
  701: real,
  3802: json,
};

/** Throws `SqlRefused` for what has no exact JSON form. */
export function toJsonRow(fields: readonly PostgresField[], row: readonly (string | null)[]): JsonObject {
  const json: Record<string, Json> = Object.create(null) as Record<string, Json>;
  fields.forEach(({ name, dataTypeID }, index) => {
    if (name in json) throw new SqlRefused(`two columns are named ${name}; name them apart with "as"`);
    const text = row[index] ?? null;
    json[name] = text === null ? null : (CONVERT[dataTypeID]?.(text, name) ?? text);
  });
  return { ...json };
}
