// How often somebody may try: a token bucket for each, in this broker's memory, for a bounded number of them.
import { type Bucket, fullBucket, type Rate, takeToken } from '#rules/token-bucket.ts';

const REMEMBERED_MAX = 10_000;

export class Allowance {
  readonly #rate: Rate;
  readonly #buckets = new Map<string, Bucket>();

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** False: not now. */
  take(who: string, now_ms: number): boolean {
    const bucket = this.#buckets.get(who) ?? fullBucket(this.#rate, now_ms);
    const left = takeToken(bucket, this.#rate, now_ms);
    // The one that asked longest ago is forgotten first.
    this.#buckets.delete(who);
    this.#buckets.set(who, left ?? bucket);
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= REMEMBERED_MAX) break;
      this.#buckets.delete(oldest);
    }
    return left !== null;
  }
}
