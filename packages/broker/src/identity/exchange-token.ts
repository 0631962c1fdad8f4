// The token endpoint (RFC 6749 §3.2, RFC 8707): form, grant, proof, client, resource, token, in this order.
import type { JsonObject } from '@countersign/contract/json.ts';
import { type Narrowing, narrow } from '#rules/narrowing.ts';
import { audienceOf, issueAccessToken } from './access-token.ts';
import { type DetailsAsked, detailsOf, readDetails, readScope, scopeOf } from './authorization-details.ts';
import { authenticateClient, CLIENT_PARAMETERS, inactive } from './client-authentication.ts';
import { DELEGATION_TYPE, issueDelegation } from './delegation-token.ts';
import { dpopRequired } from './dpop/required.ts';
import type { Grant, Granted, TokenContext } from './grants/grant.ts';
import { ACCESS_TYPE } from './grants/own-subjects.ts';
import { grants } from './grants/table.ts';
import type { Resource } from './identity.ts';
import { failure, type OAuthFailure } from './oauth-error.ts';
import type { Proved } from './present.ts';

const RESOURCES: readonly Resource[] = ['v1', 'mcp'];
/** Parameters of every token request. */
const PARAMETERS: readonly string[] = [
  ...['grant_type', 'resource', 'scope', 'authorization_details'],
  ...CLIENT_PARAMETERS,
];

/** Body of a successful answer (RFC 6749 §5.1, RFC 8693 §2.2.1, RFC 9396 §7). */
export interface TokenAnswer {
  readonly access_token: string;
  /** `N_A` (RFC 8693): it is no access token, and opens nothing but the token endpoint. */
  readonly token_type: 'Bearer' | 'DPoP' | 'N_A';
  readonly expires_in: number;
  readonly issued_token_type?: string;
  /** The tools of a token that was asked for with a scope. */
  readonly scope?: string;
  readonly authorization_details?: readonly JsonObject[];
}

export type Exchanged =
  | { readonly ok: true; readonly tokens: TokenAnswer; readonly client_id: string }
  | OAuthFailure;

/** `proved`: the proof of possession that came with the request, if any (RFC 9449 §5). Answers one token request. */
export async function exchangeToken(
  form: URLSearchParams,
  proved: Proved | null,
  context: TokenContext,
): Promise<Exchanged> {
  const grant = grantOf(form);
  if ('error' in grant) return grant;
  // Before the client's assertion is used up: it may come again with the nonce.
  if (proved?.ok === false) return unproved(proved);
  const authenticated = await authenticateClient(form, grant.client, context);
  if (!authenticated.ok) return authenticated;
  const resource = resourceOf(form.get('resource'), context.issuer);
  if (resource === null) {
    const known = RESOURCES.map((each) => audienceOf(context.issuer, each)).join(' or ');
    return failure('invalid_target', `Expected resource ${known}.`);
  }
  const asked = askedOf(form);
  if (asked !== null && 'error' in asked) return asked;
  const jkt = proved?.jkt ?? null;
  const granted = await grant.grant({ form, client: authenticated.client, resource, jkt }, context);
  if (!granted.ok) return granted;
  if (granted.principal.status !== 'active') return inactive(granted.principal);
  if (jkt === null && mustBeBound(granted, context)) {
    return failure('invalid_request', 'Expected a DPoP proof: this token must be bound to a key (RFC 9449).');
  }
  return issue({ granted, asked, resource, jkt, scoped: (form.get('scope') ?? '') !== '' }, context);
}

interface Issuing {
  readonly granted: Granted;
  readonly asked: DetailsAsked | null;
  readonly resource: Resource;
  readonly jkt: string | null;
  readonly scoped: boolean;
}

