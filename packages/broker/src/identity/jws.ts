// Takes a compact JWS apart, strictly: one reading of the token, or none.
import { parseStrict } from '@countersign/contract/canonical.ts';
import { isJsonObject, type JsonObject } from '@countersign/contract/json.ts';

/** Longest token that is looked at, in characters. Ours are under 700; an RSA-signed assertion is about 1,000. */
export const TOKEN_LENGTH_MAX = 8_192;
const DEPTH_MAX = 4;

/** Header members that name or carry a key, or change how the token reads: whoever verifies one has the only keys. */
const HEADERS_REFUSED = ['jku', 'jwk', 'x5u', 'x5c', 'crit', 'b64', 'zip', 'enc'];

/** What in a header is not accepted of any token that was signed elsewhere, for the log; or null. */
export function refusedMember(header: JsonObject): string | null {
  const refused = HEADERS_REFUSED.find((name) => Object.hasOwn(header, name));
  return refused === undefined ? null : `header ${refused} is refused`;
}

export interface DecodedJws {
  readonly header: JsonObject;
  readonly claims: JsonObject;
}

/**
 * Header and claims of a compact JWS (RFC 7515 §7.1), not verified. Null where the text is not exactly three parts
 * of canonical base64url, or a part is not one JSON object; duplicate members are refused too (RFC 7519 §4 leaves
 * them to the reader, and two readers could choose differently). The caller controls every character.
 */
export function decodeJws(token: string): DecodedJws | null {
  if (token.length > TOKEN_LENGTH_MAX) return null;
  const parts = token.split('.', 4);
  if (parts.length !== 3) return null;
  const header = decodeObject(parts[0]!);
  const claims = decodeObject(parts[1]!);
  if (header === null || claims === null || decodeSegment(parts[2]!) === null) return null;
  return { header, claims };
}

/** Bytes of a base64url segment; null unless it is the one canonical spelling of them, and not empty. */
export function decodeSegment(segment: string): Buffer | null {
  if (segment.length === 0) return null;
  const bytes = Buffer.from(segment, 'base64url');
  return bytes.toString('base64url') === segment ? bytes : null;
}

/** The JSON object in a segment, or null. */
export function decodeObject(segment: string): JsonObject | null {
  const bytes = decodeSegment(segment);
  if (bytes === null) return null;
  const decoded = parseStrict(bytes, { depth: DEPTH_MAX, bytes: TOKEN_LENGTH_MAX });
  return decoded.ok && isJsonObject(decoded.value) ? decoded.value : null;
}
