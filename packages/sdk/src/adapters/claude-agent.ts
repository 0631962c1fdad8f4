// The agent's tools for the Claude Agent SDK: an MCP server in the agent's own process, and the names to allow.
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { CallToolRequestSchema, ListToolsRequestSchema, type Tool } from '@modelcontextprotocol/sdk/types.js';
import { isError } from './outcome.ts';
import type { ToolSet } from './tool-set.ts';

/** What the SDK takes in `mcpServers` for a server in the same process. */
export interface InProcessServer {
  readonly type: 'sdk';
  readonly name: string;
  readonly instance: McpServer;
}

/**
 * ```ts
 * const countersign = toolServer(set);
 * query({ prompt, options: { mcpServers: { [countersign.name]: countersign }, tools: [], allowedTools: allowedTools(set) } });
 * ```
 * `tools: []` takes the built-in tools away: those act without the broker. The SDK does not say at which step a tool is
 * called: equal requests are told apart by how often this tool set was asked, so load one for each conversation.
 */
export function toolServer(set: ToolSet, name = 'countersign'): InProcessServer {
  const instance = new McpServer({ name, version: '1.0.0' }, { capabilities: { tools: {} } });
  // The low-level handlers: the high-level ones take Zod schemas, and the broker's are JSON Schema.
  instance.server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: set.tools.map(listed) }));
  instance.server.setRequestHandler(CallToolRequestSchema, async ({ params }, { signal }) => {
    const outcome = await set.call(params.name, params.arguments ?? {}, { signal });
    const content = [{ type: 'text' as const, text: outcome.text }];
    return isError(outcome) ? { content, isError: true } : { content };
  });
  return { type: 'sdk', name, instance };
}

/** The names under which the SDK knows the tools: what it need not ask about again, since the broker decides. */
export function allowedTools(set: ToolSet, name = 'countersign'): string[] {
  return set.tools.map((tool) => `mcp__${name}__${tool.name}`);
}

function listed({ name, description, input_schema, effect }: ToolSet['tools'][number]): Tool {
  return {
    name,
    description,
    inputSchema: input_schema as unknown as Tool['inputSchema'],
    annotations: { readOnlyHint: effect === 'read', destructiveHint: effect === 'irreversible' },
  };
}
