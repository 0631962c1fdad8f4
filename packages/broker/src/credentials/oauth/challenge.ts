// Reads the Bearer challenge of a WWW-Authenticate header (RFC 9110 §11.6.1, RFC 6750 §3, RFC 9728 §5.1).
import { readScopes } from './scopes.ts';

export interface Challenge {
  readonly scopes: readonly string[] | null;
  readonly resource_metadata: string | null;
  readonly error: string | null;
}

const MOST = 4_096;
const PARAMETER = /\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|$)/y;

export const NO_CHALLENGE: Challenge = { scopes: null, resource_metadata: null, error: null };

/** The parameters of the first Bearer challenge. The header is foreign text: what does not parse counts as absent. */
export function readChallenge(header: string | null): Challenge {
  if (header === null || header.length > MOST) return NO_CHALLENGE;
  const start = /(?:^|,)\s*Bearer(?=\s|$)/i.exec(header);
  if (start === null) return NO_CHALLENGE;
  const found = new Map<string, string>();
  PARAMETER.lastIndex = start.index + start[0].length;
  for (;;) {
    const match = PARAMETER.exec(header);
    if (match === null) break;
    const [, name = '', quoted, plain] = match;
    // A parameter that is given twice has no meaning that both sides share; the first one holds.
    if (!found.has(name.toLowerCase()))
      found.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? plain ?? '');
  }
  return {
    scopes: readScopes(found.get('scope')),
    resource_metadata: found.get('resource_metadata') ?? null,
    error: found.get('error') ?? null,
  };
}
