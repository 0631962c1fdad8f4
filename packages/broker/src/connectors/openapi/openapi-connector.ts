// The connector to one HTTP API by the vendor's own description: sends what was reviewed, to where it was reviewed.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { Pool } from 'undici';
import type { ConnectorSpec } from '#bundle/bundle.ts';
import { compileExpression } from '#rules/cel.ts';
import type { Expression } from '#rules/expression.ts';
import { bindsOf, type Tool } from '#rules/tool.ts';
import { createConnectorConnect } from '../checked-address.ts';
import type { Attempt, Connector, Drift, Reply } from '../connector.ts';
import { type ConnectorDeps, DEFAULT_RESPONSE_BYTES } from '../connector-deps.ts';
import { redactReply } from '../redact-reply.ts';
import { buildRequest } from './build-request.ts';
import { type CompiledOperation, compileOperation, type Operation } from './compile-operation.ts';
import { exchange } from './exchange.ts';
import { keepDescribed } from './keep-described.ts';
import { type OpenapiOptions, readOpenapiOptions } from './options.ts';
import { type Answer, readAnswer, useless, vendorMessage } from './read-answer.ts';
import { signed } from './sign-request.ts';

const CONNECT_TIMEOUT_MS = 5_000;
/** Room for an origin's answer headers. */
const HEADER_BYTES_MAX = 32_768;

/** Rejects with `ConnectorRefused` when the options are wrong; connects only when first called. */
export async function createOpenapiConnector(spec: ConnectorSpec, deps: ConnectorDeps): Promise<Connector> {
  return new OpenapiConnector(spec.name, readOpenapiOptions(spec), deps);
}

class OpenapiConnector implements Connector {
  readonly kind = 'openapi';
  readonly name: string;
  readonly #options: OpenapiOptions;
  readonly #deps: ConnectorDeps;
  readonly #pools: ReadonlyMap<string, { readonly base: URL; readonly pool: Pool }>;
  readonly #operations = new Map<string, CompiledOperation>();
  readonly #conditions = new Map<string, Expression>();
  /** Operation id → what of its answers no longer fits. Stays until the connector is replaced, so by a review. */
  readonly #shapes = new Map<string, string>();
  #closed = false;

  constructor(name: string, options: OpenapiOptions, deps: ConnectorDeps) {
    this.name = name;
    this.#options = options;
    this.#deps = deps;
    const connect = createConnectorConnect(options.allow_private, CONNECT_TIMEOUT_MS);
    this.#pools = new Map(
      options.servers.map((base) => {
        const { connections } = options;
        const pool = new Pool(base.origin, {
          connections,
          pipelining: 1,
          maxHeaderSize: HEADER_BYTES_MAX,
          connect,
        });
        return [base.href.replace(/\/$/, ''), { base, pool }] as const;
      }),
    );
  }

  drift(tool: Tool): Drift {
    for (const { operation } of bindsOf(tool)) {
      const found = this.#find(operation);
      if (typeof found === 'string') return { reason: found };
      const shape = tool.effect === 'read' ? undefined : this.#shapes.get(found.id);
      if (shape !== undefined && this.#options.response_drift === 'pause')
        return { reason: `answers of "${found.id}" no longer fit their description (${shape})` };
    }
    return null;
  }

  async attempt(attempt: Attempt): Promise<Reply> {
    // INVARIANT: the walk asked drift() before; asked again here, so that no other caller can do without.
    const operation = this.#find(attempt.operation);
    if (typeof operation === 'string') return { kind: 'not_sent', held_back: 'broker', reason: operation };
    if (attempt.mode === 'read' && operation.method !== 'GET' && operation.method !== 'HEAD')
      return { kind: 'not_sent', held_back: 'broker', reason: `${operation.method} is not a read` };
    const server = this.#server(attempt.operation['server']);
    if (server === undefined || this.#closed)
      return { kind: 'not_sent', held_back: 'broker', reason: 'no such server on the connector' };
    const idempotency = attempt.operation['idempotency_header'];
    const built = buildRequest({
      operation,
      inputs: attempt.inputs,
      base: server.base,
      headers: this.#options.headers,
      idempotency_header: typeof idempotency === 'string' ? idempotency : null,
      credential: attempt.credential?.inject.headers ?? {},
    });
    if (!built.ok) return { kind: 'not_sent', held_back: 'broker', reason: built.reason };
    const request = await signed(built.request, server.base, attempt.credential);
    const exchanged = await exchange(server.pool, request, {
      timeout_ms: attempt.timeout_ms,
      signal: attempt.signal,
      response_bytes: this.#deps.response_bytes ?? DEFAULT_RESPONSE_BYTES,
    });
    const read = readAnswer(exchanged, operation, attempt.mode, this.#deps.clock.now());
    const reply =
      'reply' in read ? read.reply : this.#judge(read.answer, operation, attempt.operation, attempt.mode);
    return redactReply(reply, attempt.credential);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#pools.values()].map(({ pool }) => pool.destroy()));
  }

  #server(named: Json | undefined) {
    if (named === undefined) return this.#pools.values().next().value;
    return this.#pools.get(String(named).replace(/\/$/, ''));
  }

  /** The operation of a bind as it was reviewed, or why it is paused. */
  #find(bind: JsonObject): Operation | string {
    const id = String(bind['operation']);
    let compiled = this.#operations.get(id);
    if (compiled === undefined) {
      compiled = compileOperation(this.#options.description, id);
      this.#operations.set(id, compiled);
    }
    if (!compiled.ok) return compiled.reason;
    const { digest } = compiled.operation;
    if (bind['digest'] === digest) return compiled.operation;
    return `the description of "${id}" is not the reviewed one: its digest is ${digest}`;
  }

  /** A 2xx: did the vendor do it, by its own words, and does it still answer what it describes? */
  #judge(answer: Answer, operation: Operation, bind: JsonObject, mode: 'read' | 'write'): Reply {
    const { status, response } = answer;
    const success = this.#succeeded(answer, bind['successWhen']);
    if (success === null) return useless('successWhen cannot be told from the answer', mode);
    if (!success) {
      const said = vendorMessage(response);
      const reason = said === null ? 'the answer says that it was not done' : said;
      return { kind: 'rejected', reason: `HTTP ${status}: ${reason}`, detail: { status } };
    }
    const fault = operation.checkAnswer(status, response);
    if (fault !== null && !this.#shapes.has(operation.id)) {
      this.#shapes.set(operation.id, fault.slice(0, 200));
      const fields = { connector: this.name, operation: operation.id, status, fault };
      this.#deps.log.warn(fields, 'an answer does not fit its description');
    }
    return { kind: 'ok', response: keepDescribed(response, bind['keep'] ?? true) };
  }

  #succeeded({ status, headers, response }: Answer, source: Json | undefined): boolean | null {
    if (typeof source !== 'string') return true;
    let condition = this.#conditions.get(source);
    if (condition === undefined) {
      const compiled = compileExpression(source, 'successWhen');
      if (!compiled.ok) return null;
      condition = compiled.expression;
      this.#conditions.set(source, condition);
    }
    const listed = this.#options.response_headers.filter((name) => typeof headers[name] === 'string');
    try {
      const value = condition.evaluate({
        response,
        status,
        headers: Object.fromEntries(listed.map((name) => [name, headers[name]])),
      });
      return typeof value === 'boolean' ? value : null;
    } catch {
      return null;
    }
  }
}
