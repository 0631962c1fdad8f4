// The gate before every attempt: what goes to each connector now, what waits, and what is left alone.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { FlowRule } from '#rules/flow-rule.ts';
import type { Log } from '#telemetry/log.ts';
import type { Clock } from './clock.ts';
import { type Entering, FlowLane, type LaneState, type NotSent, type Pass } from './flow-lane.ts';

const IDLE: LaneState = { running: 0, waiting: 0, paused_until_ms: null, operations: [] };

/** Kept in memory: a broker that starts tries every system anew. */
export class FlowBoard {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #lanes = new Map<string, FlowLane>();

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** A pass at once where there is room, which is nearly always; a promise where it must wait; else why not. */
  enter(entering: Entering): Pass | NotSent | Promise<Pass | NotSent> {
    return this.#lane(entering.connector, entering.rule).enter(entering);
  }

  /** When an operation may be tried again whose breaker lets nothing through now; null when it may go. */
  closedUntil_ms(connector: string, operation: JsonObject): number | null {
    return this.#lanes.get(connector)?.closedUntil_ms(operation) ?? null;
  }

  stateOf(connector: string): LaneState {
    return this.#lanes.get(connector)?.state() ?? IDLE;
  }

  #lane(connector: string, rule: FlowRule): FlowLane {
    let lane = this.#lanes.get(connector);
    if (lane === undefined) {
      lane = new FlowLane(connector, rule, this.#clock, this.#log);
      this.#lanes.set(connector, lane);
    } else if (lane.rule !== rule) lane.follow(rule);
    return lane;
  }
}
