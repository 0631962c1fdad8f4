// Who sends a request: an access token of any principal, or a person's session by cookie or command-line token.
import type { IncomingHttpHeaders } from 'node:http';
import { type Problem, problem } from '@countersign/contract/problem.ts';
import { resumeSession } from '#admin/sessions.ts';
import type { World } from '#call/world.ts';
import { csrfOf, PERSON_TOKEN, sameSecret } from '#identity/people/secrets.ts';
import { inactiveProblem, type Person } from '#rules/principal.ts';
import type { StoredSession } from '#store/sessions.ts';
import { cookiePlace, readCookie } from './cookies.ts';

/** A session as a request showed it. */
export interface ShownSession {
  readonly stored: StoredSession;
  /** What this session's pages send along with changes; null for a command line, which no page can make send. */
  readonly csrf: string | null;
}

export interface PresentedSession {
  readonly kind: 'browser' | 'cli';
  readonly secret: string;
}

const PERSON_BEARER = new RegExp(`^Bearer +${PERSON_TOKEN}([A-Za-z0-9_-]+)$`, 'i');

/** What the request shows as a person's session; null when an access token, or nothing, speaks for it. */
export function presentedSession(headers: IncomingHttpHeaders, base_url: string): PresentedSession | null {
  const token = PERSON_BEARER.exec(headers.authorization ?? '')?.[1];
  if (token !== undefined) return { kind: 'cli', secret: token };
  // A header that says who it is for is not outdone by a cookie that the browser adds by itself.
  if (headers.authorization !== undefined) return null;
  const place = cookiePlace(base_url);
  const secret = place === null ? null : readCookie(headers, place.session);
  return secret === null ? null : { kind: 'browser', secret };
}

export type PersonIdentified =
  | { readonly ok: true; readonly person: Person; readonly session: ShownSession }
  | { readonly ok: false; readonly problem: Problem };

/** The person behind a session; `changes`: the request is not one that only reads. */
export async function identifyPerson(
  world: World,
  { kind, secret }: PresentedSession,
  headers: IncomingHttpHeaders,
  changes: boolean,
): Promise<PersonIdentified> {
  const resumed = await resumeSession(world, kind, secret);
  if (resumed === null) return { ok: false, problem: SESSION_OVER };
  const { person, session } = resumed;
  if (person.status !== 'active') return { ok: false, problem: inactiveProblem(person) };
  const csrf = kind === 'browser' ? csrfOf(secret) : null;
  if (csrf !== null && changes && !fromOwnPage(world, headers, csrf, headers['x-csrf-token']))
    return { ok: false, problem: FOREIGN_PAGE };
  return { ok: true, person, session: { stored: session, csrf } };
}

/** Whether a page of this broker, made for this session, sent the request: its Origin, and its token. */
export function fromOwnPage(
  world: World,
  { origin }: IncomingHttpHeaders,
  csrf: string,
  given: unknown,
): boolean {
  const place = cookiePlace(world.base_url());
  return place !== null && origin === place.origin && typeof given === 'string' && sameSecret(given, csrf);
}

/** The words of a token that is not valid: a session that never was reads like one that is over. */
const SESSION_OVER = problem(
  'unauthenticated',
  'Expected a valid access token of this broker for this resource, as Authorization: Bearer.',
);
const FOREIGN_PAGE = problem(
  'forbidden',
  'A request with a session cookie that changes something comes from a page of this broker, with its x-csrf-token.',
);
