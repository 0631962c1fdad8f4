// The claim `act` (RFC 8693 §4.1): who acts for the subject of a token, the last one outermost.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import { HANDS_MAX } from '#rules/narrowing.ts';

/** `hands`: the one that holds the token first; at least one. */
export function actClaim(hands: readonly string[]): JsonObject {
  return hands.reduceRight<JsonObject | undefined>(
    (inner, sub) => (inner === undefined ? { sub } : { sub, act: inner }),
    undefined,
  )!;
}

/** The names in an `act` claim; null where it is something else, or longer than a chain of ours may be. */
export function readAct(act: Json | undefined): readonly string[] | null {
  const hands: string[] = [];
  for (let at = act; at !== undefined; at = at.act) {
    if (!isJsonObject(at) || typeof at.sub !== 'string' || hands.length === HANDS_MAX) return null;
    hands.push(at.sub);
  }
  return hands;
}
