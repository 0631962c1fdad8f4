// Chance that a seed replays: each request has dice of its own, so that one of 100,000 can be thrown again alone.

export interface Dice {
  /** A whole number from 0 to n - 1. */
  below(n: number): number;
  pick<T>(list: readonly T[]): T;
  /** True with this probability. */
  odds(p: number): boolean;
}

/** The dice of one request of a run. */
export function diceOf(seed: number, index: number): Dice {
  // mulberry32, begun at a place that neighbours do not share.
  let state = (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35)) >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (n: number): number => Math.floor(next() * n);
  return { below, pick: (list) => list[below(list.length)]!, odds: (p) => next() < p };
}
