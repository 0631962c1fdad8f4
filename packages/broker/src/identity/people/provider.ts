// Log-in at an OpenID Connect provider: authorization code with PKCE, state, nonce, and the issuer of the answer.
import { createPrivateKey, type webcrypto } from 'node:crypto';
import { isJsonObject, type JsonObject } from '@countersign/contract/json.ts';
import {
  type AuthorizationServer,
  allowInsecureRequests,
  authorizationCodeGrantRequest,
  type Client,
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  calculatePKCECodeChallenge,
  customFetch,
  generateRandomCodeVerifier,
  generateRandomNonce,
  generateRandomState,
  getValidatedIdTokenClaims,
  None,
  PrivateKeyJwt,
  processAuthorizationCodeResponse,
  processDiscoveryResponse,
  processUserInfoResponse,
  userInfoRequest,
  validateApplicationLevelSignature,
  validateAuthResponse,
} from 'oauth4webapi';
import type { LoginSettings } from '#bundle/login-settings.ts';

/** The way out, checked and bounded; given by main.ts. */
export interface ProviderNetwork {
  /** Why an address is not used, or null. */
  refuse(url: string): string | null;
  send(
    url: string,
    what: {
      readonly method: string;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: string | URLSearchParams | null | undefined;
    },
  ): Promise<Response>;
  close(): Promise<void>;
}

/** What is kept between leaving for the provider and coming back; never shown. */
export interface ProviderPending {
  readonly issuer: string;
  readonly client_id: string;
  readonly redirect_uri: string;
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
}

/** Why a log-in failed, for the log: nothing in it is a secret, and nothing of it is shown. */
export class ProviderRefused extends Error {
  override readonly name = 'ProviderRefused';
}

export interface Provider {
  /** Where the browser goes, and what to keep for its return. Throws ProviderRefused. */
  begin(
    login: LoginSettings,
    redirect_uri: string,
  ): Promise<{ readonly url: string; readonly pending: ProviderPending }>;
  /** What the provider says about who came back: claims of its ID token, and of user information for what that lacks. */
  finish(login: LoginSettings, pending: ProviderPending, callback: URLSearchParams): Promise<ProviderClaims>;
}

export interface ProviderClaims extends JsonObject {
  readonly iss: string;
  readonly sub: string;
}

export interface ProviderDeps {
  readonly network: (allowPrivate: LoginSettings['allow_private']) => ProviderNetwork;
  readonly readSecret: (reference: string) => Promise<string>;
}

/** Every step asks the provider anew for its metadata: log-ins are rare, and what it says now is what counts. */
export function createProvider({ network, readSecret }: ProviderDeps): Provider {
  const through = async <T>(login: LoginSettings, work: (net: ProviderNetwork) => Promise<T>): Promise<T> => {
    const net = network(login.allow_private);
    try {
      return await work(net);
    } catch (error) {
      if (error instanceof ProviderRefused) throw error;
      // Messages of the library quote no secrets; causes could.
      throw new ProviderRefused((error as Error).message);
    } finally {
      await net.close();
    }
  };
  return {
    begin: (login, redirect_uri) =>
      through(login, async (net) => {
        const as = await discover(login, net);
        if (as.authorization_endpoint === undefined)
          throw new ProviderRefused('the provider has no authorization endpoint');
        const pending: ProviderPending = {
          ...{ issuer: login.issuer, client_id: login.client_id, redirect_uri },
          ...{ state: generateRandomState(), nonce: generateRandomNonce() },
          verifier: generateRandomCodeVerifier(),
        };
        const url = new URL(as.authorization_endpoint);
        const parameters = {
          response_type: 'code',
          client_id: login.client_id,
          redirect_uri,
          scope: login.scopes.join(' '),
          state: pending.state,
          nonce: pending.nonce,
          code_challenge: await calculatePKCECodeChallenge(pending.verifier),
          code_challenge_method: 'S256',
        };
        for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
        return { url: url.href, pending };
      }),
    finish: (login, pending, callback) =>
      through(login, async (net) => {
        // INVARIANT: an answer is worked on only with the provider that the browser was sent to.
        if (pending.issuer !== login.issuer || pending.client_id !== login.client_id)
          throw new ProviderRefused('the settings changed meanwhile');
        const as = await discover(login, net);
        const client: Client = { client_id: login.client_id };
        // RFC 9207: an answer of another issuer, or of none where ours always names itself, goes no further.
        const checked = validateAuthResponse(as, client, callback, pending.state);
        const send = sending(net);
        const response = await authorizationCodeGrantRequest(
          as,
          client,
          await authentication(login, as, readSecret),
          checked,
          pending.redirect_uri,
          pending.verifier,
          send,
        );
        const tokens = await processAuthorizationCodeResponse(as, client, response, {
          expectedNonce: pending.nonce,
          requireIdToken: true,
        });
        // TLS vouches for the token endpoint already; the signature holds where TLS ends before us.
        await validateApplicationLevelSignature(as, response, send);
        const claims = getValidatedIdTokenClaims(tokens) as unknown as ProviderClaims;
        if (claims[login.groups] !== undefined || as.userinfo_endpoint === undefined) return claims;
        const told = await processUserInfoResponse(
          as,
          client,
          claims.sub,
          await userInfoRequest(as, client, tokens.access_token, send),
        );
        return { ...(told as JsonObject), ...claims };
      }),
  };
}

