// What goes to one connector: a breaker for each operation, so many attempts at once and a second, first come, first served.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { BreakerView } from '@countersign/contract/wire-operations.ts';
import type { Reply, StopSignal } from '#connectors/connector.ts';
import { askBreaker, type Breaker, CLOSED, type Told, tellBreaker } from '#rules/breaker.ts';
import type { FlowRule } from '#rules/flow-rule.ts';
import { type Bucket, fullBucket, takeToken, waitForTokens } from '#rules/token-bucket.ts';
import type { Log } from '#telemetry/log.ts';
import type { Clock } from './clock.ts';
import { operationName } from './operation-name.ts';

export type NotSent = Extract<Reply, { kind: 'not_sent' }>;

/** One attempt that asks to go. */
export interface Entering {
  readonly connector: string;
  /** Of the bundle in force. */
  readonly rule: FlowRule;
  /** Fixed part of the bind. */
  readonly operation: JsonObject;
  /** The longest that it waits for its turn. */
  readonly timeout_ms: number;
  /** Ends the wait: nothing was sent yet. */
  readonly signal: StopSignal;
  /** Asked when its turn comes: a caller that is gone takes nobody's place. */
  readonly left?: (() => boolean) | undefined;
}

/** An attempt that may go now; its caller says what became of it, always. */
export class Pass {
  readonly #lane: FlowLane;
  readonly #operation: Operation;
  readonly #probe: boolean;

  constructor(lane: FlowLane, operation: Operation, probe: boolean) {
    this.#lane = lane;
    this.#operation = operation;
    this.#probe = probe;
  }

  /** Null: it ended without a reply. `stopped`: it was ended from our side, which says nothing of the system. */
  done(reply: Reply | null, stopped: boolean): void {
    this.#lane.done(this.#operation, this.#probe, reply, stopped);
  }
}

export interface LaneState {
  readonly running: number;
  readonly waiting: number;
  /** Until then the system asked to be left alone. */
  readonly paused_until_ms: number | null;
  /** Those that were used and that are not simply closed without failures. */
  readonly operations: readonly BreakerView[];
}

interface Operation {
  readonly name: string;
  breaker: Breaker;
}

interface Waiter {
  readonly entering: Entering;
  readonly operation: Operation;
  readonly settle: (answer: Pass | NotSent) => void;
}

/** Operations kept; beyond this those whose breaker has nothing to say are forgotten. */
const OPERATIONS_MAX = 10_000;
/** What a caller is told to wait for when nobody knows how long it takes. */
const BUSY_MS = 1_000;

export class FlowLane {
  rule: FlowRule;
  readonly #connector: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #operations = new Map<string, Operation>();
  readonly #known = new WeakMap<JsonObject, Operation>();
  readonly #waiting: Waiter[] = [];
  #running = 0;
  #bucket: Bucket | null = null;
  #pausedUntil_ms = 0;
  #sleeping = false;

  constructor(connector: string, rule: FlowRule, clock: Clock, log: Log) {
    this.rule = rule;
    this.#connector = connector;
    this.#clock = clock;
    this.#log = log;
  }

  /** Another bundle is in force. */
  follow(rule: FlowRule): void {
    this.rule = rule;
    this.#bucket = null;
    this.#pump(this.#clock.now());
  }

  enter(entering: Entering): Pass | NotSent | Promise<Pass | NotSent> {
    const now_ms = this.#clock.now();
    const operation = this.#operation(entering.operation);
    const leave = askBreaker(operation.breaker, now_ms);
    if (!leave.pass) return breakerOpen(leave.retry_at_ms - now_ms);
    if (this.#waiting.length === 0 && this.#takeRoom(now_ms) === 0) {
      operation.breaker = leave.breaker;
      return this.#start(operation, leave.probe);
    }
    return this.#queue(entering, operation, now_ms);
  }

  done(operation: Operation, probe: boolean, reply: Reply | null, stopped: boolean): void {
    this.#running--;
    const told = stopped ? 'neither' : toldBy(reply);
    const hint = reply === null || reply.kind === 'ok' ? undefined : reply.hint;
    const pause_ms = hint?.status === 429 ? hint.retry_after_ms : undefined;
    // Idle and well: nothing to work out, and not even the time is asked.
    if (
      told === 'success' &&
      pause_ms === undefined &&
      operation.breaker === CLOSED &&
      this.#waiting.length === 0
    )
      return;
    const now_ms = this.#clock.now();
    if (pause_ms !== undefined) this.#pause(pause_ms, now_ms);
    this.#tell(operation, told, probe, now_ms);
    this.#pump(now_ms);
  }

