// The connector to one MCP server: calls its tools, watches their definitions, keeps foreign requests out.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { ConnectorSpec } from '#bundle/bundle.ts';
import { type Bind, bindsOf, type Tool } from '#rules/tool.ts';
import type { Attempt, Connector, Drift, Reply } from '../connector.ts';
import type { ConnectorDeps } from '../connector-deps.ts';
import { redactReply } from '../redact-reply.ts';
import { Catalogue, listTools } from './catalogue.ts';
import { answerMembers, demandOf, listeningOf } from './listen.ts';
import { carriedByConnection, openLink } from './open-link.ts';
import { type McpOptions, readMcpOptions } from './options.ts';
import { isPassedRead, passedRequest, type UpstreamRequest } from './passed-request.ts';
import { callMembers, type McpLink } from './protocol.ts';
import { readReply } from './read-reply.ts';
import { mirrorHeaders } from './tool-definition.ts';

const LIST_TIMEOUT_MS = 10_000;
/** A server that announces changes all the time is asked at most this often. */
const LEAST_REFRESH_GAP_MS = 250;

/**
 * Builds the connector and waits a bounded time for the first listing of tools. An upstream that is down does
 * not keep the broker from starting: its tools stay drifted ("not yet seen") until a listing succeeds.
 */
export async function createMcpConnector(spec: ConnectorSpec, deps: ConnectorDeps): Promise<Connector> {
  const options = readMcpOptions(spec);
  const connector = new McpConnector(spec, options, deps);
  await connector.open();
  return connector;
}

class McpConnector implements Connector {
  readonly kind = 'mcp';
  readonly name: string;
  readonly #spec: ConnectorSpec;
  readonly #options: McpOptions;
  readonly #deps: ConnectorDeps;
  readonly #catalogue = new Catalogue();
  #link: McpLink | null = null;
  #timer: NodeJS.Timeout | null = null;
  #refreshing: Promise<void> | null = null;
  #again = false;
  #forgotten = 0;
  #closed = false;

  constructor(spec: ConnectorSpec, options: McpOptions, deps: ConnectorDeps) {
    this.name = spec.name;
    this.#spec = spec;
    this.#options = options;
    this.#deps = deps;
  }

