// A person authorises a connector: from the server's challenge to an address for the browser, and from its answer to a grant.
import {
  calculatePKCECodeChallenge,
  generateRandomCodeVerifier,
  generateRandomState,
  validateAuthResponse,
} from 'oauth4webapi';
import type { ReadSecret } from '../provider.ts';
import { type Challenge, readChallenge } from './challenge.ts';
import { authenticationOf, chooseClient } from './client.ts';
import { discover } from './discover.ts';
import type { Grant } from './grant.ts';
import type { OauthNetwork } from './network.ts';
import type { OauthOptions } from './options.ts';
import { openProofKey } from './proof-key.ts';
import { readTokens } from './read-tokens.ts';
import { asRefusal, OauthRefused, step } from './refusal.ts';
import { tokensByCode } from './request-tokens.ts';
import { chooseScopes, scopeList } from './scopes.ts';

export interface LoginRequest {
  readonly options: OauthOptions;
  /** What an earlier login left; its client and scopes count only at the same issuer. */
  readonly before: Grant | null;
  /** Where the browser comes back to: loopback. */
  readonly redirect_uri: string;
  readonly network: OauthNetwork;
  readonly readSecret: ReadSecret;
  readonly clock: { now(): number };
}

export interface Login {
  /** What the person opens in a browser. */
  readonly url: string;
  readonly issuer: string;
  /** What the answer must carry; whoever waits for it turns away what does not. */
  readonly state: string;
  /** Empty: the authorization server decides. */
  readonly scopes: readonly string[];
  /** The query with which the browser came back. Answers the grant, or why there is none. */
  finish(callback: URLSearchParams): Promise<Finished>;
}

export type Begun = ({ readonly ok: true } & Login) | { readonly ok: false; readonly reason: string };
export type Finished =
  | { readonly ok: true; readonly grant: Grant }
  | { readonly ok: false; readonly reason: string };

/** Everything up to the browser: challenge, discovery, client, scopes, PKCE. Sends no secret yet. */
export async function beginLogin(request: LoginRequest): Promise<Begun> {
  try {
    return { ok: true, ...(await begin(request)) };
  } catch (error) {
    return { ok: false, reason: asRefusal(error, 'the login').message };
  }
}

async function begin({
  options,
  before,
  redirect_uri,
  network,
  readSecret,
  clock,
}: LoginRequest): Promise<Login> {
  const earlier = before?.server === options.server ? before : null;
  const challenge = await challengeOf(options, network);
  if (options.dpop === null && challenge.scheme === 'dpop')
    throw new OauthRefused(
      'the server takes only tokens that are bound to a key: name one as dpop in the connector’s file',
    );
  const proof = options.dpop === null ? null : await openProofKey(options.dpop, readSecret, clock);
  const { as, resource, scopes_supported } = await discover(
    { server: options.server, challenge, pinned: options.issuer, before: earlier?.issuer ?? null },
    network,
  );
  const { authorization_endpoint, token_endpoint } = as;
  if (authorization_endpoint === undefined || token_endpoint === undefined)
    throw new OauthRefused('the authorization server lacks an authorization or a token endpoint');
  // MCP authorization, "Authorization Code Protection": without a promise of S256 there is no login.
  if (as.code_challenge_methods_supported?.includes('S256') !== true)
    throw new OauthRefused('the authorization server does not promise PKCE with S256');
  const same = earlier?.issuer === as.issuer ? earlier : null;
  const scopes = chooseScopes({
    pinned: options.scopes,
    challenged: challenge.scopes,
    resource: scopes_supported,
    server: scopeList(as.scopes_supported),
    before: same === null ? [] : [...same.asked, ...same.wanted],
  });
  const registered = same?.redirect_uri === redirect_uri ? same.client : null;
  const client = await chooseClient({ given: options.client, as, redirect_uri, before: registered }, network);
  const [verifier, state] = [generateRandomCodeVerifier(), generateRandomState()];
  const url = new URL(authorization_endpoint);
  const parameters = {
    response_type: 'code',
    client_id: client.id,
    redirect_uri,
    code_challenge: await calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    resource,
    ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }),
    // RFC 9449 §10: the code, too, is worth nothing without the key.
    ...(proof === null ? {} : { dpop_jkt: proof.jkt }),
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);

  const finish = async (callback: URLSearchParams): Promise<Grant> => {
    // RFC 9207: `iss` is compared as text, with the issuer of the metadata; state ties the answer to this login.
    const checked = await step('the authorization response', () =>
      validateAuthResponse(as, { client_id: client.id }, callback, state),
    );
    const authentication = await authenticationOf(client, options.client, readSecret);
    const answer = await tokensByCode(
      { as, client, authentication, resource, network, proof },
      checked,
      redirect_uri,
      verifier,
    );
    const tokens = readTokens(answer, {
      ...{ now_ms: clock.now(), asked: scopes },
      jkt: proof?.jkt ?? null,
    });
    return {
      version: 1,
      server: options.server,
      issuer: as.issuer,
      token_endpoint,
      resource,
      redirect_uri,
      client,
      asked: scopes,
      wanted: [],
      refused: false,
      tokens,
    };
  };
  return {
    url: url.href,
    issuer: as.issuer,
    state,
    scopes,
    async finish(callback) {
      try {
        return { ok: true, grant: await finish(callback) };
      } catch (error) {
        return { ok: false, reason: asRefusal(error, 'the login').message };
      }
    },
  };
}

const DISCOVER = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'server/discover',
  params: {
    _meta: {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'countersign', version: '0.1.0' },
      'io.modelcontextprotocol/clientCapabilities': {},
    },
  },
});

/** What the server answers to somebody without a token. One that asks for none is taken by its well-known metadata. */
async function challengeOf({ server, dpop }: OauthOptions, network: OauthNetwork): Promise<Challenge> {
  const answer = await step('the MCP server', () =>
    network.send(server, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'server/discover',
      },
      body: DISCOVER,
      head_only: true,
    }),
  );
  const header = answer.status === 401 ? answer.headers.get('www-authenticate') : null;
  return readChallenge(header, dpop === null ? 'bearer' : 'dpop');
}
