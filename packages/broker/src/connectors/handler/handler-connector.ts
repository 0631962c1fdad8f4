// The connector to code of the bundle: one pinned TypeScript module, a fresh isolated process for each call.
import { fileURLToPath } from 'node:url';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Agent } from 'undici';
import type { ConnectorSpec } from '#bundle/bundle.ts';
import { bindsOf, type Tool } from '#rules/tool.ts';
import type { Attempt, Connector, Drift, Reply } from '../connector.ts';
import { type ConnectorDeps, ConnectorRefused, DEFAULT_RESPONSE_BYTES } from '../connector-deps.ts';
import { chooseIsolation, type Isolator } from '../isolation.ts';
import { redactReply } from '../redact-reply.ts';
import { createFetchAgent, type FetchRules, GuardedFetch } from './guarded-fetch.ts';
import { type HandlerModule, type HandlerSettings, readHandlerOptions } from './handler-options.ts';
import { HandlerProcess, type Outcome } from './handler-process.ts';

const CHILD = fileURLToPath(new URL('./child/run-handler.mjs', import.meta.url));
/** Processes at a time; more calls are refused, not queued. */
const MOST_RUNNING = 16;
const LINE_SLACK = 64 * 1024;

/** Throws `ConnectorRefused` for wrong options, and where the isolation or the limits cannot be had. */
export async function createHandlerConnector(spec: ConnectorSpec, deps: ConnectorDeps): Promise<Connector> {
  const settings = readHandlerOptions(spec);
  const program = { command: 'node', args: [CHILD], env: {} };
  try {
    const isolator = await chooseIsolation(program, settings.isolation, deps.protect, settings.limits);
    deps.log.info({ connector: spec.name, isolation: isolator.kind }, 'handler isolation chosen');
    const connector = new HandlerConnector(spec.name, settings, isolator, deps);
    await connector.prepareNext();
    return connector;
  } catch (error) {
    if (error instanceof ConnectorRefused)
      throw new ConnectorRefused(`connector ${spec.name}: ${error.message}`);
    throw error;
  }
}

class HandlerConnector implements Connector {
  readonly kind = 'handler';
  readonly name: string;
  readonly #settings: HandlerSettings;
  readonly #isolator: Isolator;
  readonly #deps: ConnectorDeps;
  readonly #rules: FetchRules;
  readonly #agent: Agent;
  readonly #running = new Set<HandlerProcess>();
  /** Started, and waiting for a call: starting Node takes longer than most calls. */
  #next: HandlerProcess | null = null;
  #closed = false;

  constructor(name: string, settings: HandlerSettings, isolator: Isolator, deps: ConnectorDeps) {
    this.name = name;
    this.#settings = settings;
    this.#isolator = isolator;
    this.#deps = deps;
    this.#rules = { ...settings, response_bytes: deps.response_bytes ?? DEFAULT_RESPONSE_BYTES };
    this.#agent = createFetchAgent(this.#rules);
  }

  async prepareNext(): Promise<void> {
    if (this.#settled()) return;
    const started = await this.#start();
    // Another call may have done the same meanwhile.
    if (this.#settled()) await started.close();
    else this.#next = started;
  }

  /** True when no further process is to be started. */
  #settled(): boolean {
    return this.#closed || this.#next?.usable === true;
  }

  drift(tool: Tool): Drift {
    for (const bind of bindsOf(tool)) {
      const found = this.#module(bind.operation);
      if (typeof found === 'string') return { reason: found };
    }
    return null;
  }

  async attempt(attempt: Attempt): Promise<Reply> {
    const { operation, inputs, call_id, mode, credential, timeout_ms } = attempt;
    // INVARIANT: what runs is the very text whose digest was compared, never a file that may have changed since.
    const module = this.#module(operation);
    if (typeof module === 'string') return { kind: 'not_sent', held_back: 'broker', reason: module };
    if (this.#closed) return { kind: 'not_sent', held_back: 'broker', reason: 'the connector is closed' };
    if (attempt.signal.aborted) return { kind: 'not_sent', held_back: 'broker', reason: 'cancelled' };
    if (this.#running.size >= MOST_RUNNING)
      return {
        kind: 'not_sent',
        held_back: 'broker',
        reason: `${MOST_RUNNING} calls of this connector are already running`,
      };
    const process = await this.#take();
    if (typeof process === 'string') return { kind: 'not_sent', reason: process };
    const over = new AbortController();
    const fetch = new GuardedFetch(this.#rules, this.#agent, { mode, credential, signal: over.signal });
    const name = operation['export'] ?? 'run';
    const outcome = await process.run({
      message: { source: module.source, name, args: inputs, call_id, mode },
      timeout_ms,
      signal: attempt.signal,
      fetch: (asked) => fetch.carryOut(asked),
    });
    over.abort();
    this.#running.delete(process);
    return redactReply(this.#judge(outcome, mode, fetch), credential);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const processes = [...this.#running, ...(this.#next === null ? [] : [this.#next])];
    await Promise.all(processes.map((process) => process.close()));
    await this.#agent.destroy();
  }

  /**
   * The broker saw every request that left, so it knows better than the handler whether something may have been
   * done. Without isolation it has not seen everything.
   */
  #judge(outcome: Outcome, mode: Attempt['mode'], fetch: GuardedFetch): Reply {
    if (outcome.kind === 'ok') return outcome;
    if (outcome.kind === 'rejected') return { kind: 'rejected', reason: outcome.reason };
    const doubt = mode === 'write' && (fetch.mayHaveChanged || this.#isolator.kind === 'none');
    if (outcome.kind !== 'gone')
      return doubt
        ? {
            kind: 'unknown',
            reason: `it failed after it had sent a change: ${outcome.reason}`,
            timed_out: false,
          }
        : { kind: 'rejected', reason: outcome.reason };
    if (doubt || outcome.timed_out)
      return doubt || mode === 'read'
        ? { kind: 'unknown', reason: outcome.reason, timed_out: outcome.timed_out }
        : { kind: 'not_sent', reason: outcome.reason };
    return { kind: 'not_sent', reason: `the handler process is gone: ${outcome.reason}` };
  }

  #module(operation: JsonObject): HandlerModule | string {
    const { module: name, digest } = operation;
    const module = this.#settings.modules.get(String(name));
    if (module === undefined) return `connector ${this.name} lists no module "${String(name)}"`;
    if (module.digest !== digest)
      return `module ${String(name)} is not the reviewed one: its digest is ${module.digest}`;
    return module;
  }

  async #start(): Promise<HandlerProcess> {
    const launch = await this.#isolator.launch({}, (line) => line);
    return new HandlerProcess(launch, this.#rules.response_bytes + LINE_SLACK, this.name, this.#deps.log);
  }

  async #take(): Promise<HandlerProcess | string> {
    try {
      const waiting = this.#next;
      this.#next = null;
      const process = waiting?.usable === true ? waiting : await this.#start();
      this.#running.add(process);
      void this.prepareNext().catch(() => undefined);
      return process;
    } catch (error) {
      return `the handler process could not be started: ${(error as Error).message}`;
    }
  }
}
