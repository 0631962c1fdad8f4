// Writes the files of an imported bundle: deny by default, one agent that only suggests, one person who decides.
import { isAbsolute, relative } from 'node:path';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { ConnectorDraft } from './import-connector.ts';
import { type ImportedTool, writeYaml } from './import-tools.ts';

export interface ImportedParts {
  /** Real path of the folder that the bundle will lie in. */
  readonly root: string;
  /** Paths under this folder are written relative to the bundle, so that both can move together. */
  readonly home: string;
  readonly person: { readonly name: string; readonly key: JsonObject };
  readonly agent: { readonly name: string; readonly key: JsonObject };
  readonly connectors: readonly ConnectorDraft[];
  readonly tools: readonly ImportedTool[];
  readonly data_dir: string;
  readonly port: number;
}

const GROUP = 'approvers';

/** Path relative to the bundle → text. */
export function bundleFiles(parts: ImportedParts): ReadonlyMap<string, string> {
  const { person, agent, connectors, tools } = parts;
  const near = nearer(parts);
  const files = new Map<string, string>([
    ['countersign.yaml', settingsText(parts, near)],
    [`people/${person.name}.yaml`, personText(person.name)],
    [`keys/${person.name}.pub.jwk`, `${JSON.stringify(person.key, null, 2)}\n`],
    [`agents/${agent.name}.yaml`, agentText(agent.name, person.name)],
    [`keys/${agent.name}.pub.jwk`, `${JSON.stringify(agent.key, null, 2)}\n`],
    ['policies/imported.cedar', policyText(agent.name, tools)],
  ]);
  for (const { name, value, comment } of connectors)
    files.set(`connectors/${name}.yaml`, writeYaml(relocate(value, near), comment));
  for (const { name, yaml } of tools) files.set(`tools/${name}.yaml`, yaml);
  return files;
}

type Near = (path: string) => string;

function nearer({ root, home }: ImportedParts): Near {
  return (path) => {
    const inside = relative(home, path);
    const stays = inside === '' || (!inside.startsWith('..') && !isAbsolute(inside));
    if (!stays) return path;
    const way = relative(root, path);
    // An argument is taken for a path by its `../`.
    return way.endsWith('..') ? `${way}/` : way;
  };
}

/** Absolute paths of a connector file as they are written. What is no path stays as it is. */
function relocate(value: Json, near: Near): JsonObject {
  const walk = (node: Json): Json => {
    if (Array.isArray(node)) return node.map(walk);
    if (typeof node === 'string') {
      if (node.startsWith('file:/')) return `file:${near(node.slice('file:'.length))}`;
      return node.startsWith('/') ? near(node) : node;
    }
    if (typeof node !== 'object' || node === null) return node;
    // Variables are handed to the program as they stand.
    return Object.fromEntries(Object.entries(node).map(([key, it]) => [key, key === 'env' ? it : walk(it)]));
  };
  return walk(value) as JsonObject;
}

function settingsText({ data_dir, port }: ImportedParts, near: Near): string {
  const value = {
    listen: { host: '127.0.0.1', port },
    data_dir: near(data_dir),
    approvals: { default: `1 of ${GROUP}`, ttl: '1h' },
  };
  return writeYaml(
    value,
    ' Made by countersign init. Everything the broker may do is in this folder: review it, keep it in git.',
  );
}

function personText(name: string): string {
  const value = {
    name,
    roles: ['approver', 'operator', 'admin'],
    groups: [GROUP],
    keys: [`file:keys/${name}.pub.jwk`],
  };
  return writeYaml(
    value,
    ' Decides on held calls, halts, and activates. In a team, give these roles to different people.',
  );
}

function agentText(name: string, owner: string): string {
  const value = {
    name,
    owner,
    purpose: 'Uses the imported tools of an MCP client.',
    roles: ['imported'],
    mode: 'suggest',
    keys: [`file:keys/${name}.pub.jwk`],
  };
  return writeYaml(
    value,
    ' In suggest mode a person decides on every write. Move to act when the tools are reviewed.',
  );
}

function policyText(agent: string, tools: readonly ImportedTool[]): string {
  const head =
    '// What is not permitted here is denied. Imported tools are held for a person by the baseline all the same.\n';
  if (tools.length === 0) return head;
  const actions = tools.map(({ name }) => `    Action::"${name}"`).join(',\n');
  return `${head}@id("imported-tools")
permit (
  principal == Agent::"${agent}",
  action in [
${actions}
  ],
  resource
);
`;
}
