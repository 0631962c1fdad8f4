// Drafts a manifest for one operation of a vendor's description: as narrow as it can be told, all else left to lint.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import { bareType, isJsonType } from './compile-operation.ts';
import { type CutOperation, operationDigest } from './slice.ts';

export interface DraftNames {
  readonly name: string;
  readonly connector: string;
  readonly owner: string;
  /** The vendor's own sentence about the operation; empty where there is none. */
  readonly summary: string;
}

const EFFECTS: Readonly<Record<string, string>> = { get: 'read', head: 'read', delete: 'irreversible' };
/** Kept of a vendor's schema; bounds that are missing stay missing, so that lint asks a person for them. */
const KEPT = ['type', 'enum', 'pattern', 'minLength', 'maxLength', 'minimum', 'maximum'] as const;
const SCALARS: readonly unknown[] = ['string', 'integer', 'number', 'boolean'];

interface Argument {
  readonly schema: JsonObject;
  readonly place: 'path' | 'query' | 'body';
  /** The vendor's name; the argument's own fits an expression. */
  readonly vendorName: string;
}

/** Only what the operation requires becomes an argument: everything else is for a person to add. */
export function draftManifest(cut: CutOperation, names: DraftNames): JsonObject {
  const args = new Map<string, Argument>();
  for (const each of cut.operation['parameters'] as readonly JsonObject[]) {
    const place = each['in'];
    if ((place !== 'path' && place !== 'query') || (place === 'query' && each['required'] !== true)) continue;
    const vendorName = String(each['name']);
    args.set(argumentName(vendorName), { schema: narrow(each['schema'], cut), place, vendorName });
  }
  for (const [vendorName, schema] of requiredMembers(cut))
    args.set(argumentName(vendorName), { schema: narrow(schema, cut), place: 'body', vendorName });
  const filled = (place: Argument['place']): JsonObject => {
    const own = [...args].filter(([, it]) => it.place === place);
    if (own.length === 0 && !(place === 'body' && bodyRequired(cut))) return {};
    return { [place]: Object.fromEntries(own.map(([name, it]) => [it.vendorName, `=args.${name}`])) };
  };
  const operation = String(cut.operation['operationId']);
  return {
    name: names.name,
    version: '0.1.0',
    owner: names.owner,
    connector: names.connector,
    description: sentence(names.summary, operation),
    effect: EFFECTS[cut.method] ?? 'write',
    input: {
      type: 'object',
      additionalProperties: false,
      required: [...args.keys()],
      properties: Object.fromEntries([...args].map(([name, { schema }]) => [name, schema])),
    },
    bind: {
      openapi: {
        operation,
        digest: operationDigest(cut),
        ...filled('path'),
        ...filled('query'),
        ...filled('body'),
      },
    },
    output: { labels: ['untrusted'] },
    lifecycle: { status: 'imported' },
  };
}

/** A name of a tool out of an operationId: `pulls/merge` → `pulls_merge`. */
export function toolName(operationId: string): string {
  const words = operationId.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase();
  const name = words.replace(/[^a-z0-9]+/g, '_').replace(/^[^a-z]+|_+$/g, '');
  return name.slice(0, 64).padEnd(2, '_');
}

function argumentName(vendorName: string): string {
  return vendorName.replace(/[^A-Za-z0-9_]/g, '_').replace(/^(?![A-Za-z_])/, '_');
}

function requiredMembers(cut: CutOperation): [string, Json][] {
  const schema = follow(bodySchema(cut), cut);
  const required = Array.isArray(schema['required']) ? (schema['required'] as readonly Json[]) : [];
  const properties = isJsonObject(schema['properties']) ? schema['properties'] : {};
  return Object.entries(properties).filter(([name]) => required.includes(name));
}

function bodySchema(cut: CutOperation): Json {
  const body = cut.operation['requestBody'];
  const content = isJsonObject(body) && isJsonObject(body['content']) ? Object.entries(body['content']) : [];
  const chosen =
    content.find(([type]) => isJsonType(type)) ??
    content.find(([type]) => bareType(type) === 'application/x-www-form-urlencoded');
  return (chosen?.[1] as JsonObject | undefined)?.['schema'] ?? {};
}

function bodyRequired(cut: CutOperation): boolean {
  const body = cut.operation['requestBody'];
  return isJsonObject(body) && body['required'] === true;
}

/** Scalars keep the vendor's bounds. Objects and lists stay unnamed: lint refuses them until a person has closed them. */
function narrow(value: Json | undefined, cut: CutOperation): JsonObject {
  const schema = follow(value ?? {}, cut);
  if (!SCALARS.includes(schema['type'])) return { type: schema['type'] === 'array' ? 'array' : 'object' };
  return Object.fromEntries(
    KEPT.filter((key) => schema[key] !== undefined).map((key) => [key, schema[key] as Json]),
  );
}

function follow(value: Json, cut: CutOperation, steps = 0): JsonObject {
  if (!isJsonObject(value)) return {};
  const ref = value['$ref'];
  if (typeof ref !== 'string' || steps > 8) return value;
  return follow(cut.schemas[ref.slice('#/components/schemas/'.length)] ?? {}, cut, steps + 1);
}

/** The vendor's summary as one sentence; where it is none, lint asks a person for it. */
function sentence(summary: string, operation: string): string {
  const text = summary
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 159)
    .replace(/[.!?]?$/, '.');
  return text.length > 1 ? text.charAt(0).toUpperCase() + text.slice(1) : `Call ${operation}.`;
}
