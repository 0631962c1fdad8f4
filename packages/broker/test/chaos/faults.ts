// Which fault befalls which request: thrown from the seed, counted by kind, and ended by `calm`.
import { diceOf } from '../fuzz/dice.ts';

/** Kinds with how often each is thrown, relative to the others. */
export type Odds<Kind extends string> = Readonly<Partial<Record<Kind, number>>>;

export interface Faults<Kind extends string> {
  /** The fault of the next request; null: none. */
  next(): Kind | null;
  /** Milliseconds from 1 to `most_ms`. */
  within(most_ms: number): number;
  /** From now on nothing more is disturbed. */
  calm(): void;
  /** How many were injected, by kind. */
  readonly counts: Map<string, number>;
}

/** `rate`: the share of requests that are disturbed, from 0 to 1. */
export function throwFaults<Kind extends string>(seed: number, rate: number, odds: Odds<Kind>): Faults<Kind> {
  const dice = diceOf(seed, 0);
  const kinds = Object.entries(odds).flatMap(([kind, weight]) =>
    Array.from({ length: weight as number }, () => kind as Kind),
  );
  const counts = new Map<string, number>();
  let calm = false;
  return {
    counts,
    within: (most_ms) => 1 + dice.below(most_ms),
    calm() {
      calm = true;
    },
    next() {
      if (calm || !dice.odds(rate)) return null;
      const kind = dice.pick(kinds);
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
      return kind;
    },
  };
}
