// Keeps of an answer what a closed schema names, so that nothing else of a vendor's record enters the broker's facts.
import { isJsonObject, type Json } from '@countersign/contract/json.ts';

/** Drops members that closed objects of the schema do not name; everything else stays for the schema's own check. */
export function keepDescribed(value: Json, schema: Json): Json {
  if (!isJsonObject(schema)) return value;
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined ? value : (value as readonly Json[]).map((item) => keepDescribed(item, items));
  }
  const { properties } = schema;
  if (!isJsonObject(value) || !isJsonObject(properties)) return value;
  const open = schema['additionalProperties'] !== false;
  const kept = Object.entries(value)
    .filter(([name]) => open || Object.hasOwn(properties, name))
    .map(([name, each]) => [name, keepDescribed(each, properties[name] ?? true)]);
  return Object.fromEntries(kept) as Json;
}