  async open(): Promise<void> {
    this.#link = await openLink(this.#spec, this.#options, this.#deps, {
      onNotification: (method) => {
        if (method === 'notifications/tools/list_changed') this.#refreshSoon(LEAST_REFRESH_GAP_MS);
      },
      onGone: () => {
        // A new process may offer other definitions under the same names: nothing is called before it was listed.
        this.#forgotten++;
        this.#catalogue.forget('the child process is gone');
        this.#refreshSoon(LEAST_REFRESH_GAP_MS);
      },
    });
    let timer: NodeJS.Timeout | undefined;
    const waited = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#options.start_wait_ms);
    });
    await Promise.race([this.#refresh(), waited]);
    clearTimeout(timer);
  }

  drift(tool: Tool): Drift {
    for (const bind of bindsOf(tool)) {
      const reason = this.#check(bind.operation);
      if (reason !== null) return { reason };
    }
    return null;
  }

  async attempt(attempt: Attempt): Promise<Reply> {
    const { operation, inputs, credential } = attempt;
    // INVARIANT: the walk asked drift() before; asked again here, what changed meanwhile is still not called.
    const drifted = this.#check(operation);
    if (drifted !== null) return { kind: 'not_sent', held_back: 'broker', reason: drifted };
    const link = this.#link;
    if (link === null || this.#closed)
      return { kind: 'not_sent', held_back: 'broker', reason: 'the connector is closed' };
    const { method, name, members, mirrored, read } = this.#requestOf(operation, inputs);
    const headers = mirrored;
    const secret = credential?.inject.headers;
    if (secret !== undefined) for (const name in secret) headers.push(name, secret[name] as string);
    const carried = { headers, proof: credential?.proof };
    const { talk } = attempt;
    const { passing } = this.#options;
    const { watch = null } = talk ?? {};
    if (watch !== null) {
      const like = {
        ...{ method, name, members, ...carried },
        ...{ timeout_ms: attempt.timeout_ms, signal: attempt.signal },
      };
      const watched = await link.watch(String(inputs['resource']), watch.updated, like);
      if (typeof watched === 'string') return redactReply({ kind: 'rejected', reason: watched }, credential);
      watch.watched(watched);
    }
    const listening = listeningOf(talk, passing, credential);
    const outcome = await link.send({
      method,
      name,
      members: members + answerMembers(talk, passing),
      ...carried,
      timeout_ms: attempt.timeout_ms,
      signal: attempt.signal,
      ...(listening === undefined ? {} : { listening }),
    });
    const demand = talk === undefined ? null : demandOf(outcome, passing, credential);
    if (demand !== null) talk?.demand(demand);
    // A read that answers too much is not asked again: it would answer as much. What a write did stays unknown.
    if (attempt.mode === 'read' && outcome.kind === 'unknown' && outcome.too_large === true)
      return { kind: 'rejected', reason: outcome.reason };
    return redactReply(read(outcome), credential);
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#link?.close();
    await this.#refreshing;
  }

  #requestOf(operation: JsonObject, inputs: JsonObject): UpstreamRequest {
    const passed = passedRequest(operation, inputs);
    if (passed !== null) return passed;
    const tool = operation['tool'] as string;
    const params = this.#catalogue.get(tool)?.params ?? [];
    return {
      method: 'tools/call',
      name: tool,
      members: callMembers(tool, JSON.stringify(inputs)),
      mirrored: params.length === 0 ? [] : mirrorHeaders(params, inputs),
      read: readReply,
    };
  }

  #check(operation: Bind['operation']): string | null {
    if (isPassedRead(operation)) return null;
    const tool = operation['tool'];
    if (typeof tool !== 'string') return 'the operation names no upstream tool';
    const digest = operation['digest'];
    return this.#catalogue.check(tool, typeof digest === 'string' ? digest : null);
  }

  /** One listing at a time; a change announced during one causes another after it. */
  #refresh(): Promise<void> {
    if (this.#refreshing !== null) {
      this.#again = true;
      return this.#refreshing;
    }
    this.#refreshing = this.#list().finally(() => {
      this.#refreshing = null;
      this.#refreshSoon(this.#again ? LEAST_REFRESH_GAP_MS : this.#options.refresh_ms);
      this.#again = false;
    });
    return this.#refreshing;
  }

  #refreshSoon(delay_ms: number): void {
    if (this.#closed) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#refresh(), Math.min(delay_ms, this.#options.refresh_ms));
    this.#timer.unref();
  }

  async #list(): Promise<void> {
    const link = this.#link;
    if (link === null) return;
    const first = this.#catalogue.size === null;
    const forgotten = this.#forgotten;
    try {
      const carried = await carriedByConnection(this.#spec, this.#deps);
      const listing = await listTools(link, carried, LIST_TIMEOUT_MS);
      if (this.#closed) return;
      if (!listing.ok) return this.#failed(listing.reason);
      if (this.#forgotten !== forgotten) return this.#failed('the child process ended while it was listed');
      this.#catalogue.replace(listing.tools);
      for (const dropped of listing.dropped) this.#warn({ dropped }, 'a tool definition breaks the protocol');
      const fields = { connector: this.name, tools: listing.tools.size, era: link.era() };
      if (first) this.#deps.log.info(fields, 'upstream tools listed');
    } catch (error) {
      this.#failed(error instanceof Error ? error.message : String(error));
    }
  }

  #failed(reason: string): void {
    if (this.#closed) return;
    this.#catalogue.failed(reason);
    this.#warn({ reason }, 'upstream tools could not be listed');
  }

  #warn(fields: object, message: string): void {
    this.#deps.log.warn({ connector: this.name, ...fields }, message);
  }
}
