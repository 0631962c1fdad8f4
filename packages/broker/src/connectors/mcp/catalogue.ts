// Remembers what an upstream's tools looked like when last listed, and says which have drifted from review.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { Carried, McpLink, Outcome } from './protocol.ts';
import { type MirroredParam, mirroredParams, toolDigest } from './tool-definition.ts';

export interface SeenTool {
  readonly digest: string;
  readonly definition: JsonObject;
  readonly params: readonly MirroredParam[];
}

/** All pages of `tools/list`, or why they could not be had. */
export type Listing =
  | { readonly ok: true; readonly tools: ReadonlyMap<string, SeenTool>; readonly dropped: readonly string[] }
  | { readonly ok: false; readonly reason: string };

/** A server that never stops answering pages must not hold the broker; nobody reviews more tools than this. */
const MOST_PAGES = 100;
const MOST_TOOLS = 5_000;

export async function listTools(link: McpLink, carried: Carried, timeout_ms: number): Promise<Listing> {
  const tools = new Map<string, SeenTool>();
  const dropped: string[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < MOST_PAGES; page++) {
    const members = cursor === undefined ? '' : `"cursor":${JSON.stringify(cursor)}`;
    const outcome = await link.send({
      ...{ method: 'tools/list', name: null, members, timeout_ms, signal: null },
      ...carried,
    });
    if (outcome.kind !== 'result') return { ok: false, reason: `tools/list: ${reasonOf(outcome)}` };
    const result = outcome.result;
    if (!isJsonObject(result) || !Array.isArray(result['tools']))
      return { ok: false, reason: 'tools/list answered no tools' };
    for (const definition of result['tools'] as readonly Json[]) addTool(definition, tools, dropped);
    if (tools.size > MOST_TOOLS) return { ok: false, reason: `more than ${MOST_TOOLS} tools` };
    const next = result['nextCursor'];
    if (typeof next !== 'string' || next === '') return { ok: true, tools, dropped };
    cursor = next;
  }
  return { ok: false, reason: `more than ${MOST_PAGES} pages of tools` };
}

function addTool(definition: Json, tools: Map<string, SeenTool>, dropped: string[]): void {
  if (!isJsonObject(definition) || typeof definition['name'] !== 'string') return;
  const name = definition['name'];
  const params = mirroredParams(definition['inputSchema']);
  if (typeof params === 'string') {
    dropped.push(`${name}: ${params}`);
    return;
  }
  // Two definitions of one name: which one a call would meet is not known, so neither matches a review.
  if (tools.has(name)) tools.set(name, { digest: 'listed twice', definition, params: [] });
  else tools.set(name, { digest: digestOrWhyNot(definition), definition, params });
}

/** A definition without canonical form (lone surrogates, forbidden keys) matches no review. */
function digestOrWhyNot(definition: JsonObject): string {
  try {
    return toolDigest(definition);
  } catch {
    return 'no canonical form';
  }
}

export function reasonOf(outcome: Exclude<Outcome, { kind: 'result' }>): string {
  return outcome.kind === 'error' ? `${outcome.code} ${outcome.message}` : outcome.reason;
}

/** What was seen last. Before the first listing nothing is known, and everything counts as drifted. */
export class Catalogue {
  #tools: ReadonlyMap<string, SeenTool> | null = null;
  #failure = 'not listed yet';

  get(name: string): SeenTool | undefined {
    return this.#tools?.get(name);
  }

  get size(): number | null {
    return this.#tools?.size ?? null;
  }

  replace(tools: ReadonlyMap<string, SeenTool>): void {
    this.#tools = tools;
  }

  forget(reason: string): void {
    this.#tools = null;
    this.#failure = reason;
  }

  /** A failed refresh keeps what was seen: the upstream being down is not drift. */
  failed(reason: string): void {
    this.#failure = reason;
  }

  /** Why the tool may not be called, or null. `pinned` null: no digest was pinned, only existence counts. */
  check(name: string, pinned: string | null): string | null {
    if (this.#tools === null) return `upstream tool ${name} not yet seen: ${this.#failure}`;
    const seen = this.#tools.get(name);
    if (seen === undefined) return `upstream tool ${name} is not offered any more`;
    if (pinned === null || seen.digest === pinned) return null;
    return `upstream tool ${name} changed since it was reviewed: expected ${pinned}, seen ${seen.digest}`;
  }
}
