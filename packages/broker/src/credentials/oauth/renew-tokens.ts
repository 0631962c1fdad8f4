// Fresh tokens without a person: by the refresh token of a grant, or by what the broker holds itself.
import type { TokenEndpointResponse } from 'oauth4webapi';
import type { ReadSecret } from '../provider.ts';
import { NO_CHALLENGE } from './challenge.ts';
import { authenticationOf, chooseClient } from './client.ts';
import { discover } from './discover.ts';
import { requestIdJag } from './enterprise.ts';
import type { Grant, Tokens } from './grant.ts';
import type { OauthNetwork } from './network.ts';
import type { OauthGrant, OauthOptions } from './options.ts';
import { openProofKey, type ProofKey } from './proof-key.ts';
import { readTokens } from './read-tokens.ts';
import { asRefusal, OauthRefused } from './refusal.ts';
import {
  type TokenRequest,
  tokensByAssertion,
  tokensByCredentials,
  tokensByRefresh,
} from './request-tokens.ts';
import { ANONYMOUS, assertWorkload } from './workload.ts';

export interface Renewal {
  readonly options: OauthOptions;
  readonly network: OauthNetwork;
  readonly readSecret: ReadSecret;
  readonly now_ms: number;
  /** What the tokens shall be bound to; null: bearer tokens. */
  readonly proof: ProofKey | null;
}

/** `dead`: the authorization server said that this will not work again. */
export type Renewed =
  | { readonly ok: true; readonly tokens: Tokens }
  | { readonly ok: false; readonly reason: string; readonly dead: boolean };

/** Asks where the grant came from: what servers name today plays no part in a renewal. */
export async function refreshGrant(grant: Grant, renewal: Renewal): Promise<Renewed> {
  const { options, network, readSecret, now_ms, proof } = renewal;
  const { client, resource, issuer, token_endpoint } = grant;
  return told(async () => {
    const held = grant.tokens.refresh_token;
    if (held === null) throw new OauthRefused('there is no refresh token', 'invalid_grant');
    const as = { issuer, token_endpoint };
    const authentication = await authenticationOf(client, options.client, readSecret);
    const answer = await tokensByRefresh({ as, client, authentication, resource, network, proof }, held);
    const tokens = readTokens(answer, { now_ms, asked: grant.tokens.scopes, jkt: proof?.jkt ?? null });
    // RFC 6749 §6: a server that does not rotate gives none back, and the old one stays good.
    return { ...tokens, refresh_token: tokens.refresh_token ?? held };
  });
}

type ByItself = Exclude<OauthGrant, 'authorization_code'>;

/** How the broker is authorised without a person. Listed nowhere else. */
const WAYS: Readonly<
  Record<
    ByItself,
    (request: TokenRequest, scopes: readonly string[], renewal: Renewal) => Promise<TokenEndpointResponse>
  >
> = {
  client_credentials: (request, scopes) => tokensByCredentials(request, scopes),
  enterprise_managed: async (request, scopes, renewal) =>
    tokensByAssertion(request, await requestIdJag(request, scopes, renewal), scopes),
  workload_identity: async (request, scopes, renewal) =>
    tokensByAssertion(request, await assertWorkload(request.as.issuer, renewal), scopes),
};

/** Nobody logs in, and nothing is kept. The bundle's compiler saw to it that the issuer is pinned. */
export async function grantByItself(renewal: Renewal): Promise<Renewed> {
  const { options, network, readSecret, now_ms, proof } = renewal;
  return told(async () => {
    const { server, issuer, client: given } = options;
    if (issuer === null) throw new OauthRefused('the connector’s file names no issuer', 'invalid_client');
    const found = await discover({ server, challenge: NO_CHALLENGE, pinned: issuer, before: null }, network);
    const { as, resource } = found;
    const asked = options.scopes ?? [];
    // RFC 7521 §4.1: an assertion says who asks; only a workload may leave out the client beside it.
    const { client, authentication } =
      given === null && options.grant === 'workload_identity' ? ANONYMOUS : await authenticated();
    const request = { as, client, authentication, resource, network, proof };
    const answer = await WAYS[options.grant as ByItself](request, asked, renewal);
    return readTokens(answer, { now_ms, asked, jkt: proof?.jkt ?? null });

    async function authenticated() {
      const chosen = await chooseClient({ given, as, redirect_uri: null, before: null }, network);
      return { client: chosen, authentication: await authenticationOf(chosen, given, readSecret) };
    }
  });
}

/** The key of a connector, or why it cannot be had. */
export async function proofKeyOf(
  reference: string,
  readSecret: ReadSecret,
  clock: { now(): number },
): Promise<ProofKey | string> {
  try {
    return await openProofKey(reference, readSecret, clock);
  } catch (error) {
    return asRefusal(error, 'the proof key').message;
  }
}

async function told(renew: () => Promise<Tokens>): Promise<Renewed> {
  try {
    return { ok: true, tokens: await renew() };
  } catch (error) {
    const refusal = asRefusal(error, 'renewing the token');
    // RFC 6749 §5.2: these do not pass with time.
    const dead = ['invalid_grant', 'invalid_client', 'unauthorized_client'].includes(refusal.code ?? '');
    return { ok: false, reason: refusal.message, dead };
  }
}
