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

/** Cedar schema in the human format. Order follows the tools given; the same bundle writes the same text. */
export function cedarSchema(
  tools: readonly Tool[],
  settings: Settings,
  connectors: Iterable<string>,
): string {
  const names = new Set([...connectors, ...tools.map((tool) => tool.connector)]);
  const groups = [...GROUPS, ...[...names].map((name) => `connector:${name}`)];
  const actions = groups.map((name) => `action ${quote(name)};`).join('\n');
  return `${ENTITIES}\n${actions}\n\n${tools.map((tool) => actionOf(tool, settings)).join('\n')}`;
}

function actionOf(tool: Tool, settings: Settings): string {
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
    'labels: Set<String>',
    'run: { id: String, ambient: Bool, trigger?: String }',
    'now: datetime',
  ];
  return `action ${quote(tool.name)} in [${groups}] appliesTo {
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
