// Writes the reference pages and golden files from the one place where each thing is defined.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject } from '@countersign/contract/json.ts';
import { problems } from '@countersign/contract/problem.ts';
import type { Bundle } from '#bundle/bundle.ts';
import { lintRules } from '#bundle/lint-rules.ts';
import { anyCallOf, visibleTools } from '#call/visible.ts';
import { describeApi } from '#http/describe-api.ts';
import { routes } from '#http/routes.ts';
import { readBundle } from '#cli/read-bundle.ts';

const repository = join(import.meta.dirname, '../../../..');
const schemas = join(import.meta.dirname, '../../schemas');

/** Path in the repository → text. */
export async function writeReference(): Promise<Record<string, string>> {
  return {
    'docs/reference/problems.md': problemsPage(),
    'docs/reference/configuration.md': configurationPage(),
    'docs/reference/lint-rules.md': lintPage(),
    'packages/broker/test/golden/openapi.json': `${JSON.stringify(describeApi(routes, 'https://broker.example'), null, 2)}\n`,
    'packages/broker/test/golden/who-may-what.txt': await matrixPage(),
  };
}

export function readRepository(path: string): string {
  return readFileSync(join(repository, path), 'utf8');
}

export const inRepository = (path: string): string => join(repository, path);

function problemsPage(): string {
  const rows = Object.entries(problems).map(
    ([code, row]) => `| \`${code}\` | ${row.status} | ${row.title} | ${row.retry} | ${row.next} |`,
  );
  return `# Problems

What the broker refuses with, on every door: RFC 9457 bodies of type \`urn:countersign:problem:<code>\` over HTTP, tool results marked \`isError\` over MCP. \`retry\` says whether trying again can help: \`never\`, the \`same\` request, \`later\`, or \`after_approval\`. \`next\` says what an agent should do now: \`retry\` the same call, \`wait\` (until \`retry_at_ms\`, where it is known) and then make it again, \`change\` what it does or how it asks, or stop and \`hand_over\` to a person. A call that waits for people is no problem: its status is \`held\`, and the agent waits for them.

| code | status | title | retry | next |
|---|---|---|---|---|
${rows.join('\n')}
`;
}

const FILES: readonly (readonly [string, string])[] = [
  ['countersign', 'countersign.yaml'],
  ['agent', 'agents/*.yaml'],
  ['orchestrator', 'orchestrators/*.yaml'],
  ['person', 'people/*.yaml'],
  ['connector', 'connectors/*.yaml'],
  ['tool', 'tools/*.yaml'],
  ['test', 'tests/*.yaml'],
];

function configurationPage(): string {
  const parts = FILES.map(([kind, file]) => {
    const schema = JSON.parse(readFileSync(join(schemas, `${kind}.schema.json`), 'utf8')) as JsonObject;
    const rows = keysOf(schema, '').map(([key, about]) => `| \`${key}\` | ${about} |`);
    return `## ${file}\n\n${String(schema['description'] ?? '')}\n\n| key | meaning |\n|---|---|\n${rows.join('\n')}\n`;
  });
  return `# Configuration

Every file of a bundle, key by key, from the published JSON Schemas (\`packages/broker/schemas\`). Point your editor at them for completion.

${parts.join('\n')}`;
}

/** Keys with their descriptions, nested ones as `a.b`; what repeats under `items` as `a[].b`. */
function keysOf(schema: JsonObject, prefix: string, root: JsonObject = schema): [string, string][] {
  const rows: [string, string][] = [];
  for (const [key, part] of Object.entries((schema['properties'] ?? {}) as Record<string, JsonObject>)) {
    const path = `${prefix}${key}`;
    const about = aboutOf(part);
    if (about !== '') rows.push([path, about]);
    rows.push(...keysOf(resolve(part, root), `${path}.`, root), ...branchesOf(part, path, root));
    const items = part['items'] as JsonObject | undefined;
    if (items !== undefined && typeof items === 'object') rows.push(...keysOf(items, `${path}[].`, root));
  }
  return rows;
}

/** The forms that one key chooses between, as `a (key: value)`; and what goes with a form elsewhere, as `(scope)`. */
function branchesOf(part: JsonObject, path: string, root: JsonObject): [string, string][] {
  const defs = (root['$defs'] ?? {}) as Record<string, JsonObject>;
  return ((part['allOf'] ?? []) as JsonObject[]).flatMap((branch) => {
    const reference = String((branch['then'] as JsonObject)['$ref']);
    const [[key, value] = ['', {}]] = Object.entries((branch['if'] as JsonObject)['properties'] as JsonObject);
    const name = `${path} (${key}: ${String((value as JsonObject)['const'])})`;
    const form = resolve({ $ref: reference }, root);
    const scope = defs[`${reference.slice('#/$defs/'.length)}.scope`];
    return [
      [name, aboutOf(form)] as [string, string],
      ...keysOf(form, `${name}.`, root),
      ...(scope === undefined ? [] : keysOf(scope, `${name}, scope of its tools.`, root)),
    ];
  });
}

function resolve(part: JsonObject, root: JsonObject): JsonObject {
  const reference = part['$ref'];
  if (typeof reference !== 'string') return part;
  return (root['$defs'] as Record<string, JsonObject>)[reference.slice('#/$defs/'.length)]!;
}

function aboutOf(part: JsonObject): string {
  return String(part['description'] ?? '').replaceAll('|', '\\|');
}

function lintPage(): string {
  const rows = Object.entries(lintRules).map(
    ([id, rule]) => `| \`${id}\` | ${rule.what} | ${rule.why} | ${rule.waivable} |`,
  );
  return `# Lint rules of tools

What \`countersign check\` asks of every manifest. A rule that may be waived is waived by name and with a reason under \`lifecycle.waives\`: by \`imported\` tools only, by any tool with a \`reason\`, or \`never\`.

| rule | what | why | waivable |
|---|---|---|---|
${rows.join('\n')}
`;
}

/** The demo's bundle: what each agent may do at all, and which rules can refuse or hold it. */
async function matrixPage(): Promise<string> {
  const loaded = await readBundle(join(repository, 'packages/broker/test/fixtures/bundle'), 0);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.mistakes));
  const { bundle } = loaded;
  const lines = [...bundle.agents.values()]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((agent) => [
      `${agent.name} (${agent.mode}, ${agent.status})`,
      ...[...bundle.tools.keys()].sort().map((name) => `  ${name.padEnd(24)} ${limits(bundle, agent.name, name)}`),
    ]);
  return `${lines.join('\n')}\n`;
}

function limits(bundle: Bundle, agentName: string, toolName: string): string {
  const agent = bundle.agents.get(agentName)!;
  const tool = bundle.tools.get(toolName)!;
  if (!visibleTools(bundle, agent).has(toolName)) return '-';
  const judged = bundle.policies.judge(anyCallOf(bundle, agent, tool));
  const rules = [...judged.forbids, ...judged.unknownForbids].sort().map((id) => {
    const ask = bundle.policies.approvals.get(id);
    return ask === undefined ? `refused by ${id}` : `asks ${ask.quorum} of ${ask.group} by ${id}`;
  });
  return rules.length === 0 ? 'may' : `may, unless ${rules.join('; ')}`;
}
