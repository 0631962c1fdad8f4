// Reads the challenge of a WWW-Authenticate header (RFC 9110 §11.6.1, RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1).
import { readScopes } from './scopes.ts';

export interface Challenge {
  /** Null: there is no challenge of these schemes. */
  readonly scheme: 'bearer' | 'dpop' | null;
  readonly scopes: readonly string[] | null;
  readonly resource_metadata: string | null;
  readonly error: string | null;
}

const MOST = 4_096;
const SCHEME = /(?:^|,)\s*(Bearer|DPoP)(?=\s|,|$)/gi;
const PARAMETER = /\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|$)/y;

export const NO_CHALLENGE: Challenge = { scheme: null, scopes: null, resource_metadata: null, error: null };

/**
 * The parameters of the first challenge that is for `prefer`, or else of the first one that can be met. The header is
 * foreign text: what does not parse counts as absent.
 */
export function readChallenge(header: string | null, prefer: 'bearer' | 'dpop' = 'bearer'): Challenge {
  if (header === null || header.length > MOST) return NO_CHALLENGE;
  const starts = [...header.matchAll(SCHEME)].map((match) => ({
    scheme: match[1]!.toLowerCase() as 'bearer' | 'dpop',
    at: match.index + match[0].length,
  }));
  const start = starts.find(({ scheme }) => scheme === prefer) ?? starts[0];
  return start === undefined ? NO_CHALLENGE : { scheme: start.scheme, ...parametersAt(header, start.at) };
}

function parametersAt(header: string, at: number): Omit<Challenge, 'scheme'> {
  const found = new Map<string, string>();
  PARAMETER.lastIndex = at;
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
