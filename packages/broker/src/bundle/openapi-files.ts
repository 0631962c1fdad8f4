// What openapi connectors and binds look like in a bundle: the slice taken in, templates apart from what is fixed.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';

type Wrong = (pointer: string, message: string, hint?: string) => void;

export const OPENAPI_KEYS = [
  ...['spec', 'servers', 'allow_private', 'headers', 'response_headers', 'response_drift', 'connections'],
] as const;

const TEMPLATES = ['path', 'query', 'header', 'body'] as const;

/** Options of an openapi connector, with the slice itself in place of its path. `texts`: files of the bundle. */
export function openapiOptions(
  value: JsonObject,
  texts: ReadonlyMap<string, string>,
  wrong: Wrong,
): JsonObject {
  const { spec, ...rest } = value;
  if (value['servers'] === undefined) wrong('', 'missing "servers"', 'the base URLs that may be called');
  const options = Object.fromEntries(
    Object.entries(rest).filter(([key]) => OPENAPI_KEYS.includes(key as never)),
  );
  return { ...options, description: sliceAt(spec, texts, wrong) };
}

function sliceAt(spec: Json | undefined, texts: ReadonlyMap<string, string>, wrong: Wrong): JsonObject {
  if (typeof spec !== 'string') {
    wrong('', 'missing "spec"', 'a slice of the vendor description, e.g. specs/github.json');
    return {};
  }
  const text = texts.get(spec);
  if (text === undefined) {
    wrong('/spec', `no file "${spec}" in the bundle`, 'make it with `countersign tools slice`, under specs/');
    return {};
  }
  try {
    const description = JSON.parse(text) as Json;
    if (isJsonObject(description)) return description;
  } catch {
    // Told below: what is not JSON is not an object either.
  }
  wrong('/spec', `${spec} is not a JSON object`);
  return {};
}

/** Parts a bind: what is fixed and reviewed, and what is filled for each call. `keep`: closed schema that the answer is cut to. */
export function splitOpenapi(
  bind: JsonObject,
  idempotency: JsonObject | undefined,
  keep: Json | undefined,
): { readonly operation: JsonObject; readonly inputs: JsonObject } {
  const inputs = Object.fromEntries(
    TEMPLATES.filter((key) => bind[key] !== undefined).map((key) => [key, bind[key] as Json]),
  );
  const fixed = Object.fromEntries(Object.entries(bind).filter(([key]) => !TEMPLATES.includes(key as never)));
  const header = idempotency?.['strategy'] === 'header' ? idempotency['header'] : undefined;
  if (typeof header !== 'string') return { operation: withKeep(fixed, keep), inputs };
  // The key rides with the template, so that it is filled from the call like every other value.
  const key = `=${String(idempotency?.['key'] ?? 'call.id')}`;
  return {
    operation: withKeep({ ...fixed, idempotency_header: header }, keep),
    inputs: { ...inputs, header: { ...(inputs['header'] as JsonObject | undefined), [header]: key } },
  };
}

function withKeep(operation: JsonObject, keep: Json | undefined): JsonObject {
  return keep === undefined ? operation : { ...operation, keep };
}
