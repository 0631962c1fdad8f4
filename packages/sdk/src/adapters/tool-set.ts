// An agent's tools as a framework adapter offers them: listed with their limits, called through the broker.
import { CALL_STATUS_TOOL } from '@countersign/contract/answer-words.ts';
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { Effect, ToolView } from '@countersign/contract/wire.ts';
import type { Countersign, WaitOptions } from '../countersign.ts';
import {
  isUnderWay,
  isWaiting,
  type Outcome,
  outcomeOfAnswer,
  outcomeOfError,
  type Question,
  refusedHere,
} from './outcome.ts';
import { type Place, Places } from './place.ts';

export interface ToolSetOptions {
  /** Offer these tools and no others. A name that the agent does not have is a mistake and throws. */
  readonly only?: readonly string[] | undefined;
  /** Seconds that each call waits for people before it is answered "not done yet"; 0 by default, at most 60. */
  readonly wait_s?: number | undefined;
  /**
   * Tells conversations of one run apart. In one run and thread, the same request at the same step is the same deed,
   * also from a process that was started anew.
   */
  readonly thread?: string | undefined;
  /** What the application (not trusted code of the orchestrator) says about the circumstances; claimed, never bound. */
  readonly context?: JsonObject | undefined;
  /** Offer the model a tool to ask what became of a call that waits; true by default. */
  readonly statusTool?: boolean | undefined;
  /** Told of every outcome, in the order in which they come. */
  readonly onOutcome?: ((outcome: Outcome) => void) | undefined;
}

export interface OfferedTool {
  readonly name: string;
  /** What it does, its limits for this agent, and whether it is about to go. */
  readonly description: string;
  readonly effect: Effect;
  /** JSON Schema 2020-12 of the arguments; an object, closed. */
  readonly input_schema: JsonObject;
}

export interface Asking extends Place {
  readonly signal?: AbortSignal | undefined;
  /** W3C trace context of the framework's own span; the client's otherwise. */
  readonly traceparent?: string | undefined;
}

/** How long an agent that goes on waits for a deed that the broker is at. */
const UNDER_WAY_S = 30;
/** How long a decision takes to have its effect, with much to spare. */
const DECIDED_S = 3;
/** What the status tool waits for when the model names nothing, and at most. */
const STATUS_WAIT_S = 20;
const STATUS_WAIT_MAX_S = 60;

/**
 * What an adapter builds on, and what a framework without adapter can use directly:
 *
 * ```ts
 * const tools = await ToolSet.load(countersign);
 * const outcome = await tools.call('refund_invoice', args, { step: 3 });
 * ```
 */
export class ToolSet {
  /** Sorted by name, the status tool last. */
  readonly tools: readonly OfferedTool[];
  readonly #countersign: Countersign;
  readonly #options: ToolSetOptions;
  readonly #places: Places;
  readonly #waiting = new Map<string, Outcome>();
  readonly #steps = new WeakMap<object, number>();
  #turns = 0;

  private constructor(countersign: Countersign, tools: readonly OfferedTool[], options: ToolSetOptions) {
    this.#countersign = countersign;
    this.tools = tools;
    this.#options = options;
    this.#places = new Places(countersign.runId, options.thread ?? '');
  }

  /** Asks the broker for the agent's tools. Throws `CountersignProblem` when there is no valid identity. */
  static async load(countersign: Countersign, options: ToolSetOptions = {}): Promise<ToolSet> {
    const views = await countersign.tools();
    const missing = (options.only ?? []).filter((name) => !views.some((view) => view.name === name));
    if (missing.length > 0) {
      throw new TypeError(
        `only: the agent has no tool ${missing.map((name) => JSON.stringify(name)).join(', ')}; it has ${views.map((view) => view.name).join(', ')}`,
      );
    }
    const offered = views.filter((view) => options.only?.includes(view.name) ?? true).map(offer);
    return new ToolSet(countersign, options.statusTool === false ? offered : [...offered, STATUS], options);
  }

