// Cookies of people's pages: one for a session, one for what a browser has begun; bound to this host, or none at all.
import type { IncomingHttpHeaders } from 'node:http';

export interface CookiePlace {
  /** Origin of all pages: the only one whose requests change anything. */
  readonly origin: string;
  /** Host name without a port: the RP id of passkeys. */
  readonly host: string;
  readonly session: string;
  readonly begun: string;
  readonly secure: boolean;
}

const LOOPBACK: readonly string[] = ['127.0.0.1', '[::1]', 'localhost'];

let last: { readonly base: string; readonly place: CookiePlace | null } = { base: '', place: null };

/**
 * Where people's pages are and what their cookies are called; null where plain http leaves the machine, and no cookie
 * would be safe. On https the `__Host-` prefix binds a cookie to this very host. On loopback, where plain http is all
 * there is, the name carries the port, and the pages are at `localhost`: passkeys have no IP addresses.
 */
export function cookiePlace(base_url: string): CookiePlace | null {
  if (last.base !== base_url) last = { base: base_url, place: placeOf(base_url) };
  return last.place;
}

function placeOf(base_url: string): CookiePlace | null {
  if (!URL.canParse(base_url)) return null;
  const { protocol, hostname, port, origin } = new URL(base_url);
  if (protocol === 'https:')
    return {
      ...{ origin, host: hostname, secure: true },
      ...{ session: '__Host-countersign', begun: '__Host-countersign-begun' },
    };
  if (!LOOPBACK.includes(hostname)) return null;
  const at = port === '' ? '80' : port;
  return {
    origin: port === '' ? 'http://localhost' : `http://localhost:${port}`,
    ...{ host: 'localhost', secure: false },
    ...{ session: `countersign-${at}`, begun: `countersign-begun-${at}` },
  };
}

/** A cookie of the request; null when it is not there, or there twice: then somebody else set one of them. */
export function readCookie({ cookie }: IncomingHttpHeaders, name: string): string | null {
  if (cookie === undefined) return null;
  const found = cookie.split(';').flatMap((part) => {
    const [key, ...value] = part.trim().split('=');
    return key === name ? [value.join('=')] : [];
  });
  const [first] = found;
  return found.length === 1 && first !== undefined && /^[A-Za-z0-9_-]{43}$/.test(first) ? first : null;
}

/**
 * Lax: links that people get in a chat open with their session; what such a request may change is nothing, since
 * changes need the session's token and our own origin besides.
 */
export function setCookie({ secure }: CookiePlace, name: string, value: string, max_age_s: number): string {
  return `${name}=${value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${max_age_s}${secure ? '; Secure' : ''}`;
}

export function clearCookie(place: CookiePlace, name: string): string {
  return setCookie(place, name, '', 0);
}
