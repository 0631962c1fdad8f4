// Words that the JSON Schemas of the HTTP door are made of.
import type { JsonObject } from '@countersign/contract/json.ts';

export const text = (maxLength: number, description?: string): JsonObject => ({
  type: 'string',
  minLength: 1,
  maxLength,
  ...(description === undefined ? {} : { description }),
});
export const time: JsonObject = { type: 'integer', description: 'Milliseconds since the epoch.' };
export const names: JsonObject = { type: 'array', items: { type: 'string' } };
export const anything: JsonObject = { type: 'object', additionalProperties: true };

/** A closed object; every property is required unless it is listed as optional. */
export function closed(
  properties: Readonly<Record<string, JsonObject>>,
  optional: readonly string[] = [],
): JsonObject {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', additionalProperties: false, required, properties };
}

export function ref(name: string): JsonObject {
  return { $ref: `#/components/schemas/${name}` };
}

export function listOf(key: string, item: JsonObject): JsonObject {
  return closed({ [key]: { type: 'array', items: item } });
}
