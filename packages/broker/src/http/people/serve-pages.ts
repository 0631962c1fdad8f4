// Serves people's pages: log in, log out, who am I, confirm a command line, passkeys. HTML, forms, and one script.
import { readFileSync } from 'node:fs';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { isJsonObject } from '@countersign/contract/json.ts';
import { problem } from '@countersign/contract/problem.ts';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { decideOnDevice, seeDevice } from '#admin/device-login.ts';
import {
  beginPasskeyLogin,
  beginRegistration,
  endPasskeyLogin,
  endRegistration,
  invited,
  listPasskeys,
} from '#admin/passkeys.ts';
import { logOut, type Opened, resumeSession } from '#admin/sessions.ts';
import type { World } from '#call/world.ts';
import type { Provider } from '#identity/people/provider.ts';
import { csrfOf } from '#identity/people/secrets.ts';
import type { Person } from '#rules/principal.ts';
import type { StoredSession } from '#store/sessions.ts';
import { sendJson, sendProblem } from '../send-answer.ts';
import { acceptStrictJson } from '../strict-json.ts';
import { acceptForms } from '../token-form.ts';
import { Allowance } from './allowance.ts';
import { type CookiePlace, clearCookie, cookiePlace, readCookie, setCookie } from './cookies.ts';
import { isFresh } from './fresh.ts';
import { fromOwnPage } from './identify.ts';
import { HOME, nextPage } from './next-page.ts';
import {
  confirmPage,
  decidedPage,
  devicePage,
  elsewherePage,
  failedPage,
  invitedPage,
  loggedOutPage,
  loginPage,
  mePage,
  passkeysPage,
} from './pages.ts';
import { type ProviderPages, providerPages } from './provider-pages.ts';
import { sendPage } from './send-page.ts';

const BEGUN_S = 600;
const ASSETS = [
  ['page.css', 'text/css; charset=utf-8'],
  ['passkey.js', 'text/javascript; charset=utf-8'],
] as const;

/** A person whose session's cookie came along. */
interface Here {
  readonly person: Person;
  readonly session: StoredSession;
  readonly csrf: string;
}

/** Registers the pages in a scope of their own. */
export function servePages(app: FastifyInstance, world: World, provider: Provider): void {
  void app.register(async (scope) => {
    acceptForms(scope);
    acceptStrictJson(scope, world);
    for (const [name, type] of ASSETS) {
      const bytes = readFileSync(new URL(`./assets/${name}`, import.meta.url));
      scope.get(`/assets/${name}`, (_request, reply) => reply.type(type).send(bytes));
    }
    loginPages(scope, world, providerPages(world, provider));
    devicePages(scope, world);
    passkeyPages(scope, world);
  });
}

/** Where the pages are; otherwise the answer has been sent: the browser goes there, or nowhere. */
function placeFor(request: FastifyRequest, reply: FastifyReply, world: World): CookiePlace | null {
  const place = cookiePlace(world.base_url());
  if (place === null) {
    sendPage(reply, elsewherePage(), 403);
    return null;
  }
  const { host } = new URL(place.origin);
  if (request.method !== 'GET' || request.headers.host?.toLowerCase() === host) return place;
  reply.redirect(`${place.origin}${request.url}`, 302);
  return null;
}

async function whoIsHere(request: FastifyRequest, world: World, place: CookiePlace): Promise<Here | null> {
  const secret = readCookie(request.headers, place.session);
  const resumed = secret === null ? null : await resumeSession(world, 'browser', secret);
  if (resumed === null || resumed.person.status !== 'active') return null;
  return { ...resumed, csrf: csrfOf(secret!) };
}

/** The person of a page that is for people who are logged in; otherwise the browser has been sent to log in. */
async function requirePerson(
  request: FastifyRequest,
  reply: FastifyReply,
  world: World,
): Promise<Here | null> {
  const place = placeFor(request, reply, world);
  if (place === null) return null;
  const here = await whoIsHere(request, world, place);
  if (here === null) reply.redirect(`/login?next=${encodeURIComponent(nextPage(request.url))}`, 303);
  return here;
}

/** The person whose own page sent this form; otherwise the answer has been sent. */
async function requireForm(
  request: FastifyRequest,
  reply: FastifyReply,
  world: World,
): Promise<(Here & { readonly form: URLSearchParams }) | null> {
  const here = await requirePerson(request, reply, world);
  if (here === null) return null;
  const form = request.body instanceof URLSearchParams ? request.body : new URLSearchParams();
  if (fromOwnPage(world, request.headers, here.csrf, form.get('csrf'))) return { ...here, form };
  sendPage(reply, failedPage(), 403);
  return null;
}

