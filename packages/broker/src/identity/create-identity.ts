// Puts the identity room together: the signing key, the check of tokens, and the token endpoint behind one value.
import type { JsonObject } from '@countersign/contract/json.ts';
import { problem } from '@countersign/contract/problem.ts';
import type { Bundle } from '#bundle/bundle.ts';
import { inactiveProblem, type Principal } from '#rules/principal.ts';
import type { Store } from '#store/store.ts';
import { AccessTokenVerifier, audienceOf } from './access-token.ts';
import { type Exchanged, exchangeToken } from './exchange-token.ts';
import type { Federation } from './federation/federation.ts';
import type { Authentication, Identity } from './identity.ts';
import { issueRunToken } from './run-token.ts';
import { openSigningKey, type SigningKey } from './signing-key.ts';

export interface IdentityOptions {
  /** Path of the signing key; made there at first start. Ignored when `key` is given. */
  readonly keyFile: string;
  readonly key?: SigningKey;
  /** Base of all audiences, without a trailing slash. Asked at every use: known only once an address is bound. */
  readonly issuer: () => string;
  readonly bundle: () => Bundle;
  readonly store: Store;
  readonly clock: { now(): number };
  readonly random: (bytes: number) => Uint8Array;
  /** Without it no foreign token is believed. */
  readonly federation?: Federation;
}

/** What the token endpoint and the metadata routes need. */
export interface TokenIssuer {
  issuer(): string;
  /** Answers one form-encoded token request. Throws StoreUnavailable when replays cannot be ruled out. */
  exchange(form: URLSearchParams): Promise<Exchanged>;
  /** Public keys that verify our tokens (RFC 7517). */
  jwks(): JsonObject;
}

/** Throws KeyFileError when the signing key is missing its privacy. */
export function createIdentity(options: IdentityOptions): Identity & TokenIssuer {
  const { issuer, bundle, store, clock, random } = options;
  const key = options.key ?? openSigningKey(options.keyFile);
  const verifier = new AccessTokenVerifier(key);
  const newTokenId = (): string => Buffer.from(random(16)).toString('base64url');
  return {
    issuer,
    authenticate(bearer, resource) {
      const claims = bearer === null ? null : verifier.verify(bearer, clock.now());
      if (claims === null) return UNAUTHENTICATED;
      const base = issuer();
      if (claims.issuer !== base || claims.audience !== audienceOf(base, resource)) return UNAUTHENTICATED;
      const principal = bundle().principals.get(claims.subject);
      // The bundle in force has the last word: a token names who, never what that one may do.
      if (principal === undefined || principal.tenant !== claims.tenant || principal.kind !== claims.kind) {
        return UNAUTHENTICATED;
      }
      return active(principal, claims.run_id, claims.token_id);
    },
    recallAgent(tenant, name) {
      const agent = bundle().agents.get(name);
      return agent === undefined || agent.tenant !== tenant
        ? UNAUTHENTICATED
        : active(agent, null, 'resumed');
    },
    issueRunToken(run) {
      const now_ms = clock.now();
      const expires_at_ms = now_ms + bundle().settings.tokens.run_ttl_ms;
      const grant = { tenant: run.tenant, agent: run.agent, run_id: run.id, expires_at_ms };
      return { token: issueRunToken(key, issuer(), grant, newTokenId(), now_ms), expires_at_ms };
    },
    exchange: (form) =>
      exchangeToken(form, {
        key,
        issuer: issuer(),
        bundle: bundle(),
        store,
        now_ms: clock.now(),
        newTokenId,
        federation: options.federation ?? null,
      }),
    jwks: () => ({ keys: [key.publicJwk] }),
  };
}

/** One text for every cause: a stranger learns nothing from how it failed. */
const UNAUTHENTICATED: Authentication = {
  ok: false,
  problem: problem(
    'unauthenticated',
    'Expected a valid access token of this broker for this resource, as Authorization: Bearer.',
  ),
};

function active(principal: Principal, run_id: string | null, token_id: string): Authentication {
  if (principal.status === 'active') return { ok: true, caller: { principal, run_id, token_id } };
  return {
    ok: false,
    principal,
    problem: inactiveProblem(principal),
  };
}
