// The token endpoint (RFC 6749 §3.2, RFC 8707): form, grant, client, resource, token, in this order.
import { audienceOf, issueAccessToken } from './access-token.ts';
import { authenticateClient, CLIENT_PARAMETERS, inactive } from './client-authentication.ts';
import type { Grant, TokenContext } from './grants/grant.ts';
import { grants } from './grants/table.ts';
import type { Resource } from './identity.ts';
import { failure, type OAuthFailure } from './oauth-error.ts';

const RESOURCES: readonly Resource[] = ['v1', 'mcp'];
/** Parameters of every token request. */
const PARAMETERS: readonly string[] = ['grant_type', 'resource', 'scope', ...CLIENT_PARAMETERS];

/** Body of a successful answer (RFC 6749 §5.1). */
export interface TokenAnswer {
  readonly access_token: string;
  readonly token_type: 'Bearer';
  readonly expires_in: number;
}

export type Exchanged =
  | { readonly ok: true; readonly tokens: TokenAnswer; readonly client_id: string }
  | OAuthFailure;

/** Answers one token request. */
export async function exchangeToken(form: URLSearchParams, context: TokenContext): Promise<Exchanged> {
  const grant = grantOf(form);
  if ('error' in grant) return grant;
  const authenticated = await authenticateClient(form, grant.client, context);
  if (!authenticated.ok) return authenticated;
  const { issuer, now_ms } = context;
  const resource = resourceOf(form.get('resource'), issuer);
  if (resource === null) {
    const known = RESOURCES.map((each) => audienceOf(issuer, each)).join(' or ');
    return failure('invalid_target', `Expected resource ${known}.`);
  }
  if ((form.get('scope') ?? '') !== '') {
    return failure('invalid_scope', 'There are no scopes here: policy decides each call. Leave scope away.');
  }
  const granted = await grant.grant({ form, client: authenticated.client, resource }, context);
  if (!granted.ok) return granted;
  const { principal, run_id } = granted;
  if (principal.status !== 'active') return inactive(principal);
  const { token, expires_in_s } = issueAccessToken(context.key, {
    ...{ issuer, principal, resource, run_id, now_ms },
    token_id: context.newTokenId(),
    ttl_ms: context.bundle.settings.tokens.access_ttl_ms,
  });
  const tokens: TokenAnswer = { access_token: token, token_type: 'Bearer', expires_in: expires_in_s };
  return { ok: true, tokens, client_id: principal.name };
}

/** RFC 6749 §3.2: no parameter twice; unknown ones must be ignored there. */
function grantOf(form: URLSearchParams): Grant | OAuthFailure {
  const name = form.get('grant_type') ?? '';
  const grant = grants.find((each) => each.name === name);
  const known = [...PARAMETERS, ...(grant?.parameters ?? [])];
  const twice = known.find((each) => form.getAll(each).length > 1);
  if (twice !== undefined) {
    return failure('invalid_request', `Expected the parameter ${twice} once, got it twice.`);
  }
  if (name === '') return failure('invalid_request', 'Expected grant_type in a form-encoded body.');
  const expected = grants.map((each) => each.name).join(' or ');
  return grant ?? failure('unsupported_grant_type', `Expected grant_type ${expected}.`);
}

function resourceOf(resource: string | null, issuer: string): Resource | null {
  if (resource === null) return 'v1';
  return RESOURCES.find((each) => audienceOf(issuer, each) === resource) ?? null;
}
