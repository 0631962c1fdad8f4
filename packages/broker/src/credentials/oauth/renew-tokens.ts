// Fresh tokens without a person: by the refresh token of a grant, or by the client's own credentials.
import { NO_CHALLENGE } from './challenge.ts';
import { authenticationOf, chooseClient, type ReadSecret } from './client.ts';
import { discover } from './discover.ts';
import type { Grant, Tokens } from './grant.ts';
import type { OauthNetwork } from './network.ts';
import type { OauthOptions } from './options.ts';
import { readTokens } from './read-tokens.ts';
import { asRefusal, OauthRefused } from './refusal.ts';
import { tokensByCredentials, tokensByRefresh } from './request-tokens.ts';

export interface Renewal {
  readonly options: OauthOptions;
  readonly network: OauthNetwork;
  readonly readSecret: ReadSecret;
  readonly now_ms: number;
}

/** `dead`: the authorization server said that this will not work again. */
export type Renewed =
  | { readonly ok: true; readonly tokens: Tokens }
  | { readonly ok: false; readonly reason: string; readonly dead: boolean };

/** Asks where the grant came from: what servers name today plays no part in a renewal. */
export async function refreshGrant(grant: Grant, renewal: Renewal): Promise<Renewed> {
  const { options, network, readSecret, now_ms } = renewal;
  const { client, resource, issuer, token_endpoint } = grant;
  return told(async () => {
    const held = grant.tokens.refresh_token;
    if (held === null) throw new OauthRefused('there is no refresh token', 'invalid_grant');
    const as = { issuer, token_endpoint };
    const authentication = await authenticationOf(client, options, readSecret);
    const answer = await tokensByRefresh({ as, client, authentication, resource, network }, held);
    const tokens = readTokens(answer, { now_ms, asked: grant.tokens.scopes });
    // RFC 6749 §6: a server that does not rotate gives none back, and the old one stays good.
    return { ...tokens, refresh_token: tokens.refresh_token ?? held };
  });
}

/** The client acts for itself: nobody logs in, nothing is kept. The bundle's compiler saw to it that the issuer is pinned. */
export async function grantByCredentials(renewal: Renewal): Promise<Renewed> {
  const { options, network, readSecret, now_ms } = renewal;
  return told(async () => {
    const { server, issuer, scopes } = options;
    if (issuer === null) throw new OauthRefused('the connector’s file names no issuer', 'invalid_client');
    const found = await discover({ server, challenge: NO_CHALLENGE, pinned: issuer, before: null }, network);
    const { as, resource } = found;
    const client = await chooseClient({ options, as, redirect_uri: '', before: null }, network);
    const authentication = await authenticationOf(client, options, readSecret);
    const asked = scopes ?? [];
    const answer = await tokensByCredentials({ as, client, authentication, resource, network }, asked);
    return readTokens(answer, { now_ms, asked });
  });
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
