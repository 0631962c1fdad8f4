// Metadata of the token endpoint (RFC 8414) and of the two resources (RFC 9728): what is there, and nothing else.
import { DETAIL_TYPES } from '#identity/authorization-details.ts';
import { PROOF_ALGORITHMS } from '#identity/challenge.ts';
import { jwtBearer } from '#identity/grants/jwt-bearer.ts';
import { grants } from '#identity/grants/table.ts';
import type { Resource } from '#identity/identity.ts';
import { algorithms } from '#identity/jwk.ts';
import type { Reach } from './route.ts';

const AUTHENTICATION = { methods: ['private_key_jwt'], algs: Object.keys(algorithms) } as const;

/** RFC 8414 §2 as the identity assertion grant extends it: which profiles of jwt-bearer are taken. */
const ID_JAG_PROFILE = 'urn:ietf:params:oauth:grant-profile:id-jag';

export function serverMetadata({ tokens, world }: Reach) {
  const issuer = tokens.issuer();
  const { issuers } = world.bundle().settings;
  // Assertions of clients are ours or those of issuers that are trusted now.
  const foreign = issuers.filter(({ preset }) => preset !== 'id-jag').flatMap((each) => each.algorithms);
  const algs = [...new Set([...AUTHENTICATION.algs, ...foreign])];
  const profiles = issuers.some(({ preset }) => preset === 'id-jag') ? [ID_JAG_PROFILE] : [];
  return {
    issuer,
    // Nothing is there: no grant type of ours uses it (RFC 8414 §2). Official MCP clients refuse metadata without it.
    authorization_endpoint: `${issuer}/oauth/authorize`,
    token_endpoint: `${issuer}/oauth/token`,
    revocation_endpoint: `${issuer}/oauth/revoke`,
    introspection_endpoint: `${issuer}/oauth/introspect`,
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    grant_types_supported: grants
      .filter((grant) => grant !== jwtBearer || issuers.length > 0)
      .map((grant) => grant.name),
    ...(profiles.length === 0 ? {} : { authorization_grant_profiles_supported: profiles }),
    response_types_supported: [],
    authorization_details_types_supported: Object.values(DETAIL_TYPES),
    dpop_signing_alg_values_supported: PROOF_ALGORITHMS,
    token_endpoint_auth_methods_supported: AUTHENTICATION.methods,
    token_endpoint_auth_signing_alg_values_supported: algs,
    revocation_endpoint_auth_methods_supported: AUTHENTICATION.methods,
    revocation_endpoint_auth_signing_alg_values_supported: algs,
    introspection_endpoint_auth_methods_supported: AUTHENTICATION.methods,
    introspection_endpoint_auth_signing_alg_values_supported: algs,
  };
}

export function resourceMetadata({ tokens, world }: Reach, resource: Resource, resource_name: string) {
  const issuer = tokens.issuer();
  // Of agents. People and orchestrators may still come with a bearer token at the HTTP API.
  const bound = resource === 'mcp' && world.bundle().settings.tokens.dpop === 'required';
  return {
    resource: `${issuer}/${resource}`,
    authorization_servers: [issuer],
    bearer_methods_supported: ['header'],
    authorization_details_types_supported: Object.values(DETAIL_TYPES),
    dpop_signing_alg_values_supported: PROOF_ALGORITHMS,
    ...(bound ? { dpop_bound_access_tokens_required: true } : {}),
    resource_name,
  };
}