  /**
   * Calls a tool. Never throws for what became of the call: refusals and unknown outcomes are outcomes. Throws only
   * when the request was aborted, or for a mistake in the program.
   */
  async call(name: string, args: unknown, asking: Asking = {}): Promise<Outcome> {
    const tool = this.tools.find((each) => each.name === name);
    if (tool === undefined) return this.#tell(refusedHere(name, 'There is no such tool.'));
    const plain = plainObject(args);
    if (plain === undefined) return this.#tell(refusedHere(name, 'The arguments are not a JSON object.'));
    if (tool === STATUS) return this.#status(plain, asking);
    const { context = {}, wait_s } = this.#options;
    // A read needs no key: doing it again is what the caller wants.
    const idempotencyKey =
      tool.effect === 'read' ? undefined : this.#places.keyOf(name, plain, context, asking);
    return this.#outcome(name, tool.effect, () =>
      this.#countersign.call(name, plain, {
        context,
        idempotencyKey,
        wait_s,
        traceparent: asking.traceparent,
        signal: asking.signal,
      }),
    );
  }

  /** The number of a turn of the model, for frameworks that count none: the same object has the same number. */
  stepOf(turn: object): number {
    const known = this.#steps.get(turn);
    if (known !== undefined) return known;
    this.#turns += 1;
    this.#steps.set(turn, this.#turns - 1);
    return this.#turns - 1;
  }

  /** Calls of this tool set that were answered "not done yet" and of which no outcome is known here so far. */
  waiting(): readonly Outcome[] {
    return [...this.#waiting.values()];
  }

  /** Waits for the outcome of one call; the present state when the time is over (300 s unless told otherwise). */
  waitFor(call_id: string, options: WaitOptions = {}): Promise<Outcome> {
    const tool = this.#waiting.get(call_id)?.tool ?? 'the call';
    return this.#outcome(tool, 'lookup', () => this.#countersign.waitFor(call_id, options));
  }

  /**
   * A waiting call once somebody says that people have decided: waits for a deed that the broker is at, and else only
   * as long as a decision takes to have its effect.
   */
  async afterDecision(waiting: Outcome, signal?: AbortSignal): Promise<Outcome> {
    const { call_id = '' } = waiting;
    const now =
      waiting.status === 'held' ? await this.waitFor(call_id, { timeout_s: DECIDED_S, signal }) : waiting;
    return isUnderWay(now) ? this.waitFor(call_id, { timeout_s: UNDER_WAY_S, signal }) : now;
  }

  /** Waits for all calls that wait. What is still undecided when the time is over keeps its waiting status. */
  waitForAll(options: WaitOptions = {}): Promise<readonly Outcome[]> {
    return Promise.all([...this.#waiting.keys()].map((call_id) => this.waitFor(call_id, options)));
  }

  async #status(args: JsonObject, asking: Asking): Promise<Outcome> {
    const { call_id, wait_seconds = STATUS_WAIT_S } = args;
    if (typeof call_id !== 'string' || typeof wait_seconds !== 'number') {
      return this.#tell(
        refusedHere(CALL_STATUS_TOOL, 'Expected {"call_id": "call_...", "wait_seconds": a number}.'),
      );
    }
    const timeout_s = Math.min(Math.max(0, wait_seconds), STATUS_WAIT_MAX_S);
    return this.#outcome(CALL_STATUS_TOOL, 'lookup', () =>
      this.#countersign.waitFor(call_id, { timeout_s, signal: asking.signal }),
    );
  }

  async #outcome(
    tool: string,
    question: Question,
    ask: () => ReturnType<Countersign['call']>,
  ): Promise<Outcome> {
    try {
      return this.#tell(outcomeOfAnswer(await ask()));
    } catch (error) {
      const outcome = outcomeOfError(tool, question, error);
      if (outcome === undefined) throw error;
      return this.#tell(outcome);
    }
  }

  #tell(outcome: Outcome): Outcome {
    const { call_id } = outcome;
    if (call_id !== undefined) {
      if (isWaiting(outcome)) this.#waiting.set(call_id, outcome);
      else this.#waiting.delete(call_id);
    }
    this.#options.onOutcome?.(outcome);
    return outcome;
  }
}

const STATUS: OfferedTool = {
  name: CALL_STATUS_TOOL,
  description:
    'Look up one of your own calls by its call_id, above all one that waits for people. ' +
    'Waits up to wait_seconds for it to finish, then says how it stands or gives its result.',
  effect: 'read',
  input_schema: {
    type: 'object',
    additionalProperties: false,
    required: ['call_id'],
    properties: {
      call_id: { type: 'string', maxLength: 64, description: 'As answered by the call.' },
      wait_seconds: { type: 'integer', minimum: 0, maximum: STATUS_WAIT_MAX_S, default: STATUS_WAIT_S },
    },
  },
};

function offer(view: ToolView): OfferedTool {
  const { name, effect, input_schema } = view;
  const parts = [view.description, view.limits ?? '', deprecation(view)];
  return { name, effect, input_schema, description: parts.filter((part) => part !== '').join(' ') };
}

function deprecation({ deprecated }: ToolView): string {
  if (deprecated === undefined) return '';
  const until = deprecated.sunset === undefined ? ' for now' : ` until ${deprecated.sunset}`;
  const instead = deprecated.replaced_by === undefined ? '' : ` Use ${deprecated.replaced_by} instead.`;
  return `Deprecated: works${until}.${instead}`;
}

/** A copy that is JSON and nothing else; a text is parsed, as models write arguments. Undefined for what is no object. */
function plainObject(args: unknown): JsonObject | undefined {
  try {
    const text = typeof args === 'string' ? args : JSON.stringify(args ?? {});
    const value = JSON.parse(text === '' ? '{}' : text) as Json;
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