  closedUntil_ms(bound: JsonObject): number | null {
    const leave = askBreaker(this.#operation(bound).breaker, this.#clock.now());
    return leave.pass ? null : leave.retry_at_ms;
  }

  state(): LaneState {
    const now_ms = this.#clock.now();
    return {
      running: this.#running,
      waiting: this.#waiting.length,
      paused_until_ms: this.#pausedUntil_ms > now_ms ? this.#pausedUntil_ms : null,
      operations: [...this.#operations.values()].flatMap(({ name, breaker }) =>
        breaker === CLOSED ? [] : [stateOf(name, breaker, now_ms)],
      ),
    };
  }

  #start(operation: Operation, probe: boolean): Pass {
    this.#running++;
    return new Pass(this, operation, probe);
  }

  /** Takes room for one attempt and answers 0; or how long there is none, infinite when one of those running must end. */
  #takeRoom(now_ms: number): number {
    const { concurrency, rate } = this.rule.bulkhead;
    if (this.#running >= concurrency) return Number.POSITIVE_INFINITY;
    if (this.#pausedUntil_ms > now_ms) return this.#pausedUntil_ms - now_ms;
    if (rate === null) return 0;
    const bucket = this.#bucket ?? fullBucket(rate, now_ms);
    const taken = takeToken(bucket, rate, now_ms);
    this.#bucket = taken ?? bucket;
    return taken === null ? waitForTokens(bucket, rate, now_ms, 1) : 0;
  }

  /** The least that the last in the queue has to wait. */
  #leastWait_ms(now_ms: number): number {
    const { rate } = this.rule.bulkhead;
    const pause_ms = Math.max(0, this.#pausedUntil_ms - now_ms);
    if (rate === null) return pause_ms;
    const bucket = this.#bucket ?? fullBucket(rate, now_ms);
    return Math.max(pause_ms, waitForTokens(bucket, rate, now_ms, this.#waiting.length + 1));
  }

  #queue(entering: Entering, operation: Operation, now_ms: number): NotSent | Promise<Pass | NotSent> {
    if (entering.signal.aborted) return heldBack('stopped while it waited for its turn');
    if (this.#waiting.length >= this.rule.bulkhead.queue) this.#dropLeft();
    if (this.#waiting.length >= this.rule.bulkhead.queue)
      return heldBack('too many calls wait for this connector already', BUSY_MS);
    const least_ms = this.#leastWait_ms(now_ms);
    if (least_ms > entering.timeout_ms)
      return heldBack('its turn would not come within the time of the call', least_ms);
    return new Promise((resolve) => {
      const over = new AbortController();
      const stop = (): void => this.#leave(waiter, heldBack('stopped while it waited for its turn'));
      const waiter: Waiter = {
        entering,
        operation,
        settle: (answer) => {
          entering.signal.removeEventListener('abort', stop);
          over.abort();
          resolve(answer);
        },
      };
      entering.signal.addEventListener('abort', stop);
      this.#waiting.push(waiter);
      void this.#clock
        .sleep(entering.timeout_ms, over.signal)
        .then(() => this.#leave(waiter, heldBack('its turn did not come in time', BUSY_MS)));
      this.#pump(now_ms);
    });
  }

  /** Out of the queue with this answer; nothing when it is out already. */
  #leave(waiter: Waiter, answer: NotSent): void {
    const at = this.#waiting.indexOf(waiter);
    if (at === -1) return;
    this.#waiting.splice(at, 1);
    waiter.settle(answer);
  }

  #dropLeft(): void {
    for (const waiter of [...this.#waiting]) {
      if (waiter.entering.left?.() === true) this.#leave(waiter, callerLeft());
    }
  }

  /** Lets go whose turn it is. */
  #pump(now_ms: number): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const { operation, entering } = first;
      const leave = askBreaker(operation.breaker, now_ms);
      if (!leave.pass) {
        this.#leave(first, breakerOpen(leave.retry_at_ms - now_ms));
      } else if (entering.left?.() === true) {
        this.#leave(first, callerLeft());
      } else {
        const wait_ms = this.#takeRoom(now_ms);
        if (wait_ms > 0) {
          this.#wakeIn(wait_ms);
          return;
        }
        operation.breaker = leave.breaker;
        this.#waiting.shift();
        first.settle(this.#start(operation, leave.probe));
      }
    }
  }

  #wakeIn(wait_ms: number): void {
    if (this.#sleeping || !Number.isFinite(wait_ms)) return;
    this.#sleeping = true;
    void this.#clock.sleep(wait_ms).then(() => {
      this.#sleeping = false;
      this.#pump(this.#clock.now());
    });
  }

  /** A system does not get itself left alone for longer than a breaker would leave it. */
  #pause(wanted_ms: number, now_ms: number): void {
    const pause_ms = Math.min(wanted_ms, this.rule.breaker.cooldown_max_ms);
    if (now_ms + pause_ms <= this.#pausedUntil_ms) return;
    const pausing = this.#pausedUntil_ms <= now_ms;
    this.#pausedUntil_ms = now_ms + pause_ms;
    if (pausing) this.#log.warn('a system asked to be left alone', { connector: this.#connector, pause_ms });
  }

  #tell(operation: Operation, told: Told, probe: boolean, now_ms: number): void {
    const before = operation.breaker;
    const next = tellBreaker(before, told, probe, now_ms, this.rule.breaker);
    operation.breaker = next;
    if (next.state === before.state) return;
    const fields = { connector: this.#connector, operation: operation.name };
    if (next.state === 'closed') this.#log.info('a breaker closed: the system answers again', fields);
    if (next.state !== 'open') return;
    this.#log.warn('a breaker opened: the system keeps failing', { ...fields, until_ms: next.until_ms });
    for (const waiter of [...this.#waiting]) {
      if (waiter.operation === operation) this.#leave(waiter, breakerOpen(next.cooldown_ms));
    }
  }

  #operation(bound: JsonObject): Operation {
    let operation = this.#known.get(bound);
    if (operation !== undefined) return operation;
    const name = operationName(bound);
    operation = this.#operations.get(name);
    if (operation === undefined) {
      if (this.#operations.size >= OPERATIONS_MAX) this.#forget();
      operation = { name, breaker: CLOSED };
      this.#operations.set(name, operation);
    }
    this.#known.set(bound, operation);
    return operation;
  }

  #forget(): void {
    for (const [name, { breaker }] of this.#operations) if (breaker === CLOSED) this.#operations.delete(name);
  }
}

/**
 * What the system's answer says of the system: one that refuses works. `unknown` is no answer; nor is a server's error.
 */
function toldBy(reply: Reply | null): Told {
  if (reply === null) return 'neither';
  switch (reply.kind) {
    case 'ok':
      return 'success';
    case 'rejected':
      return (reply.hint?.status ?? 0) >= 500 ? 'failure' : 'success';
    case 'not_sent':
      return reply.held_back === undefined ? 'failure' : 'neither';
    case 'unknown':
      return 'failure';
  }
}

function stateOf(operation: string, breaker: Breaker, now_ms: number): BreakerView {
  if (breaker.state === 'closed')
    return { operation, state: 'closed', failures: breaker.failures, retry_at_ms: null };
  const open = breaker.state === 'open' && breaker.until_ms > now_ms;
  return {
    operation,
    state: open ? 'open' : 'half_open',
    failures: 0,
    retry_at_ms: open ? breaker.until_ms : null,
  };
}

function breakerOpen(wait_ms: number): NotSent {
  const reason = 'the system keeps failing and is left alone for a while';
  return { kind: 'not_sent', reason, held_back: 'breaker', hint: { retry_after_ms: wait_ms, again: false } };
}

function heldBack(reason: string, wait_ms?: number): NotSent {
  const hint = wait_ms === undefined ? {} : { hint: { retry_after_ms: wait_ms } };
  return { kind: 'not_sent', reason, held_back: 'broker', ...hint };
}

function callerLeft(): NotSent {
  return heldBack('the caller left before it was sent');
}
