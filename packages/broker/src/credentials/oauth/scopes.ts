// Scopes of OAuth: read from foreign text, and chosen for an authorization request.

const TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/;
const MOST = 50;

/** The scopes of a space-separated text (RFC 6749 §3.3), without repeats; null when it is none. */
export function readScopes(text: unknown): readonly string[] | null {
  if (typeof text !== 'string') return null;
  return scopeList(text.split(' ').filter((each) => each !== ''));
}

/** A list of scopes as it came; null when it is none, malformed or too long to be meant. */
export function scopeList(value: unknown): readonly string[] | null {
  if (!Array.isArray(value) || value.length > MOST) return null;
  if (!value.every((each) => typeof each === 'string' && TOKEN.test(each))) return null;
  return [...new Set(value as string[])];
}

export interface ScopeFacts {
  /** What the connector file lists: then exactly this is asked for. */
  readonly pinned: readonly string[] | null;
  /** What the server's challenge asks for. */
  readonly challenged: readonly string[] | null;
  /** `scopes_supported` of the protected resource. */
  readonly resource: readonly string[] | null;
  /** `scopes_supported` of the authorization server. */
  readonly server: readonly string[] | null;
  /** What was asked for before and what a step-up still wants, at the same server. */
  readonly before: readonly string[];
}

/**
 * The scopes to ask for; empty: the parameter is left out. MCP authorization, "Scope Selection Strategy": the
 * challenge first, then all that the resource supports. What was asked for before stays asked for (SEP-2350), and
 * `offline_access` is added where the authorization server knows it (SEP-2207).
 */
export function chooseScopes({ pinned, challenged, resource, server, before }: ScopeFacts): string[] {
  if (pinned !== null) return [...pinned];
  const asked = new Set([...before, ...(challenged ?? (before.length > 0 ? [] : (resource ?? [])))]);
  if (asked.size > 0 && server?.includes('offline_access') === true) asked.add('offline_access');
  return [...asked];
}
