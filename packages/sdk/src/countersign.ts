// The agent's client: calls tools through the broker and waits for what people decide.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { CallAnswer, ToolView } from '@countersign/contract/wire.ts';
import type { KeySource } from './key.ts';
import { CountersignProblem, CountersignUnreachable } from './problem.ts';
import { type Narrowing, Session } from './session.ts';

export interface CountersignOptions {
  /** Base URL of the broker, e.g. `https://broker.example`. Must be https unless the host is loopback. */
  readonly url: string;
  /** Name of the agent in the bundle. */
  readonly agent: string;
  /** The agent's private key: a JWK, a PKCS#8 PEM text, or a function that answers one. */
  readonly key: KeySource;
  /** From an orchestrator's `openRun`: the calls belong to that run and see its bound context. */
  readonly runToken?: string | undefined;
  /** Bind tokens to a key of this process (DPoP, RFC 9449): one that leaks is then worthless. */
  readonly dpop?: boolean | undefined;
  /** From another agent's `delegate`: this one acts for it, as far as that allows. */
  readonly delegation?: string | undefined;
  /** W3C trace context (`traceparent`) of the present span, asked for each call that names none itself. */
  readonly traceparent?: (() => string | undefined) | undefined;
  /** Allow plain http to a host that is not loopback. */
  readonly insecure?: boolean | undefined;
  /** Stands in for the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

export interface CallOptions {
  /** What the model says about the circumstances (`why`, declared keys). Claimed, never trusted. */
  readonly context?: JsonObject | undefined;
  /** Makes a repeat safe: the same key and request answer the first answer, and the deed is done once. */
  readonly idempotencyKey?: string | undefined;
  /**
   * Step of the plan that this call is, at most 64 characters. Where the broker makes keys of a call's content, the same
   * wish at another step is another deed.
   */
  readonly step?: string | undefined;
  /** Seconds to wait for a held or running call before it is answered as it stands. 0 by default. */
  readonly wait_s?: number | undefined;
  /** Judge only: nothing is executed and nothing is admitted. */
  /** Nothing is sent to the outside system later than so many milliseconds from now. */
  readonly timeout_ms?: number | undefined;
  readonly dryRun?: boolean | undefined;
  /** W3C trace context of the caller's span, sent along as it is. */
  readonly traceparent?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface WaitOptions {
  /** Seconds to wait in all; 300 by default. */
  readonly timeout_s?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

// Longer polls gain nothing and are cut by proxies.
const POLL_S = 25;
const ATTEMPTS = 3;

/**
 * An agent's connection to the broker.
 *
 * ```ts
 * const countersign = new Countersign({ url, agent: 'support-refunds', key, runToken });
 * let answer = await countersign.call('refund_invoice', { invoice: 'INV-1', amount_minor: 4200, reason: 'late' });
 * if (answer.status === 'held') answer = await countersign.waitFor(answer.call_id);
 * ```
 */
export class Countersign {
  /** The run that the run token names (read from it, not checked: the broker does that); undefined without one. */
  readonly runId: string | undefined;
  readonly #session: Session;
  readonly #traceparent: CountersignOptions['traceparent'];

  constructor(options: CountersignOptions) {
    this.runId = runOf(options.runToken);
    this.#traceparent = options.traceparent;
    this.#session = new Session({ ...options, name: options.agent });
  }

  /**
   * Calls one tool. Answers the call as it stands: `succeeded` with `result`, `held` with `approval` (people are
   * asked; see `waitFor`), or `running`. Throws `CountersignProblem` for a refusal and for a deed that failed, is in
   * doubt or is unverified; `CountersignUnreachable` when no broker answered, which is tried again by itself when an
   * `idempotencyKey` makes that safe.
   */
  async call(tool: string, args: JsonObject, options: CallOptions = {}): Promise<CallAnswer> {
    const { context, idempotencyKey, step, wait_s, dryRun, timeout_ms, signal } = options;
    const traceparent = options.traceparent ?? this.#traceparent?.();
    const body = {
      tool,
      args,
      ...(context === undefined ? {} : { context }),
      ...(dryRun === true ? { dry_run: true } : {}),
      ...(step === undefined ? {} : { step }),
      ...(timeout_ms === undefined ? {} : { timeout_ms }),
    };
    const headers = {
      ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
      ...(traceparent === undefined ? {} : { traceparent }),
    };
    for (let attempt = 1; ; attempt += 1) {
      try {
        const query = { wait: wait_s };
        return settled(
          await this.#session.request<CallAnswer>('POST', '/v1/calls', { body, headers, query, signal }),
        );
      } catch (error) {
        const safe = idempotencyKey !== undefined && attempt < ATTEMPTS;
        if (!safe || !(error instanceof CountersignUnreachable)) throw error;
      }
    }
  }

  /**
   * Waits until a call is neither held nor running and answers it; answers it as it stands when the time is over.
   * Throws like `call`. Nothing is lost by not waiting: the broker carries out an approved call by itself.
   */
  async waitFor(callId: string, options: WaitOptions = {}): Promise<CallAnswer> {
    const end_ms = performance.now() + (options.timeout_s ?? 300) * 1000;
    for (;;) {
      const left_s = Math.max(0, (end_ms - performance.now()) / 1000);
      const answer = await this.#session.request<CallAnswer>(
        'GET',
        `/v1/calls/${encodeURIComponent(callId)}`,
        {
          query: { wait: Math.min(POLL_S, Math.ceil(left_s)) },
          signal: options.signal,
        },
      );
      const open = answer.status === 'held' || answer.status === 'running';
      if (!open || performance.now() >= end_ms) return settled(answer);
    }
  }

  /** An access token that carries less than this agent may, for a process that gets no key. It lives minutes at most. */
  narrow(narrowing: Narrowing): Promise<string> {
    return this.#session.narrow(narrowing);
  }

  /**
   * Lets another agent act for this one, as far as `narrowing` says and for some minutes: what is answered is the
   * `delegation` of that agent's own `Countersign`, with its own key, and good for nobody else.
   */
  delegate(agent: string, narrowing: Narrowing = {}): Promise<string> {
    return this.#session.delegate(agent, narrowing);
  }

  /** The tools that this agent may call, sorted by name; the descriptions say their limits. */
  async tools(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<readonly ToolView[]> {
    const { tools } = await this.#session.request<{ tools: ToolView[] }>('GET', '/v1/tools', options);
    return tools;
  }
}

function settled(answer: CallAnswer): CallAnswer {
  if (answer.problem !== undefined) throw new CountersignProblem(answer.problem, answer);
  return answer;
}

function runOf(runToken: string | undefined): string | undefined {
  try {
    const payload = Buffer.from(runToken?.split('.')[1] ?? '', 'base64url').toString();
    const { run } = JSON.parse(payload) as { run?: unknown };
    return typeof run === 'string' ? run : undefined;
  } catch {
    return undefined;
  }
}
