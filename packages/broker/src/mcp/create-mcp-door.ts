// The MCP door with the real walk behind it.
import { showCall } from '#admin/calls.ts';
import { passedReads } from '#admin/passed.ts';
import { findTool, limitsOf, listTools } from '#admin/tools.ts';
import { askCall, performCall } from '#call/perform-call.ts';
import type { World } from '#call/world.ts';
import { type McpDoor, serveMcp } from './serve-mcp.ts';

/** The MCP endpoint, to be mounted on the server that also carries the HTTP API. */
export function createMcpDoor(world: World): McpDoor {
  return serveMcp(world, { askCall, performCall, showCall, findTool, limitsOf, listTools, passedReads });
}
