// Decides whether a tool says what its connector's provider needs to know to mint for it: the keys of its scope.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { ConnectorSpec } from './bundle.ts';
import { scopeSchemaOf } from './connector-credential.ts';
import type { Manifest } from './manifest.ts';
import { hintFor, type Mistakes } from './mistake.ts';

const STS_SHORTEST_MS = 900_000;

/** Providers without a scope of their own take any: it is recorded, and changes nothing. */
export function lintCredential(
  { tool, value, source }: Manifest,
  connectors: ReadonlyMap<string, ConnectorSpec>,
  mistakes: Mistakes,
): void {
  const provider = connectors.get(tool.connector)?.credential?.provider;
  if (provider === 'aws-sts' && (tool.credential?.max_ttl_ms ?? 0) < STS_SHORTEST_MS)
    mistakes.error(
      source.file,
      source.at(value.credential === undefined ? '' : '/credential'),
      'a session of STS lasts 15 minutes at least',
      'say credential.max_ttl: 15m',
    );
  const schema = provider === undefined ? null : scopeSchemaOf(provider);
  if (schema === null) return;
  const wrong = (pointer: string, message: string, hint?: string): void =>
    mistakes.error(source.file, source.at(pointer), message, hint);
  const credential = (value.credential ?? {}) as JsonObject;
  for (const key of ['scope', 'read_scope'] as const) {
    const given = credential[key];
    if (given === undefined && (key === 'read_scope' || required(schema).length === 0)) continue;
    lintScope(given ?? {}, schema, given === undefined ? '' : `/credential/${key}`, provider!, wrong);
  }
  const { scope, readScope } = tool.credential ?? {};
  if (tool.prepare.length > 0 && readScope === undefined && scope?.reads.has('prepared') === true)
    wrong(
      '/credential/scope',
      'the scope reads prepared values, which the fresh reads do not have yet',
      'say in credential.read_scope what the reads may do',
    );
}

function lintScope(
  scope: Json,
  schema: JsonObject,
  pointer: string,
  provider: string,
  wrong: (pointer: string, message: string, hint?: string) => void,
): void {
  if (!isJsonObject(scope)) return;
  const known = Object.keys(schema.properties as JsonObject);
  for (const key of Object.keys(scope))
    if (!known.includes(key))
      wrong(`${pointer}/${key}`, `provider ${provider} knows no scope "${key}"`, hintFor(key, known));
  for (const key of required(schema))
    if (!Object.hasOwn(scope, key))
      wrong(pointer, `provider ${provider} mints by credential.scope.${key}, which is missing`);
}

function required(schema: JsonObject): readonly string[] {
  return (schema.required ?? []) as readonly string[];
}
