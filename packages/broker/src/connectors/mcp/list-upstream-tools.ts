// Lists the tools of one upstream MCP server once, for the command line (`countersign init`, `pin`).
import type { JsonObject } from '@countersign/contract/json.ts';
import type { ConnectorSpec } from '#bundle/bundle.ts';
import type { ConnectorDeps } from '../connector-deps.ts';
import { listTools } from './catalogue.ts';
import { carriedByConnection, openLink } from './open-link.ts';
import { readMcpOptions } from './options.ts';

export interface UpstreamTool {
  readonly name: string;
  /** What `bind.mcp.digest` pins. */
  readonly digest: string;
  readonly definition: JsonObject;
}

export type UpstreamTools =
  | { readonly ok: true; readonly tools: readonly UpstreamTool[]; readonly dropped: readonly string[] }
  | { readonly ok: false; readonly reason: string };

const TIMEOUT_MS = 15_000;

/** Connects, lists all pages, closes. Sorted by name. Throws `ConnectorRefused` for a connector file that is wrong. */
export async function listUpstreamTools(spec: ConnectorSpec, deps: ConnectorDeps): Promise<UpstreamTools> {
  const ignore = (): void => undefined;
  const link = await openLink(spec, readMcpOptions(spec), deps, { onNotification: ignore, onGone: ignore });
  try {
    const listing = await listTools(link, await carriedByConnection(spec, deps), TIMEOUT_MS);
    if (!listing.ok) return listing;
    const tools = [...listing.tools].map(([name, { digest, definition }]) => ({ name, digest, definition }));
    return { ok: true, tools: tools.sort((a, b) => (a.name < b.name ? -1 : 1)), dropped: listing.dropped };
  } finally {
    await link.close();
  }
}