/** A script's request from one of our own pages; otherwise the answer has been sent. */
function requireOwnScript(request: FastifyRequest, reply: FastifyReply, world: World): CookiePlace | null {
  const place = cookiePlace(world.base_url());
  if (place !== null && request.headers.origin === place.origin) return place;
  sendProblem(reply, problem('forbidden', 'This is for pages of this broker.'), world);
  return null;
}

function loginPages(scope: FastifyInstance, world: World, pages: ProviderPages): void {
  scope.get('/login', async (request, reply) => {
    const place = placeFor(request, reply, world);
    if (place === null) return reply;
    const query = request.query as Record<string, unknown>;
    const next = nextPage(query['next']);
    if (query['again'] === undefined && (await whoIsHere(request, world, place)) !== null)
      return reply.redirect(next, 303);
    return sendPage(reply, loginPage(world.bundle().settings.people.login !== null, next));
  });
  scope.get('/login/start', async (request, reply) => {
    const place = placeFor(request, reply, world);
    return place === null ? reply : pages.start(request, reply, place);
  });
  scope.get('/login/callback', async (request, reply) => {
    const place = placeFor(request, reply, world);
    if (place === null) return reply;
    const opened = await pages.callback(request, reply, place);
    if (opened === null) return reply;
    await enter(request, reply, world, place, opened.opened);
    return reply.redirect(opened.next, 303);
  });
  scope.get('/me', async (request, reply) => {
    const here = await requirePerson(request, reply, world);
    return here === null ? reply : sendPage(reply, mePage(here.person, here.session, here.csrf));
  });
  scope.post('/logout', async (request, reply) => {
    const here = await requireForm(request, reply, world);
    if (here === null) return reply;
    await logOut(world, here.person, here.session);
    const place = cookiePlace(world.base_url())!;
    return sendPage(reply.header('set-cookie', clearCookie(place, place.session)), loggedOutPage());
  });
}

/** The browser has the new session, and no other: the one that it came with ends. */
async function enter(
  request: FastifyRequest,
  reply: FastifyReply,
  world: World,
  place: CookiePlace,
  { secret, session }: Opened,
): Promise<void> {
  const before = await whoIsHere(request, world, place);
  if (before !== null) await logOut(world, before.person, before.session);
  const life_s = Math.floor((session.expires_at_ms - session.created_at_ms) / 1000);
  reply.header('set-cookie', [
    setCookie(place, place.session, secret, life_s),
    clearCookie(place, place.begun),
  ]);
}

function devicePages(scope: FastifyInstance, world: World): void {
  // Guessing codes of others: at most ten at once, then one in five seconds, of about 25 thousand million.
  const tries = new Allowance({ per_s: 0.2, burst: 10 });
  const UNKNOWN = 'No command line waits under this code. Look at it again, or run countersign login anew.';
  scope.get('/device', async (request, reply) => {
    const here = await requirePerson(request, reply, world);
    if (here === null) return reply;
    const { user_code } = request.query as Record<string, unknown>;
    const code = typeof user_code === 'string' ? user_code.slice(0, 12) : '';
    return sendPage(reply, devicePage(here.csrf, code, null));
  });
  scope.post('/device', async (request, reply) => {
    const here = await requireForm(request, reply, world);
    if (here === null) return reply;
    const { person, csrf, form } = here;
    const now = world.clock.now();
    const typed = form.get('user_code') ?? '';
    if (!tries.take(`${person.tenant}/${person.name}`, now))
      return sendPage(reply, devicePage(csrf, '', 'Too many tries. Wait a little.'), 429);
    const seen = await seeDevice(world, typed);
    if (seen === null) return sendPage(reply, devicePage(csrf, typed.slice(0, 12), UNKNOWN), 404);
    return sendPage(reply, confirmPage(person, csrf, seen.code, seen.asked, now));
  });
  scope.post('/device/decide', async (request, reply) => {
    const here = await requireForm(request, reply, world);
    if (here === null) return reply;
    const { person, session, csrf, form } = here;
    if (!tries.take(`${person.tenant}/${person.name}`, world.clock.now()))
      return sendPage(reply, devicePage(csrf, '', 'Too many tries. Wait a little.'), 429);
    const status = form.get('decision') === 'confirm' ? 'confirmed' : 'denied';
    const decided = await decideOnDevice(world, person, session, form.get('user_code') ?? '', status);
    if (!decided) return sendPage(reply, devicePage(csrf, '', UNKNOWN), 404);
    return sendPage(reply, decidedPage(status === 'confirmed'));
  });
}

