// The MCP door with the real walk behind it.
import type { FastifyInstance } from 'fastify';
import { showCall } from '#admin/calls.ts';
import { passedReads } from '#admin/passed.ts';
import { findTool, limitsOf, listTools } from '#admin/tools.ts';
import { askCall, performCall } from '#call/perform-call.ts';
import type { World } from '#call/world.ts';
import { type McpOptions, serveMcp } from './serve-mcp.ts';

/** Mounts the MCP endpoint on the app that also carries the HTTP API; Origin and Host are the app's to judge. */
export function mcpRoutes(app: FastifyInstance, world: World, options: McpOptions = {}): void {
  serveMcp(
    app,
    world,
    { askCall, performCall, showCall, findTool, limitsOf, listTools, passedReads },
    options,
  );
}
