// Writes the Cedar schema that types every policy: generated from manifests, so that policies cannot misname arguments.
import type { JsonObject } from '@countersign/contract/json.ts';
import { actionGroups, cedarKind } from '#rules/facts.ts';
import type { Tool } from '#rules/tool.ts';
import type { Settings } from './bundle.ts';

const GROUPS = ['read', 'write', 'irreversible', 'egress', 'imported'] as const;

const ENTITIES = `entity Tenant;
entity Person;
entity Role;
entity Connector = { name: String };
entity Resource in [Connector] = { system: String, kind: String, id: String };
entity Agent in [Role, Tenant] = { owner: Person, tenant: Tenant, mode: String, roles: Set<String> };
`;

export interface CedarSchema {
  /** The whole schema, in the human format. */
  readonly text: string;
  /** Names of all tools in it. */
  readonly tools: ReadonlySet<string>;
  /** Names of all groups in it. */
  readonly groups: ReadonlySet<string>;
  /** Tool → the first tool of the same type: in the same groups, for the same resource, with the same context. */
  readonly kinds: ReadonlyMap<string, string>;
  /** The schema with all entities and groups, and of the tools only these. */
  textOf(tools: Iterable<string>): string;
}

/** Order follows the tools given; the same bundle writes the same text. */
export function cedarSchema(
  tools: readonly Tool[],
  settings: Settings,
  connectors: Iterable<string>,
): CedarSchema {
  const names = new Set([...connectors, ...tools.map((tool) => tool.connector)]);
  const groups = [...GROUPS, ...[...names].map((name) => `connector:${name}`)];
  const head = `${ENTITIES}\n${groups.map((name) => `action ${quote(name)};`).join('\n')}\n\n`;
  const actions = new Map<string, string>();
  const kinds = new Map<string, string>();
  const first = new Map<string, string>();
  for (const tool of tools) {
    const type = typeOfAction(tool, settings);
    actions.set(tool.name, `action ${quote(tool.name)} ${type}`);
    if (!first.has(type)) first.set(type, tool.name);
    kinds.set(tool.name, first.get(type)!);
  }
  return {
    text: head + [...actions.values()].join('\n'),
    tools: new Set(actions.keys()),
    groups: new Set(groups),
    kinds,
    textOf: (some) => head + [...some].map((name) => actions.get(name) ?? '').join('\n'),
  };
}

function typeOfAction(tool: Tool, settings: Settings): string {
  const groups = actionGroups(tool).map(quote).join(', ');
  const resource = tool.resources.length > 0 ? 'Resource' : 'Connector';
  const prepared = tool.prepare.map((step) => `${quote(step.id)}: ${typeOf(step.output)}`);
  const fields = [
    `args: ${typeOf(tool.input)}`,
    `prepared: { ${prepared.join(', ')} }`,
    `bound: { ${boundFields(tool, settings).join(', ')} }`,
    `claimed: { ${claimedFields(settings).join(', ')} }`,
    ...(tool.cost === undefined ? [] : ['cost: { minor: Long, currency: String }']),
    'effect: String',
    'mode: String',
    'undo: Bool',
    'labels: Set<String>',
    'run: { id: String, ambient: Bool, trigger?: String }',
    'now: datetime',
  ];
  return `in [${groups}] appliesTo {
  principal: [Agent],
  resource: [${resource}],
  context: {
    ${fields.join(',\n    ')},
  }
};
`;
}

function boundFields(tool: Tool, settings: Settings): string[] {
  return Object.entries(settings.context).map(
    ([key, schema]) => `${quote(key)}${tool.requires.includes(key) ? '' : '?'}: ${typeOf(schema)}`,
  );
}

function claimedFields(settings: Settings): string[] {
  const keys = new Set([...Object.keys(settings.context), 'why']);
  return [...keys].map((key) => `${quote(key)}?: String`);
}

function typeOf(schema: JsonObject): string {
  switch (cedarKind(schema)) {
    case 'integer':
      return 'Long';
    case 'boolean':
      return 'Bool';
    case 'array':
      return `Set<${typeOf(schema.items as JsonObject)}>`;
    case 'object':
      return recordOf(schema);
    case 'string':
      return 'String';
    default:
      // Invisible to policy: nothing of it can be named.
      return '{}';
  }
}

function recordOf(schema: JsonObject): string {
  const required = (schema.required ?? []) as readonly string[];
  const fields: string[] = [];
  for (const [name, part] of Object.entries((schema.properties ?? {}) as Record<string, JsonObject>)) {
    if (cedarKind(part) !== null)
      fields.push(`${quote(name)}${required.includes(name) ? '' : '?'}: ${typeOf(part)}`);
  }
  return fields.length === 0 ? '{}' : `{ ${fields.join(', ')} }`;
}

function quote(name: string): string {
  return JSON.stringify(name);
}