function passkeyPages(scope: FastifyInstance, world: World): void {
  const starts = new Allowance({ per_s: 5, burst: 100 });
  const begun = (reply: FastifyReply, place: CookiePlace, secret: string, options: JsonObject) =>
    sendJson(reply.header('set-cookie', setCookie(place, place.begun, secret, BEGUN_S)), 200, { options });
  const party = ({ host: id, origin }: CookiePlace) => ({ id, origin });
  scope.get('/passkeys', async (request, reply) => {
    const here = await requirePerson(request, reply, world);
    if (here === null) return reply;
    const keys = await listPasskeys(world, here.person);
    const fresh = isFresh(here.session, world.clock.now());
    return sendPage(reply, passkeysPage(keys.ok ? keys.value : [], here.csrf, fresh));
  });
  scope.get('/enrol', async (request, reply) =>
    placeFor(request, reply, world) === null ? reply : sendPage(reply, invitedPage()),
  );
  scope.post('/login/passkey/begin', async (request, reply) => {
    const place = requireOwnScript(request, reply, world);
    if (place === null) return reply;
    if (!starts.take(request.ip, world.clock.now())) return sendProblem(reply, TOO_MANY, world);
    const { options, secret } = await beginPasskeyLogin(world, party(place));
    return begun(reply, place, secret, options);
  });
  scope.post('/login/passkey/end', async (request, reply) => {
    const place = requireOwnScript(request, reply, world);
    if (place === null) return reply;
    const { response, next } = bodyOf(request);
    const secret = readCookie(request.headers, place.begun) ?? '';
    const ended = await endPasskeyLogin(world, party(place), secret, objectOf(response));
    if (!ended.ok) return sendProblem(reply, ended.problem, world);
    await enter(request, reply, world, place, ended.value);
    return sendJson(reply, 200, { next: nextPage(next) });
  });
  scope.post('/passkeys/begin', async (request, reply) => {
    const place = requireOwnScript(request, reply, world);
    if (place === null) return reply;
    if (!starts.take(request.ip, world.clock.now())) return sendProblem(reply, TOO_MANY, world);
    const { invitation } = bodyOf(request);
    const person =
      typeof invitation === 'string'
        ? await invited(world, invitation)
        : await freshPerson(request, world, place);
    if (person === null) return sendProblem(reply, NOT_FRESH, world);
    const link = typeof invitation === 'string' ? invitation : null;
    const began = await beginRegistration(world, party(place), person, link);
    if (!began.ok) return sendProblem(reply, began.problem, world);
    return begun(reply, place, began.value.secret, began.value.options);
  });
  scope.post('/passkeys/end', async (request, reply) => {
    const place = requireOwnScript(request, reply, world);
    if (place === null) return reply;
    const { response, label } = bodyOf(request);
    const secret = readCookie(request.headers, place.begun) ?? '';
    const ended = await endRegistration(world, party(place), {
      ...{ secret, response: objectOf(response), session_of: await freshPerson(request, world, place) },
      label: typeof label === 'string' && label !== '' ? label.slice(0, 64) : 'passkey',
    });
    if (!ended.ok) return sendProblem(reply, ended.problem, world);
    const { opened } = ended.value;
    if (opened !== null) await enter(request, reply, world, place, opened);
    return sendJson(reply, 200, { next: opened === null ? '/passkeys' : HOME });
  });
}

/** Who is here by a session that is young enough, whose own page sent the request. */
async function freshPerson(
  request: FastifyRequest,
  world: World,
  place: CookiePlace,
): Promise<Person | null> {
  const here = await whoIsHere(request, world, place);
  if (here === null || !isFresh(here.session, world.clock.now())) return null;
  const own = fromOwnPage(world, request.headers, here.csrf, request.headers['x-csrf-token']);
  return own ? here.person : null;
}

const TOO_MANY = problem('unavailable', 'Too many log-ins were begun from here. Wait a little.');
const NOT_FRESH = problem(
  'unauthenticated',
  'To register a passkey, log in anew (within ten minutes), or use a link that was not used before.',
);

function bodyOf({ body }: FastifyRequest): Readonly<Record<string, Json | undefined>> {
  return objectOf(body as Json);
}

function objectOf(value: Json | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}
