// Finds out which authorization server guards an MCP server, and what it can do (RFC 9728, RFC 8414, OIDC Discovery).
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import { type AuthorizationServer, processDiscoveryResponse } from 'oauth4webapi';
import type { Challenge } from './challenge.ts';
import type { OauthNetwork } from './network.ts';
import { OauthRefused, step } from './refusal.ts';
import { scopeList } from './scopes.ts';

export interface Discovered {
  /** Resource indicator of the tokens (RFC 8707). */
  readonly resource: string;
  readonly scopes_supported: readonly string[] | null;
  readonly as: AuthorizationServer;
}

export interface Wanted {
  readonly server: string;
  readonly challenge: Challenge;
  /** The only issuer that is believed; null: the server's word is taken. */
  readonly pinned: string | null;
  /** The issuer of an earlier grant: kept while the server still names it. */
  readonly before: string | null;
}

const PRM = '/.well-known/oauth-protected-resource';
const AS = '/.well-known/oauth-authorization-server';
const OIDC = '/.well-known/openid-configuration';

/** Throws `OauthRefused`. Every address in here comes from a server and is checked before it is used. */
export async function discover(wanted: Wanted, network: OauthNetwork): Promise<Discovered> {
  const protectedResource = await findResource(wanted, network);
  const issuer = chooseIssuer(protectedResource, wanted);
  const as = await findAuthorizationServer(issuer, network);
  return {
    resource: protectedResource === null ? withoutFragment(wanted.server) : protectedResource.resource,
    scopes_supported: protectedResource?.scopes_supported ?? null,
    as,
  };
}

interface ProtectedResource {
  readonly resource: string;
  readonly issuers: readonly string[];
  readonly scopes_supported: readonly string[] | null;
}

/** Null where the server publishes none: then the connector file must name the issuer. */
async function findResource(
  { server, challenge }: Wanted,
  network: OauthNetwork,
): Promise<ProtectedResource | null> {
  const { origin, pathname } = new URL(server);
  const named = challenge.resource_metadata;
  if (named !== null && (!URL.canParse(named) || new URL(named).origin !== origin))
    throw new OauthRefused('the server names resource metadata outside its own origin');
  const path = pathname === '/' ? [] : [`${origin}${PRM}${pathname}`];
  const document = await firstFound(named === null ? [...path, `${origin}${PRM}`] : [named], network);
  if (document === null) return null;
  const json = await jsonOf(document, 'the resource metadata');
  const { resource, authorization_servers: issuers } = json;
  if (typeof resource !== 'string' || !covers(resource, server))
    throw new OauthRefused('the resource metadata is for another resource than the connector’s server');
  if (!isTexts(issuers) || issuers.length === 0)
    throw new OauthRefused('the resource metadata names no authorization server');
  return { resource, issuers, scopes_supported: scopeList(json['scopes_supported']) };
}

/** The resource is the server's address, or one above it at the same origin (RFC 9728 §3.3; tokens stay at home). */
function covers(resource: string, server: string): boolean {
  if (!URL.canParse(resource)) return false;
  const [above, own] = [new URL(resource), new URL(server)];
  if (above.origin !== own.origin || above.hash !== '') return false;
  if (above.search !== '' && above.search !== own.search) return false;
  const path = above.pathname.replace(/\/$/, '');
  return own.pathname === above.pathname || own.pathname === path || own.pathname.startsWith(`${path}/`);
}

function chooseIssuer(found: ProtectedResource | null, { pinned, before }: Wanted): string {
  if (found === null) {
    if (pinned !== null) return pinned;
    throw new OauthRefused(
      'the server publishes no resource metadata: name the issuer in the connector’s file',
    );
  }
  if (pinned !== null) {
    if (found.issuers.some((each) => sameUrl(each, pinned))) return pinned;
    throw new OauthRefused('the server names other authorization servers than the connector’s file');
  }
  return found.issuers.find((each) => each === before) ?? found.issuers[0]!;
}

/** Its metadata, of which every endpoint may be dialled. Throws `OauthRefused`. */
export async function findAuthorizationServer(
  issuer: string,
  network: OauthNetwork,
): Promise<AuthorizationServer> {
  const refused = network.refuse(issuer);
  if (refused !== null) throw new OauthRefused(`the authorization server's address: ${refused}`);
  const { origin, pathname, search } = new URL(issuer);
  if (search !== '') throw new OauthRefused('an issuer carries no query (RFC 8414 §2)');
  const path = pathname === '/' ? '' : pathname.replace(/\/$/, '');
  const places =
    path === ''
      ? [`${origin}${AS}`, `${origin}${OIDC}`]
      : [`${origin}${AS}${path}`, `${origin}${OIDC}${path}`, `${origin}${path}${OIDC}`];
  const document = await firstFound(places, network);
  if (document === null) throw new OauthRefused('the authorization server publishes no metadata');
  // INVARIANT: the issuer in the document is the one whose well-known address was asked (RFC 8414 §3.3).
  const what = 'the authorization server metadata';
  const as = await step(what, () => processDiscoveryResponse(new URL(issuer), document));
  for (const [name, url] of Object.entries(as)) {
    if (!name.endsWith('_endpoint') || typeof url !== 'string') continue;
    const refused = network.refuse(url);
    if (refused !== null) throw new OauthRefused(`${name} of the authorization server: ${refused}`);
  }
  return as;
}

/** The first document that is there. "Not there" is a client error; anything else ends the search. */
async function firstFound(urls: readonly string[], network: OauthNetwork): Promise<Response | null> {
  for (const url of urls) {
    const answer = await step('discovery', () =>
      network.send(url, { headers: { accept: 'application/json' } }),
    );
    if (answer.status === 200) return answer;
    if (answer.status < 400 || answer.status >= 500)
      throw new OauthRefused(`discovery was answered with HTTP status ${answer.status}`);
  }
  return null;
}

async function jsonOf(answer: Response, what: string): Promise<JsonObject> {
  let json: unknown;
  try {
    json = await answer.json();
  } catch {
    json = null;
  }
  if (!isJsonObject(json as Json)) throw new OauthRefused(`${what} is not a JSON object`);
  return json as JsonObject;
}

function sameUrl(one: string, other: string): boolean {
  return one === other || (URL.canParse(one) && new URL(one).href === new URL(other).href);
}

function withoutFragment(server: string): string {
  const url = new URL(server);
  url.hash = '';
  return url.href;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}
