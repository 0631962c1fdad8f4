// Client authentication (RFC 7521 §4.2): the one step in which a client of the token endpoint proves who it is.
import type { Principal } from '#rules/principal.ts';
import { verifyAssertion } from './client-assertion.ts';
import { proveWorkload } from './federation/prove-workload.ts';
import type { TokenContext } from './grants/grant.ts';
import { type DecodedJws, decodeJws } from './jws.ts';
import { failure, type OAuthFailure } from './oauth-error.ts';

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** What a client must send to authenticate; a request without any of them comes from nobody. */
export const CLIENT_PARAMETERS: readonly string[] = [
  'client_id',
  'client_assertion_type',
  'client_assertion',
];

export type Proved =
  | { readonly ok: true; readonly principal: Principal }
  /** `why` is for the log alone: the caller gets the same words for every cause. */
  | { readonly ok: false; readonly why: string };

/** One kind of JWT that clients may authenticate with. */
interface ClientMethod {
  /** Whether a token is of this kind, by what it claims; nothing of it is proved yet. */
  readonly recognises: (token: DecodedJws, context: TokenContext) => boolean;
  /** The principal that the JWT proves, whatever its status. */
  readonly prove: (assertion: string, client_id: string | null, context: TokenContext) => Promise<Proved>;
}

/** The first that recognises the JWT has the only say. */
const methods: readonly ClientMethod[] = [
  {
    // Workload identity (RFC 7523 §2.2): signed by an issuer that the bundle trusts. No name of ours is an issuer's.
    recognises: (token, { federation, bundle }) => federation?.recognises(token, bundle) ?? false,
    prove: async (assertion, client_id, context) =>
      context.federation === null
        ? { ok: false, why: 'no foreign token is believed' }
        : proveWorkload(assertion, client_id, 'client_assertion', context.federation, context),
  },
  {
    // private_key_jwt (RFC 7523): signed with a key that the bundle lists.
    recognises: () => true,
    prove: (assertion, client_id, { issuer, bundle, store, now_ms }) =>
      verifyAssertion(assertion, client_id, {
        ...{ bundle, store, now_ms },
        audiences: [issuer, `${issuer}/oauth/token`],
      }),
  },
];

export type ClientAuthentication = { readonly ok: true; readonly client: Principal | null } | OAuthFailure;

/**
 * The active client that the form proves; null where it offers no proof at all and the grant can do without. A client
 * that is not active is told so only once it has proved who it is.
 */
export async function authenticateClient(
  form: URLSearchParams,
  need: 'required' | 'optional',
  context: TokenContext,
): Promise<ClientAuthentication> {
  const assertion = form.get('client_assertion');
  if (need === 'optional' && assertion === null && !form.has('client_assertion_type')) {
    return { ok: true, client: null };
  }
  if (form.get('client_assertion_type') !== ASSERTION_TYPE || assertion === null) {
    return invalidClient('no client assertion');
  }
  const token = decodeJws(assertion);
  const method = token === null ? undefined : methods.find((each) => each.recognises(token, context));
  if (method === undefined) return invalidClient('not a compact JWS of two JSON objects');
  const proved = await method.prove(assertion, form.get('client_id'), context);
  if (!proved.ok) return invalidClient(proved.why);
  const { principal } = proved;
  return principal.status === 'active' ? { ok: true, client: principal } : inactive(principal);
}

/** For a principal that has proved who it is. */
export function inactive({ name, status }: Principal): OAuthFailure {
  return failure('unauthorized_client', `"${name}" is ${status}; ask its owner.`);
}

/** One text for every way in which a client can fail to prove itself. */
function invalidClient(why: string): OAuthFailure {
  return failure('invalid_client', 'The client could not be authenticated by its assertion.', why);
}
