// Says whether a JSON value from outside is nested too deeply for the recursive code that follows.
import type { Json } from '@countersign/contract/json.ts';

/** Deeper than any honest answer; well below what canonical form and redaction can walk. */
const MOST_DEPTH = 64;

export function tooDeep(value: Json, left: number = MOST_DEPTH): boolean {
  if (value === null || typeof value !== 'object') return false;
  if (left === 0) return true;
  if (Array.isArray(value)) return value.some((item: Json) => tooDeep(item, left - 1));
  for (const item of Object.values(value)) if (tooDeep(item, left - 1)) return true;
  return false;
}
