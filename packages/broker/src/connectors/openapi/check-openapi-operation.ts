// What the description says of a bind at load: the operation exists, the names fit, reads are reads, the digest holds.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import { brokerHeader } from './check-header.ts';
import { compileOperation, type Operation } from './compile-operation.ts';

export interface OpenapiPlace {
  /** Options of the connector. */
  readonly options: JsonObject;
  /** The bind stands where nothing may change. */
  readonly reads: boolean;
  /** The bind as written: operation, digest, templates. */
  readonly bind: JsonObject;
}

/** Mistakes of one bind; sentences, empty when it may run. A digest that differs is no mistake: it pauses the tool. */
export function checkOpenapiOperation({ options, reads, bind }: OpenapiPlace): string[] {
  const compiled = compileOperation(options['description'] ?? null, String(bind['operation']));
  if (!compiled.ok) return [compiled.reason];
  const { operation } = compiled;
  const mistakes: string[] = [];
  const safe = operation.method === 'GET' || operation.method === 'HEAD';
  if (reads && !safe) mistakes.push(`"${operation.id}" is a ${operation.method}; this place only reads`);
  if (!reads && safe)
    mistakes.push(`"${operation.id}" is a ${operation.method}: a write does not hide behind a read`);
  const servers = options['servers'] as readonly Json[];
  if (bind['server'] !== undefined && !servers.some((it) => same(it, bind['server']!)))
    mistakes.push('the server is not one of the connector');
  for (const place of ['path', 'query', 'header'] as const)
    mistakes.push(...parameterMistakes(operation, place, bind));
  if (bind['body'] !== undefined && operation.body === null) mistakes.push(`"${operation.id}" takes no body`);
  if (bind['body'] === undefined && operation.body?.required === true)
    mistakes.push(`"${operation.id}" needs a body`);
  return mistakes;
}

/** The digest of the operation in the connector's slice, where that differs from the one that the bind pins. */
export function driftedDigest({ options, bind }: Pick<OpenapiPlace, 'options' | 'bind'>): string | null {
  const compiled = compileOperation(options['description'] ?? null, String(bind['operation']));
  if (!compiled.ok || bind['digest'] === undefined || bind['digest'] === compiled.operation.digest)
    return null;
  return compiled.operation.digest;
}

function parameterMistakes(
  operation: Operation,
  place: 'path' | 'query' | 'header',
  bind: JsonObject,
): string[] {
  const given = bind[place] ?? {};
  if (!isJsonObject(given)) return [];
  const fold = (name: string): string => (place === 'header' ? name.toLowerCase() : name);
  const known = operation.parameters.filter((it) => it.in === place);
  const names = Object.keys(given).map(fold);
  const unknown = names.filter((name) => !known.some((it) => fold(it.name) === name));
  const missing = known.filter((it) => it.required && !names.includes(fold(it.name)));
  return [
    ...names
      .filter((name) => place === 'header' && brokerHeader(name))
      .map((name) => `the header "${name}" is set by the broker alone`),
    ...unknown.map((name) => `"${operation.id}" has no ${place} parameter "${name}"`),
    ...missing.map((it) => `the ${place} parameter "${it.name}" is missing`),
  ];
}

function same(left: Json, right: Json): boolean {
  return String(left).replace(/\/$/, '') === String(right).replace(/\/$/, '');
}