/** The granted token, narrowed to what was asked for, never wider and never longer than what it is made from. */
function issue({ granted, asked, resource, jkt, scoped }: Issuing, context: TokenContext): Exchanged {
  const { principal, run_id, derived_from = [], delegate_to } = granted;
  const { issuer, key, now_ms } = context;
  const token_id = context.newTokenId();
  const { access_ttl_ms, one_call_ttl_ms } = context.bundle.settings.tokens;
  const oneCall = asked?.args_digest != null;
  const expires_at_ms = Math.min(
    now_ms + access_ttl_ms,
    now_ms + (oneCall ? one_call_ttl_ms : access_ttl_ms),
    now_ms + (asked?.ttl_ms ?? access_ttl_ms),
    granted.expires_at_ms ?? Number.POSITIVE_INFINITY,
  );
  const narrowed = narrowedTo(granted, asked, { token_id, expires_at_ms });
  if (narrowed !== null && 'error' in narrowed) return narrowed;
  const details = narrowed === null ? [] : detailsOf(narrowed);
  const common = {
    ...(details.length === 0 ? {} : { authorization_details: details }),
    ...(scoped ? { scope: narrowed!.tools!.map(scopeOf).join(' ') } : {}),
  };
  if (delegate_to !== undefined) {
    if (oneCall) return failure('invalid_authorization_details', 'A token for one call is not handed on.');
    const access_token = issueDelegation(key, issuer, {
      ...{ tenant: principal.tenant, agent: principal.name, may_act: delegate_to, run_id, narrowed },
      ...{ bound: granted.bound === true, token_id, derived_from, issued_at_ms: now_ms, expires_at_ms },
    });
    const expires_in = Math.floor((expires_at_ms - now_ms) / 1000);
    const given = {
      access_token,
      expires_in,
      token_type: 'N_A',
      issued_token_type: DELEGATION_TYPE,
    } as const;
    return { ok: true, tokens: { ...given, ...common }, client_id: principal.name };
  }
  const { token, expires_in_s } = issueAccessToken(key, {
    ...{ issuer, principal, resource, run_id, now_ms, token_id, narrowed, jkt, derived_from },
    ttl_ms: expires_at_ms - now_ms,
  });
  const tokens: TokenAnswer = {
    access_token: token,
    token_type: jkt === null ? 'Bearer' : 'DPoP',
    expires_in: expires_in_s,
    ...(granted.exchanged ? { issued_token_type: ACCESS_TYPE } : {}),
    ...common,
  };
  return { ok: true, tokens, client_id: narrowed?.act[0] ?? principal.name };
}

/** What the request asks to be narrowed to; null where it asks for nothing of the kind. */
function askedOf(form: URLSearchParams): DetailsAsked | OAuthFailure | null {
  const scope = form.get('scope') ?? '';
  const details = form.get('authorization_details');
  if (details === null && scope === '') return null;
  if (details !== null && scope !== '') {
    return failure('invalid_request', 'Expected scope or authorization_details, got both.');
  }
  if (details !== null) {
    const read = readDetails(details);
    return typeof read === 'string' ? failure('invalid_authorization_details', read) : read;
  }
  const read = readScope(scope);
  if (read !== null) return read;
  return failure(
    'invalid_scope',
    'Expected names of tools as tool:<name>, or no scope at all: policy decides each call.',
  );
}

function narrowedTo(
  { principal, narrowed = null }: Granted,
  asked: DetailsAsked | null,
  token: { readonly token_id: string; readonly expires_at_ms: number },
): Narrowing | OAuthFailure | null {
  if (asked === null) return narrowed;
  if (principal.kind !== 'agent') {
    return failure('invalid_authorization_details', 'Only tokens of agents are narrowed.');
  }
  const part = narrow(narrowed, asked);
  if (part === null) {
    const detail = 'Expected a part of what the subject token carries, got more.';
    return failure('invalid_authorization_details', detail);
  }
  const { args_digest } = asked;
  const call = args_digest === null ? null : { args_digest, ...token };
  return { act: narrowed?.act ?? [], ...part, call };
}

/** A token is bound where its agent or the one that acts for it says so, or what it is made from was bound. */
function mustBeBound({ principal, narrowed, bound }: Granted, { bundle }: TokenContext): boolean {
  if (bound === true) return true;
  const holder = narrowed?.act[0];
  return [principal, holder === undefined ? undefined : bundle.agents.get(holder)].some(
    (each) => each !== undefined && dpopRequired(each, bundle),
  );
}

function unproved({ why, log }: Proved & { ok: false }): OAuthFailure {
  return why === 'use_dpop_nonce'
    ? failure(why, 'The DPoP proof must carry the nonce of the header DPoP-Nonce.', log)
    : failure(why, 'The DPoP proof is not valid for this request.', log);
}

/** RFC 6749 §3.2: no parameter twice; unknown ones must be ignored there. */
function grantOf(form: URLSearchParams): Grant | OAuthFailure {
  const name = form.get('grant_type') ?? '';
  const grant = grants.find((each) => each.name === name);
  const twice = repeated(form, [...PARAMETERS, ...(grant?.parameters ?? [])]);
  if (twice !== null) return twice;
  if (name === '') return failure('invalid_request', 'Expected grant_type in a form-encoded body.');
  const expected = grants.map((each) => each.name).join(' or ');
  return grant ?? failure('unsupported_grant_type', `Expected grant_type ${expected}.`);
}

/** The failure of a form in which one of the names stands twice, or null. */
export function repeated(form: URLSearchParams, names: readonly string[]): OAuthFailure | null {
  const twice = names.find((each) => form.getAll(each).length > 1);
  if (twice === undefined) return null;
  return failure('invalid_request', `Expected the parameter ${twice} once, got it twice.`);
}

function resourceOf(resource: string | null, issuer: string): Resource | null {
  if (resource === null) return 'v1';
  return RESOURCES.find((each) => audienceOf(issuer, each) === resource) ?? null;
}
