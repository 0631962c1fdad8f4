// The OAuth endpoints: tokens, introspection, revocation. Forms in, and errors as OAuth clients understand them.
import type { JsonObject } from '@countersign/contract/json.ts';
import { DETAIL_TYPES } from '#identity/authorization-details.ts';
import { grants } from '#identity/grants/table.ts';
import type { OAuthFailure } from '#identity/oauth-error.ts';
import type { Answer, Asking, Route } from './route.ts';

const parameter = { type: 'string' } as const;
const clientProperties = {
  client_id: parameter,
  client_assertion_type: { const: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' },
  client_assertion: parameter,
} satisfies Record<string, JsonObject>;

const tokenRoute: Route = {
  id: 'exchangeToken',
  method: 'POST',
  path: '/oauth/token',
  summary:
    'OAuth 2.0 token endpoint; clients authenticate with private_key_jwt or as workloads. Errors are RFC 6749 §5.2.',
  who: 'anyone',
  headers: { dpop: 'RFC 9449: a proof of the key that the token is to be bound to.' },
  body: {
    form: {
      type: 'object',
      required: ['grant_type'],
      properties: {
        grant_type: { enum: grants.map((grant) => grant.name) },
        ...clientProperties,
        resource: { ...parameter, description: 'RFC 8707: `<base>/v1` (default) or `<base>/mcp`.' },
        run_token: { ...parameter, description: 'The run that an orchestrator opened for this agent.' },
        scope: { ...parameter, description: '`tool:<name>` each: the token carries these tools alone.' },
        authorization_details: {
          ...parameter,
          description: `RFC 9396, one of: \`{"type":"${DETAIL_TYPES.tools}","tools":[…],"resources":[…],"expires_in":60}\`, \`{"type":"${DETAIL_TYPES.call}","tool":"…","args_digest":"sha256:…"}\`.`,
        },
        assertion: {
          ...parameter,
          description: 'RFC 7523: a token of a trusted issuer about the workload, or an ID-JAG.',
        },
        subject_token: { ...parameter, description: 'RFC 8693: the token to be exchanged.' },
        subject_token_type: parameter,
        requested_actor: {
          ...parameter,
          description: 'Name of the agent that is to act for this one: it exchanges what is answered.',
        },
      },
    },
  },
  answers: { 200: 'TokenAnswer', 400: 'OAuthError', 401: 'OAuthError' },
  async handle(asking) {
    const { reach, headers } = asking;
    const proof = headers.dpop as string | undefined;
    const exchanged = await reach.tokens.exchange(formOf(asking), proof);
    const nonce = { 'dpop-nonce': reach.tokens.dpopNonce() };
    if (!exchanged.ok) {
      const answer = failed(exchanged, 'no token given', asking);
      return exchanged.error.error === 'use_dpop_nonce' ? { ...answer, headers: nonce } : answer;
    }
    const due = proof !== undefined && reach.world.bundle().settings.tokens.dpop_nonce;
    return { status: 200, body: exchanged.tokens, ...(due ? { headers: nonce } : {}) };
  },
};

const aboutToken: JsonObject = {
  type: 'object',
  required: ['token', 'client_assertion_type', 'client_assertion'],
  properties: { token: parameter, token_type_hint: parameter, ...clientProperties },
};

export const oauthRoutes: readonly Route[] = [
  tokenRoute,
  {
    id: 'introspectToken',
    method: 'POST',
    path: '/oauth/introspect',
    summary: 'RFC 7662, for whom the token concerns, and for operators and admins of its tenant.',
    who: 'anyone',
    body: { form: aboutToken },
    answers: { 200: 'Metadata', 400: 'OAuthError', 401: 'OAuthError' },
    async handle(asking) {
      const told = await asking.reach.tokens.introspect(formOf(asking));
      return told.ok ? { status: 200, body: told.body } : failed(told, 'no introspection', asking);
    },
  },
  {
    id: 'revokeToken',
    method: 'POST',
    path: '/oauth/revoke',
    summary: 'RFC 7009: a token, and all that was made from it, is worthless from now on.',
    who: 'anyone',
    body: { form: aboutToken },
    answers: { 200: 'Metadata', 400: 'OAuthError', 401: 'OAuthError' },
    async handle(asking) {
      const { deeds, world, tokens } = asking.reach;
      const revoked = await deeds.revokeByForm(world, tokens, formOf(asking));
      return revoked.ok ? { status: 200, body: {} } : failed(revoked, 'nothing revoked', asking);
    },
  },
];

function formOf({ body }: Asking): URLSearchParams {
  return body instanceof URLSearchParams ? body : new URLSearchParams();
}

function failed({ error, why }: OAuthFailure, what: string, { reach }: Asking): Answer {
  reach.world.log.info(what, { error: error.error, why });
  return { status: error.error === 'invalid_client' ? 401 : 400, body: error };
}
