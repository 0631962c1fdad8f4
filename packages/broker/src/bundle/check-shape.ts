// Checks a bundle file against the published JSON Schema of its kind, with the place of every mistake.
import { readFileSync } from 'node:fs';
import { isJsonObject, type JsonObject } from '@countersign/contract/json.ts';
import { type Check, compileSchema } from '#rules/json-schema.ts';
import type { Mistakes } from './mistake.ts';
import type { Source } from './parse-yaml.ts';

export type FileKind =
  | 'agent'
  | 'connector'
  | 'countersign'
  | 'jwk'
  | 'orchestrator'
  | 'person'
  | 'test'
  | 'tool';

const schemas = new Map<FileKind, JsonObject>();
const checks = new Map<FileKind, Check>();

/** The published schema of a file kind (packages/broker/schemas), read when first asked for. */
export function schemaOf(kind: FileKind): JsonObject {
  let schema = schemas.get(kind);
  if (schema === undefined) {
    const url = new URL(`../../schemas/${kind}.schema.json`, import.meta.url);
    schema = JSON.parse(readFileSync(url, 'utf8')) as JsonObject;
    schemas.set(kind, schema);
  }
  return schema;
}

/** The check of a file kind, compiled when first asked for. */
export function checkOf(kind: FileKind): Check {
  let check = checks.get(kind);
  if (check === undefined) {
    const compiled = compileSchema(schemaOf(kind));
    if (!compiled.ok)
      throw new Error(`the schema of ${kind} files is broken: ${JSON.stringify(compiled.faults)}`);
    check = compiled.check;
    checks.set(kind, check);
  }
  return check;
}

/** The value of a file when its shape is right; otherwise null, and the mistakes are told. */
export function checkShape(source: Source, kind: FileKind, mistakes: Mistakes): JsonObject | null {
  const issues = checkOf(kind)(source.value);
  for (const { pointer, message } of issues) {
    const [sentence = message, hint] = message.split('; ');
    const on = sentence.startsWith('unknown key') || sentence.startsWith('missing') ? 'key' : 'value';
    mistakes.error(source.file, source.at(pointer, on), sentence, hint);
  }
  return issues.length === 0 && isJsonObject(source.value) ? source.value : null;
}