async function discover(login: LoginSettings, net: ProviderNetwork): Promise<AuthorizationServer> {
  const url = `${login.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const refused = net.refuse(url);
  if (refused !== null) throw new ProviderRefused(`the provider's address is not used: ${refused}`);
  const response = await net.send(url, {
    method: 'GET',
    headers: { accept: 'application/json' },
    body: undefined,
  });
  const as = await processDiscoveryResponse(new URL(login.issuer), response);
  for (const [name, value] of Object.entries(as)) {
    if (!(name.endsWith('_endpoint') || name === 'jwks_uri') || typeof value !== 'string') continue;
    const why = net.refuse(value);
    if (why !== null) throw new ProviderRefused(`${name} of the provider is not used: ${why}`);
  }
  return as;
}

/** The library sends through the checked network, which itself refuses plain http to anything but loopback. */
function sending(net: ProviderNetwork) {
  return {
    [customFetch]: (url: string, init: { method: string; headers: Record<string, string>; body?: unknown }) =>
      net.send(url, {
        method: init.method,
        headers: init.headers,
        body: init.body as string | URLSearchParams | undefined,
      }),
    [allowInsecureRequests]: true,
  };
}

async function authentication(
  login: LoginSettings,
  as: AuthorizationServer,
  readSecret: ProviderDeps['readSecret'],
): Promise<ClientAuth> {
  if (login.client_key !== null) return PrivateKeyJwt(await signingKey(await readSecret(login.client_key)));
  if (login.client_secret === null) return None();
  const secret = (await readSecret(login.client_secret)).replace(/\r?\n$/, '');
  const methods = as.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
  return methods.includes('client_secret_basic') ? ClientSecretBasic(secret) : ClientSecretPost(secret);
}

const ALGORITHMS: Readonly<
  Record<string, webcrypto.EcKeyImportParams | webcrypto.RsaHashedImportParams | string>
> = {
  ec: { name: 'ECDSA', namedCurve: 'P-256' },
  ed25519: 'Ed25519',
  rsa: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
};

async function signingKey(pem: string): Promise<webcrypto.CryptoKey> {
  const key = createPrivateKey(pem);
  const algorithm = ALGORITHMS[key.asymmetricKeyType ?? ''];
  if (algorithm === undefined) throw new ProviderRefused('client_key is no P-256, Ed25519 or RSA key');
  return key.toCryptoKey(algorithm, false, ['sign']);
}

/** The groups that the claim lists; one group as plain text counts too. */
export function groupsIn(claims: JsonObject, name: string): readonly string[] {
  const listed = claims[name];
  if (typeof listed === 'string') return [listed];
  // Some providers list objects with a name (SCIM-like).
  if (!Array.isArray(listed)) return [];
  return listed.flatMap((each) => {
    if (typeof each === 'string') return [each];
    return isJsonObject(each) && typeof each['name'] === 'string' ? [each['name']] : [];
  });
}
