// The broker's own upstream client as a program for the suite's client scenarios: `node upstream-client.ts URL`.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { ConnectorSpec } from '#bundle/bundle.ts';
import type { Connector, Demand, Talk } from '#connectors/connector.ts';
import type { ConnectorDeps } from '#connectors/connector-deps.ts';
import { listUpstreamTools, type UpstreamTool } from '#connectors/mcp/list-upstream-tools.ts';
import { createMcpConnector } from '#connectors/mcp/mcp-connector.ts';
import { type Authorised, authoriseUpstream } from './authorise-upstream.ts';

const quiet = { info() {}, warn() {}, error() {} };

const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}') as JsonObject & {
  readonly toolCalls?: readonly { readonly name: string; readonly arguments: JsonObject }[];
};
const scenario = process.env.MCP_CONFORMANCE_SCENARIO ?? '';
const url = process.argv[2]!;

const open: ConnectorSpec = {
  name: 'scenario',
  kind: 'mcp',
  owner: 'test',
  options: {
    transport: { http: { url, allow_private: true } },
    input_required: true,
    // The suite starts all scenarios at once: on a busy machine each takes its time.
    start_wait_ms: 60_000,
    resources: [],
    prompts: [],
  },
  credential: null,
};

if (scenario.startsWith('auth/')) await authoriseUpstream(open, context, callAll);
else
  await callAll({
    spec: open,
    deps: { ...time(), connectionCredential: async () => null },
    mint: async () => null,
  });

function time(): Pick<ConnectorDeps, 'clock' | 'log'> {
  return { clock: Date, log: quiet };
}

/** Lists the tools and calls each, as the walk would. Throws when the upstream could not be listed. */
async function callAll({ spec, deps, mint }: Authorised): Promise<void> {
  const listed = await listUpstreamTools(spec, deps);
  if (!listed.ok) throw new Error(listed.reason);
  const connector = await createMcpConnector(spec, deps);
  const calls =
    context.toolCalls ??
    listed.tools.map((tool) => ({ name: tool.name, arguments: sampleOf(tool, listed.tools) }));
  for (const call of calls) await callTool(connector, call.name, call.arguments, mint);
  if (scenario === 'http-standard-headers') {
    await attempt(connector, { resources: [] }, { resource: 'file:///path/to/file.txt' }, mint);
    await attempt(connector, { prompts: [] }, { prompt: 'test_prompt', arguments: [] }, mint);
  }
  await connector.close();
}

/** Something for each required property; the focal schema of a scenario is handed back as it came. */
function sampleOf({ definition }: UpstreamTool, all: readonly UpstreamTool[]): JsonObject {
  const schema = definition.inputSchema;
  if (!isJsonObject(schema)) return {};
  const { required = [], properties = {} } = schema as {
    required?: readonly string[];
    properties?: JsonObject;
  };
  return Object.fromEntries(required.map((name) => [name, sample(name, properties[name], all)]));
}

function sample(name: string, schema: Json | undefined, all: readonly UpstreamTool[]): Json {
  const focal = all.find((tool) => tool.name === 'json_schema_2020_12_tool');
  if (name === 'schema' && focal !== undefined) return focal.definition.inputSchema ?? null;
  const type = isJsonObject(schema) ? schema.type : 'string';
  return type === 'number' || type === 'integer' ? 5 : type === 'boolean' ? true : 'text';
}

/** Accepts whatever is asked, in as many rounds as it takes, as a caller of the broker would. */
async function callTool(
  to: Connector,
  tool: string,
  inputs: JsonObject,
  mint: Authorised['mint'],
): Promise<void> {
  let answers: Pick<Talk, 'responses' | 'state'> = { responses: null, state: null };
  for (let round = 1; round <= 4; round++) {
    const demand = await attempt(to, { tool }, inputs, mint, answers);
    if (demand?.kind !== 'input') return;
    const accepted = { action: 'accept', content: { confirmed: true } };
    const responses = Object.fromEntries(Object.keys(demand.requests).map((key) => [key, accepted]));
    answers = { responses, state: demand.state };
  }
}

async function attempt(
  to: Connector,
  operation: JsonObject,
  inputs: JsonObject,
  mint: Authorised['mint'],
  answers: Pick<Talk, 'responses' | 'state'> = { responses: null, state: null },
): Promise<Demand | null> {
  const seen: { demand: Demand | null } = { demand: null };
  await to.attempt({
    call_id: 'call_scenario',
    tenant: 'default',
    mode: 'read',
    operation,
    inputs,
    credential: await mint(),
    timeout_ms: 60_000,
    signal: new AbortController().signal,
    talk: {
      left: () => false,
      notice: null,
      log_level: null,
      capabilities: { elicitation: {} },
      // Agrees without filling anything in, as a caller may.
      ask: async () => ({ action: 'accept', content: {} }),
      ...answers,
      demand: (demand) => {
        seen.demand = demand;
      },
    },
  });
  return seen.demand;
}
