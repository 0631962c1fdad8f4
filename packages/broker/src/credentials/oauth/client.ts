// Who the broker is to an authorization server: a client given in the file, by metadata document, or registered now.
import {
  type AuthorizationServer,
  allowInsecureRequests,
  type ClientAuth,
  ClientSecretPost,
  customFetch,
  dynamicClientRegistrationRequest,
  None,
  PrivateKeyJwt,
  processDynamicClientRegistrationResponse,
} from 'oauth4webapi';
import type { ReadSecret } from '../provider.ts';
import type { AuthMethod } from './auth-method.ts';
import type { OauthNetwork } from './network.ts';
import type { GivenClient } from './options.ts';
import { secretAt, signingKey } from './referred-secret.ts';
import { OauthRefused, step } from './refusal.ts';

/** A client as a grant remembers it. It belongs to the issuer that gave it and is shown to no other (SEP-2352). */
export interface OauthClient {
  readonly id: string;
  readonly method: AuthMethod;
  /** Given by dynamic registration; a secret of the file is read anew by its reference. */
  readonly secret: string | null;
  /** True when it was registered by the broker, for this redirect. */
  readonly registered: boolean;
}

export interface ClientFacts {
  /** The client of the connector's file. */
  readonly given: GivenClient | null;
  readonly as: AuthorizationServer;
  /** Null: nobody is sent to a browser, so the broker registers no client by itself. */
  readonly redirect_uri: string | null;
  /** A client that an earlier grant of this issuer registered for this redirect. */
  readonly before: OauthClient | null;
}

/** Throws `OauthRefused`. The order is that of MCP authorization, "Client Registration Approaches". */
export async function chooseClient(facts: ClientFacts, network: OauthNetwork): Promise<OauthClient> {
  const { given, as, redirect_uri, before } = facts;
  if (given !== null && !isDocument(given.id)) {
    const can: readonly AuthMethod[] =
      given.key !== null
        ? ['private_key_jwt']
        : given.secret !== null
          ? ['client_secret_basic', 'client_secret_post']
          : ['none'];
    return { id: given.id, method: chooseMethod(can, as), secret: null, registered: false };
  }
  if (given !== null && as.client_id_metadata_document_supported === true)
    return { id: given.id, method: 'none', secret: null, registered: false };
  if (before?.registered === true) return before;
  if (redirect_uri === null)
    throw new OauthRefused(
      'the authorization server reads no client metadata documents: register a client and name its id in the file',
    );
  if (as.registration_endpoint === undefined)
    throw new OauthRefused(
      'the authorization server registers no clients by itself: register one and name it in the file as client.id',
    );
  return register(as, redirect_uri, network);
}

function isDocument(id: string): boolean {
  return id.startsWith('https://');
}

function chooseMethod(can: readonly AuthMethod[], as: AuthorizationServer): AuthMethod {
  // RFC 8414 §2: a server that says nothing takes client_secret_basic; one that lists no `none` may take it all the same.
  const known = as.token_endpoint_auth_methods_supported;
  const method = can.find((each) => known === undefined || known.includes(each));
  if (method !== undefined) return method;
  if (can.includes('none')) return 'none';
  throw new OauthRefused(`the authorization server takes none of ${can.join(', ')} at its token endpoint`);
}

async function register(
  as: AuthorizationServer,
  redirect_uri: string,
  network: OauthNetwork,
): Promise<OauthClient> {
  // A broker keeps a secret well, so it asks for one where the server gives one.
  const asked = chooseMethod(['client_secret_basic', 'client_secret_post', 'none'], as);
  const what = 'client registration';
  const answer = await step(what, () =>
    dynamicClientRegistrationRequest(
      as,
      {
        client_name: 'Countersign',
        redirect_uris: [redirect_uri],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: asked,
        application_type: 'native',
      },
      through(network),
    ),
  );
  const registered = await step(what, async () =>
    processDynamicClientRegistrationResponse(await withExpiry(answer)),
  );
  const { client_id: id, client_secret, token_endpoint_auth_method: told } = registered;
  const method = told ?? asked;
  if (method !== 'none' && method !== 'client_secret_basic' && method !== 'client_secret_post')
    throw new OauthRefused(
      'the authorization server registered the broker for a method that it did not ask for',
    );
  const secret = method === 'none' ? null : typeof client_secret === 'string' ? client_secret : null;
  if (method !== 'none' && secret === null)
    throw new OauthRefused('the authorization server registered the broker without the secret that it wants');
  return { id, method, secret, registered: true };
}

/** Many servers leave out `client_secret_expires_at`, which RFC 7591 §3.2.1 wants beside a secret: then it never does. */
async function withExpiry(answer: Response): Promise<Response> {
  const text = await answer.text();
  let body = text;
  try {
    const json = JSON.parse(text) as Record<string, unknown>;
    if (typeof json['client_secret'] === 'string' && json['client_secret_expires_at'] === undefined)
      body = JSON.stringify({ ...json, client_secret_expires_at: 0 });
  } catch {
    // Not JSON: the library says so.
  }
  return new Response(body, { status: answer.status, headers: answer.headers });
}

/**
 * How the client proves itself at the token endpoint. `key_id`: name of its key in an assertion's header. Throws
 * `OauthRefused` when its secret cannot be read.
 */
export async function authenticationOf(
  client: OauthClient,
  given: GivenClient | null,
  readSecret: ReadSecret,
  key_id?: string,
): Promise<ClientAuth> {
  if (client.method === 'none') return None();
  const reference = client.method === 'private_key_jwt' ? given?.key : given?.secret;
  const secret = client.secret ?? (reference == null ? null : await secretAt(reference, readSecret));
  if (secret === null) throw new OauthRefused('the client has no secret any more: log in again');
  if (client.method === 'private_key_jwt') {
    const key = signingKey(secret, reference!);
    return PrivateKeyJwt(key_id === undefined ? key : { key, kid: key_id });
  }
  return client.method === 'client_secret_post' ? ClientSecretPost(secret) : basic(secret);
}

/**
 * RFC 6749 §2.3.1: both parts form-encoded. Encoded as WHATWG forms are, where letters, digits, `*`, `-`, `.` and
 * `_` stay: servers that do not decode understand them too.
 */
function basic(secret: string): ClientAuth {
  return (_as, client, _body, headers) => {
    const pair = `${formEncoded(client.client_id)}:${formEncoded(secret)}`;
    headers.set('authorization', `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`);
  };
}

function formEncoded(value: string): string {
  return new URLSearchParams([['', value]]).toString().slice(1);
}

/** Options with which the library sends every request through the checked network. */
export function through(network: OauthNetwork) {
  return {
    [customFetch]: (url: string, init: { method: string; headers: Record<string, string>; body?: unknown }) =>
      network.send(url, {
        method: init.method,
        headers: init.headers,
        body: init.body as string | URLSearchParams | undefined,
      }),
    // The network itself refuses plain http to anything but loopback, also where the library is not asked.
    [allowInsecureRequests]: true,
  };
}
