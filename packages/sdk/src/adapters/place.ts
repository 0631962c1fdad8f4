// Names one request by where in the run it was made, so that a repeat of a step repeats no deed.
import { randomUUID } from 'node:crypto';
import { digestOf } from '@countersign/contract/digest.ts';
import type { JsonObject } from '@countersign/contract/json.ts';

/** Where the framework stands when a tool is called. */
export interface Place {
  /** Of the conversation, e.g. how many messages came before: the same when the step is done again. */
  readonly step?: string | number | undefined;
  /** An object that all calls of one attempt at the step share, and no other: tells a repeat from a second wish. */
  readonly attempt?: object | undefined;
}

/**
 * Makes idempotency keys from run, thread, step and request, and from how many equal requests the same attempt made
 * before. Never from the id that the model gave its tool call: a model that is asked again gives another, and text
 * that steers a model could make it give the same.
 */
export class Places {
  readonly #origin: string;
  readonly #thread: string;
  readonly #whole = {};
  readonly #seen = new WeakMap<object, Map<string, number>>();

  /** Without a run, keys are good for this object's life only: the ambient run is no one conversation. */
  constructor(runId: string | undefined, thread: string) {
    this.#origin = runId ?? `none-${randomUUID()}`;
    this.#thread = thread;
  }

  /** The key of the next such request at that place. */
  keyOf(tool: string, args: JsonObject, claimed: JsonObject, place: Place): string {
    const request = digestOf([this.#origin, this.#thread, String(place.step ?? ''), tool, args, claimed]);
    const attempt = place.attempt ?? this.#whole;
    const seen = this.#seen.get(attempt) ?? new Map<string, number>();
    this.#seen.set(attempt, seen);
    const earlier = seen.get(request) ?? 0;
    seen.set(request, earlier + 1);
    return digestOf([request, earlier]);
  }
}
