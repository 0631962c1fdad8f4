// The agent's tools for the Claude Agent SDK: an MCP server in the agent's own process, and the names to allow.
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import {
  CallToolRequestSchema,
  type CallToolResult,
  ListToolsRequestSchema,
  type Tool,
} from '@modelcontextprotocol/sdk/types.js';
import { isError, type Outcome, plainResult } from './outcome.ts';
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
 * A refusal, a failure and an unknown outcome are marked `isError`; a call that waits for people is not.
 * `tools: []` takes the built-in tools away: those act without the broker. The SDK does not say at which step a tool is
 * called: equal requests are told apart by how often this tool set was asked, so load one for each conversation.
 */
export function toolServer(set: ToolSet, name = 'countersign'): InProcessServer {
  const instance = new McpServer({ name, version: '1.0.0' }, { capabilities: { tools: {} } });
  // The low-level handlers: the high-level ones take Zod schemas, and the broker's are JSON Schema.
  instance.server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: set.tools.map(listed) }));
  instance.server.setRequestHandler(CallToolRequestSchema, async ({ params }, { signal }) => {
    return resultOf(await set.call(params.name, params.arguments ?? {}, { signal }));
  });
  return { type: 'sdk', name, instance };
}

/** The names under which the SDK knows the tools: what it need not ask about again, since the broker decides. */
export function allowedTools(set: ToolSet, name = 'countersign'): string[] {
  return set.tools.map((tool) => `mcp__${name}__${tool.name}`);
}

/** The SDK shows the model the structure in place of the words, wherever there is one. */
function resultOf(outcome: Outcome): CallToolResult {
  const content = [{ type: 'text' as const, text: outcome.text }];
  if (isError(outcome)) return { content, isError: true };
  const structuredContent = plainResult(outcome);
  return structuredContent === undefined ? { content } : { content, structuredContent };
}

function listed({ name, description, input_schema, effect }: ToolSet['tools'][number]): Tool {
  return {
    name,
    description,
    inputSchema: input_schema as unknown as Tool['inputSchema'],
    // The SDK may otherwise show names only until the model searches for them, and the limits stand in descriptions.
    _meta: { 'anthropic/alwaysLoad': true },
    annotations: { readOnlyHint: effect === 'read', destructiveHint: effect === 'irreversible' },
  };
}
