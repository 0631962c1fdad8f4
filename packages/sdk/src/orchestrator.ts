// The orchestrator's client: opens runs for agents, with facts that trusted code vouches for.
import type { RunOpened, RunRequest, RunView } from '@countersign/contract/wire.ts';
import type { KeySource } from './key.ts';
import { Session } from './session.ts';

export interface OrchestratorOptions {
  /** Base URL of the broker. Must be https unless the host is loopback. */
  readonly url: string;
  /** Name of the orchestrator in the bundle. */
  readonly orchestrator: string;
  /** The orchestrator's private key: a JWK, a PKCS#8 PEM text, or a function that answers one. */
  readonly key: KeySource;
  /** Allow plain http to a host that is not loopback. */
  readonly insecure?: boolean | undefined;
  /** Stands in for the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

/**
 * Trusted code that starts agents. Never give its key to the process that runs the model.
 *
 * ```ts
 * const desk = new Orchestrator({ url, orchestrator: 'support-desk', key });
 * const run = await desk.openRun({ agent: 'support-refunds', trigger: 'zendesk:ticket/991', context: { ticket: 'ZD-991' } });
 * // hand run.run_token, and nothing else, to the agent
 * ```
 */
export class Orchestrator {
  readonly #session: Session;

  constructor(options: OrchestratorOptions) {
    this.#session = new Session({ ...options, name: options.orchestrator });
  }

  /**
   * Opens a run. `run_token` in the answer is for that agent alone: it presents the token when it asks for an access
   * token (`runToken` of `Countersign`). Throws `CountersignProblem`: `forbidden` for an agent or a context key that
   * the bundle does not list for this orchestrator, `invalid_request` for context that does not fit its type.
   */
  openRun(request: RunRequest, options: { readonly signal?: AbortSignal } = {}): Promise<RunOpened> {
    return this.#session.request('POST', '/v1/runs', { body: request, ...options });
  }

  /** A run that this orchestrator may see. */
  showRun(runId: string): Promise<RunView> {
    return this.#session.request('GET', `/v1/runs/${encodeURIComponent(runId)}`);
  }

  /** Ends a run: its token is worth nothing any more. */
  endRun(runId: string): Promise<RunView> {
    return this.#session.request('POST', `/v1/runs/${encodeURIComponent(runId)}/end`);
  }
}
