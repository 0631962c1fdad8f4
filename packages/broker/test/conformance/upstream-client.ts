// The broker's own upstream client as a program for the suite's client scenarios: `node upstream-client.ts URL`.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { Connector, Demand, Talk } from '#connectors/connector.ts';
import { listUpstreamTools, type UpstreamTool } from '#connectors/mcp/list-upstream-tools.ts';
import { createMcpConnector } from '#connectors/mcp/mcp-connector.ts';

const quiet = { info() {}, warn() {}, error() {} };
const deps = { clock: Date, log: quiet, connectionCredential: async () => null };

const spec = {
  name: 'scenario',
  kind: 'mcp' as const,
  owner: 'test',
  options: {
    transport: { http: { url: process.argv[2]!, allow_private: true } },
    input_required: true,
    resources: [],
    prompts: [],
  },
  credential: null,
};

const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}') as {
  readonly toolCalls?: readonly { readonly name: string; readonly arguments: JsonObject }[];
};

const listed = await listUpstreamTools(spec, deps);
if (!listed.ok) throw new Error(listed.reason);
const connector = await createMcpConnector(spec, deps);
const calls =
  context.toolCalls ?? listed.tools.map((tool) => ({ name: tool.name, arguments: sampleOf(tool) }));
for (const call of calls) await callTool(connector, call.name, call.arguments);
if (process.env.MCP_CONFORMANCE_SCENARIO === 'http-standard-headers') {
  await attempt(connector, { resources: [] }, { resource: 'file:///path/to/file.txt' });
  await attempt(connector, { prompts: [] }, { prompt: 'test_prompt', arguments: [] });
}
await connector.close();

/** Something for each required property; the focal schema of a scenario is handed back as it came. */
function sampleOf({ definition }: UpstreamTool): JsonObject {
  const schema = definition.inputSchema;
  if (!isJsonObject(schema)) return {};
  const { required = [], properties = {} } = schema as {
    required?: readonly string[];
    properties?: JsonObject;
  };
  return Object.fromEntries(required.map((name) => [name, sample(name, properties[name])]));
}

function sample(name: string, schema: Json | undefined): Json {
  const focal = listed.ok ? listed.tools.find((tool) => tool.name === 'json_schema_2020_12_tool') : undefined;
  if (name === 'schema' && focal !== undefined) return focal.definition.inputSchema ?? null;
  const type = isJsonObject(schema) ? schema.type : 'string';
  return type === 'number' || type === 'integer' ? 5 : type === 'boolean' ? true : 'text';
}

/** Accepts whatever is asked, in as many rounds as it takes, as a caller of the broker would. */
async function callTool(to: Connector, tool: string, inputs: JsonObject): Promise<void> {
  let answers: Pick<Talk, 'responses' | 'state'> = { responses: null, state: null };
  for (let round = 1; round <= 4; round++) {
    const demand = await attempt(to, { tool }, inputs, answers);
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
  answers: Pick<Talk, 'responses' | 'state'> = { responses: null, state: null },
): Promise<Demand | null> {
  const seen: { demand: Demand | null } = { demand: null };
  await to.attempt({
    call_id: 'call_scenario',
    tenant: 'default',
    mode: 'read',
    operation,
    inputs,
    credential: null,
    timeout_ms: 10_000,
    signal: new AbortController().signal,
    talk: {
      left: () => false,
      notice: null,
      log_level: null,
      capabilities: { elicitation: {} },
      ...answers,
      demand: (demand) => {
        seen.demand = demand;
      },
    },
  });
  return seen.demand;
}
