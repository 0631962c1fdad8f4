// Enterprise-managed authorization: the identity provider vouches for the broker at one authorization server (ID-JAG).
import { decodeJwt, decodeProtectedHeader, type JWTPayload } from 'jose';
import { genericTokenEndpointRequest, processGenericTokenEndpointResponse } from 'oauth4webapi';
import type { ReadSecret } from '../provider.ts';
import { authenticationOf, chooseClient, through } from './client.ts';
import { findAuthorizationServer } from './discover.ts';
import type { OauthNetwork } from './network.ts';
import type { EnterpriseOptions, OauthOptions } from './options.ts';
import { secretAt } from './referred-secret.ts';
import { OauthRefused, step } from './refusal.ts';
import type { TokenRequest } from './request-tokens.ts';

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:';
const ID_JAG = `${TOKEN_TYPE}id-jag`;
const WHAT = 'the identity provider';

export interface EnterpriseFacts {
  readonly options: Pick<OauthOptions, 'enterprise'>;
  readonly network: OauthNetwork;
  readonly readSecret: ReadSecret;
  readonly now_ms: number;
}

/**
 * Exchanges the subject token for an identity assertion grant that is good at the authorization server of `request`
 * alone (draft-ietf-oauth-identity-assertion-authz-grant §4.3). Throws `OauthRefused`.
 */
export async function requestIdJag(
  { as, client: at, resource }: TokenRequest,
  scopes: readonly string[],
  { options, network, readSecret, now_ms }: EnterpriseFacts,
): Promise<string> {
  const { enterprise } = options;
  if (enterprise === null) throw new OauthRefused('the connector’s file names no identity provider');
  const subject_token = await subjectToken(enterprise, readSecret, now_ms);
  const idp = await findAuthorizationServer(enterprise.issuer, network);
  const facts = { given: enterprise.client, as: idp, redirect_uri: null, before: null };
  const client = await chooseClient(facts, network);
  const authentication = await authenticationOf(client, enterprise.client, readSecret);
  const known = { client_id: client.id };
  const parameters = {
    requested_token_type: ID_JAG,
    audience: as.issuer,
    resource,
    subject_token,
    subject_token_type: `${TOKEN_TYPE}${enterprise.subject_type}`,
    ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }),
  };
  const answer = await step(WHAT, async () => {
    const by = [TOKEN_EXCHANGE, parameters, through(network)] as const;
    const response = await genericTokenEndpointRequest(idp, known, authentication, ...by);
    // RFC 8693 §2.2.1: what is no access token has the type N_A.
    const recognizedTokenTypes = { n_a: () => undefined };
    return processGenericTokenEndpointResponse(idp, known, response, { recognizedTokenTypes });
  });
  if (answer['issued_token_type'] !== ID_JAG || answer.token_type !== 'n_a')
    throw new OauthRefused(`${WHAT} gave another token than the one asked for`);
  const wanted = { iss: enterprise.issuer, aud: as.issuer, client_id: at.id, resource };
  checkIdJag(answer.access_token, wanted);
  return answer.access_token;
}

/** INVARIANT: an ID token is shown to nobody but the provider that issued it, by the client that it was issued to. */
async function subjectToken(
  { subject, subject_type, issuer, client }: EnterpriseOptions,
  readSecret: ReadSecret,
  now_ms: number,
): Promise<string> {
  const token = await secretAt(subject, readSecret);
  if (subject_type === 'refresh_token') return token;
  const { iss, aud, exp } = claimsOf(token, `the ID token behind ${subject}`);
  if (iss !== issuer) throw new OauthRefused(`the ID token behind ${subject} is of another issuer`);
  if (![aud].flat().includes(client.id))
    throw new OauthRefused(`the ID token behind ${subject} was issued to another client`);
  if (typeof exp === 'number' && exp * 1000 <= now_ms)
    throw new OauthRefused(`the ID token behind ${subject} has ended`);
  return token;
}

/** The authorization server verifies it; here only that it can be used nowhere else and by nobody else. */
function checkIdJag(
  token: string,
  wanted: {
    readonly iss: string;
    readonly aud: string;
    readonly client_id: string;
    readonly resource: string;
  },
): void {
  const { iss, aud, client_id, resource } = claimsOf(token, 'the ID-JAG');
  const [sole, another] = [aud].flat();
  if (decodeProtectedHeader(token).typ !== 'oauth-id-jag+jwt' || iss !== wanted.iss)
    throw new OauthRefused(`${WHAT} gave a JWT that is no ID-JAG of its own`);
  if (sole !== wanted.aud || another !== undefined)
    throw new OauthRefused('the ID-JAG is for another authorization server');
  if (client_id !== wanted.client_id) throw new OauthRefused('the ID-JAG is for another client');
  if (resource !== undefined && ![resource].flat().every((each) => each === wanted.resource))
    throw new OauthRefused('the ID-JAG is for another resource');
}

function claimsOf(token: string, what: string): JWTPayload {
  try {
    return decodeJwt(token);
  } catch {
    throw new OauthRefused(`${what} is not a JWT`);
  }
}
