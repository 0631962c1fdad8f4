// The token endpoint (RFC 6749 §4.4, RFC 8707): a client assertion becomes an access token for one resource.
import type { Bundle } from '#bundle/bundle.ts';
import type { Principal } from '#rules/principal.ts';
import { getRun } from '#store/runs.ts';
import type { Store } from '#store/store.ts';
import { audienceOf, issueAccessToken } from './access-token.ts';
import { verifyAssertion } from './client-assertion.ts';
import type { Resource } from './identity.ts';
import { verifyRunToken } from './run-token.ts';
import type { SigningKey } from './signing-key.ts';

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const RESOURCES: readonly Resource[] = ['v1', 'mcp'];
const PARAMETERS: ReadonlySet<string> = new Set([
  'grant_type',
  'client_id',
  'client_assertion_type',
  'client_assertion',
  'resource',
  'run_token',
  'scope',
]);

export type OAuthErrorCode =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'invalid_scope'
  | 'invalid_target'
  | 'temporarily_unavailable'
  | 'unauthorized_client'
  | 'unsupported_grant_type';

/** Body of a successful answer (RFC 6749 §5.1). */
export interface TokenAnswer {
  readonly access_token: string;
  readonly token_type: 'Bearer';
  readonly expires_in: number;
}

/** Body of an error (RFC 6749 §5.2). */
export interface OAuthError {
  readonly error: OAuthErrorCode;
  readonly error_description: string;
}

export type Exchanged =
  | { readonly ok: true; readonly tokens: TokenAnswer; readonly client_id: string }
  | { readonly ok: false; readonly error: OAuthError; readonly why: string };

export interface ExchangeDeps {
  readonly key: SigningKey;
  readonly issuer: string;
  readonly bundle: Bundle;
  readonly store: Store;
  readonly now_ms: number;
  readonly newTokenId: () => string;
}

/** Answers one token request. `why` of an error is for the log; it is never shown to the caller. */
export async function exchangeToken(form: URLSearchParams, deps: ExchangeDeps): Promise<Exchanged> {
  const malformed = checkForm(form);
  if (malformed !== null) return malformed;
  const assertion = form.get('client_assertion');
  if (form.get('client_assertion_type') !== ASSERTION_TYPE || assertion === null) {
    return invalidClient('no client assertion');
  }
  const { bundle, store, now_ms, issuer } = deps;
  const audiences = [issuer, `${issuer}/oauth/token`];
  const asserted = await verifyAssertion(assertion, form.get('client_id'), {
    audiences,
    bundle,
    store,
    now_ms,
  });
  if (!asserted.ok) return invalidClient(asserted.why);

  // From here on the caller has proved who it is, and may be told what is wrong.
  const { principal } = asserted;
  if (principal.status !== 'active') {
    return failure('unauthorized_client', `"${principal.name}" is ${principal.status}; ask its owner.`);
  }
  const resource = resourceOf(form.get('resource'), issuer);
  if (resource === null) {
    const known = RESOURCES.map((each) => audienceOf(issuer, each)).join(' or ');
    return failure('invalid_target', `Expected resource ${known}.`);
  }
  if ((form.get('scope') ?? '') !== '') {
    return failure('invalid_scope', 'There are no scopes here: policy decides each call. Leave scope away.');
  }
  const run = await runOf(form.get('run_token'), principal, deps);
  if (!run.ok) return run.failed;
  const { token, expires_in_s } = issueAccessToken(deps.key, {
    issuer,
    principal,
    resource,
    run_id: run.run_id,
    token_id: deps.newTokenId(),
    now_ms,
    ttl_ms: bundle.settings.tokens.access_ttl_ms,
  });
  const tokens: TokenAnswer = { access_token: token, token_type: 'Bearer', expires_in: expires_in_s };
  return { ok: true, tokens, client_id: principal.name };
}

/** One text for every way in which a client can fail to prove itself. */
function invalidClient(why: string): Exchanged {
  return failure('invalid_client', 'The client could not be authenticated with private_key_jwt.', why);
}

function failure(error: OAuthErrorCode, description: string, why = description): Exchanged & { ok: false } {
  return { ok: false, error: { error, error_description: description }, why };
}

/** RFC 6749 §3.2: no parameter twice. Unknown ones must be ignored there; a misspelt one of ours is named. */
function checkForm(form: URLSearchParams): Exchanged | null {
  const seen = new Set<string>();
  for (const name of form.keys()) {
    if (!PARAMETERS.has(name)) continue;
    if (seen.has(name))
      return failure('invalid_request', `Expected the parameter ${name} once, got it twice.`);
    seen.add(name);
  }
  const grant = form.get('grant_type');
  if (grant === null || grant === '') {
    return failure('invalid_request', 'Expected grant_type=client_credentials in a form-encoded body.');
  }
  if (grant !== 'client_credentials') {
    return failure('unsupported_grant_type', 'Expected grant_type=client_credentials.');
  }
  return null;
}

function resourceOf(resource: string | null, issuer: string): Resource | null {
  if (resource === null) return 'v1';
  return RESOURCES.find((each) => audienceOf(issuer, each) === resource) ?? null;
}

type RunOf =
  | { readonly ok: true; readonly run_id: string | null }
  | { readonly ok: false; readonly failed: Exchanged };

/** The run that the token is for: named by a run token that we signed for this very agent, and still open. */
async function runOf(run_token: string | null, principal: Principal, deps: ExchangeDeps): Promise<RunOf> {
  if (run_token === null) return { ok: true, run_id: null };
  const refused = (why: string): RunOf => ({
    ok: false,
    failed: failure('invalid_grant', 'The run token is not valid for this agent, or its run has ended.', why),
  });
  if (principal.kind !== 'agent') return refused('not an agent');
  const grant = verifyRunToken(deps.key, deps.issuer, run_token, deps.now_ms);
  if (grant === null) return refused('not a run token of ours, or expired');
  if (grant.agent !== principal.name || grant.tenant !== principal.tenant) return refused('of another agent');
  const run = await deps.store.read((tx) => getRun(tx, grant.tenant, grant.run_id));
  if (run === undefined || run.agent !== principal.name) return refused('no such run');
  if (run.ended_at_ms !== null) return refused('the run has ended');
  return { ok: true, run_id: run.id };
}
