// Puts the identity room together: the signing keys, the check of tokens, and the OAuth endpoints behind one value.
import type { JsonObject } from '@countersign/contract/json.ts';
import { problem } from '@countersign/contract/problem.ts';
import type { Bundle } from '#bundle/bundle.ts';
import type { Narrowing } from '#rules/narrowing.ts';
import { type Agent, agentThrough, inactiveProblem, type Principal } from '#rules/principal.ts';
import type { Revoked } from '#store/revocations.ts';
import type { Store } from '#store/store.ts';
import { type AccessClaims, AccessTokenVerifier, audienceOf } from './access-token.ts';
import { challengeOf, stepUpOf } from './challenge.ts';
import { Nonces } from './dpop/nonces.ts';
import { ProofReader, REPLAY_MS } from './dpop/proof.ts';
import { Replays } from './dpop/replays.ts';
import { dpopRequired } from './dpop/required.ts';
import { type Exchanged, exchangeToken } from './exchange-token.ts';
import type { Federation } from './federation/federation.ts';
import type { TokenContext } from './grants/grant.ts';
import type { Authentication, Identity, Presentation } from './identity.ts';
import { bearer } from './identity.ts';
import { findRevoked, type Introspected, introspect, type Revoking, revocableOf } from './inspect-token.ts';
import { KeyRing } from './key-ring.ts';
import { checkProof, type PossessionDeps, type Proved, readPresented } from './present.ts';
import { Revocations } from './revocations.ts';
import { issueRunToken } from './run-token.ts';
import type { SigningKey } from './signing-key.ts';

export interface IdentityOptions {
  /** Path of the first signing key; made there at first start. Ignored when `key` is given. */
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

/** What the OAuth endpoints and the metadata routes need. */
export interface TokenIssuer {
  issuer(): string;
  /**
   * Answers one form-encoded token request; `proof`: its header DPoP. Throws StoreUnavailable when replays cannot be
   * ruled out.
   */
  exchange(form: URLSearchParams, proof?: string): Promise<Exchanged>;
  /** Answers one introspection request (RFC 7662). */
  introspect(form: URLSearchParams): Promise<Introspected>;
  /** The token that a revocation request is about (RFC 7009); nothing is revoked yet. */
  findRevoked(form: URLSearchParams): Promise<Revoking>;
  /** The nonce that proofs are to carry (RFC 9449 §8). */
  dpopNonce(): string;
  /** Public keys that verify our tokens (RFC 7517). */
  jwks(): JsonObject;
}

/** What the broker itself does to its tokens and keys. */
export interface TokenKeeper {
  readonly keys: KeyRing;
  /** Takes what is revoked, as the store says. What is remembered of tokens is looked at anew. */
  takeRevoked(revoked: Revoked): void;
  /** A key is gone: nothing that it signed is remembered any more. */
  forgetTokens(): void;
}

const NONCE_SECRET_BYTES = 32;

/** Throws KeyFileError when a signing key is missing its privacy. */
export function createIdentity(options: IdentityOptions): Identity & TokenIssuer & TokenKeeper {
  const { issuer, bundle, store, clock, random } = options;
  const keys = options.key === undefined ? KeyRing.open(options.keyFile) : KeyRing.of(options.key);
  const revocations = new Revocations();
  const verifier = new AccessTokenVerifier(keys, (claims) => revocations.has(revocableOf(claims)));
  const newTokenId = (): string => Buffer.from(random(16)).toString('base64url');
  const startedAt_ms = clock.now();
  const possession = {
    proofs: new ProofReader(),
    nonces: new Nonces(Uint8Array.from(random(NONCE_SECRET_BYTES))),
    // A proof from before the start may have been used at a process that is not there any more to remember it.
    nonceNeeded: (now_ms: number): boolean =>
      bundle().settings.tokens.dpop_nonce || now_ms - startedAt_ms < REPLAY_MS,
  };
  // Apart: what strangers send to the token endpoint must not crowd out proofs at the doors.
  const replays = { tokens: new Replays(REPLAY_MS), doors: new Replays(REPLAY_MS) };
  const depsOf = (kind: keyof typeof replays): PossessionDeps => ({
    ...possession,
    replays: replays[kind],
    now_ms: clock.now(),
  });
  const contextOf = (): TokenContext => ({
    ...{ key: keys, issuer: issuer(), bundle: bundle(), store, now_ms: clock.now(), newTokenId },
    federation: options.federation ?? null,
    verifyAccess: (token) => verifier.verify(token, clock.now()),
    isRevoked: (token) => revocations.has(token),
  });

  const authenticate: Identity['authenticate'] = ({ token, jkt }, resource) => {
    const claims = token === null ? null : verifier.verify(token, clock.now());
    // A bound token without its proof, and a proof beside a token that is not bound to that key (RFC 9449 §7.2).
    if (claims === null || claims.jkt !== jkt) return UNAUTHENTICATED;
    const base = issuer();
    if (claims.issuer !== base || claims.audience !== audienceOf(base, resource)) return UNAUTHENTICATED;
    return principalOf(claims, bundle());
  };

  return {
    issuer,
    keys,
    present(request, resource): Presentation {
      const now_ms = clock.now();
      const read = readPresented(request, issuer(), depsOf('doors'));
      const nonce = ['dpop-nonce', possession.nonces.current(now_ms)];
      if (!read.ok) {
        const challenge = challengeOf(issuer(), resource, read.why, read.scheme);
        const headers = ['www-authenticate', challenge, ...(read.why === 'use_dpop_nonce' ? nonce : [])];
        return { ...UNAUTHENTICATED, presented: bearer(null), headers };
      }
      const { presented, scheme, id } = read;
      const authentication = authenticate(presented, resource);
      if (!authentication.ok && authentication.principal === undefined) {
        const challenge = challengeOf(issuer(), resource, 'invalid_token', scheme);
        return { ...authentication, presented, headers: ['www-authenticate', challenge] };
      }
      if (id === null) return { ...authentication, presented, headers: NO_HEADERS };
      replays.doors.use(id);
      return {
        ...authentication,
        presented,
        headers: bundle().settings.tokens.dpop_nonce ? nonce : NO_HEADERS,
      };
    },
    authenticate,
    recallAgent(tenant, name, narrowed) {
      const agent = bundle().agents.get(name);
      if (agent === undefined || agent.tenant !== tenant) return UNAUTHENTICATED;
      return active(agent, narrowed, { run_id: null, token_id: 'resumed' }, bundle());
    },
    issueRunToken(run) {
      const now_ms = clock.now();
      const expires_at_ms = now_ms + bundle().settings.tokens.run_ttl_ms;
      const grant = { tenant: run.tenant, agent: run.agent, run_id: run.id, expires_at_ms };
      return { token: issueRunToken(keys, issuer(), grant, newTokenId(), now_ms), expires_at_ms };
    },
    stepUp: ({ jkt }, resource, tool) => stepUpOf(issuer(), resource, tool, jkt === null ? 'Bearer' : 'DPoP'),
    exchange(form, proof) {
      let proved: Proved | null = null;
      if (proof !== undefined) {
        const request = { method: 'POST', url: `${issuer()}/oauth/token`, ath: null };
        proved = checkProof(proof, request, depsOf('tokens'));
        if (proved.ok) replays.tokens.use(proved.id);
      }
      return exchangeToken(form, proved, contextOf());
    },
    introspect: (form) => introspect(form, contextOf(), (claims) => principalOf(claims, bundle()).ok),
    findRevoked: (form) => findRevoked(form, contextOf()),
    dpopNonce: () => possession.nonces.current(clock.now()),
    jwks: () => keys.jwks(),
    takeRevoked(revoked) {
      if (revocations.take(revoked)) verifier.forget();
    },
    forgetTokens: () => verifier.forget(),
  };
}

const NO_HEADERS: readonly string[] = [];

/** One text for every cause: a stranger learns nothing from how it failed. */
const UNAUTHENTICATED: Authentication & { ok: false } = {
  ok: false,
  problem: problem(
    'unauthenticated',
    'Expected a valid access token of this broker for this resource, as Authorization: Bearer.',
  ),
};

/** The bundle in force has the last word: a token names who, never what that one may do. */
function principalOf(claims: AccessClaims, bundle: Bundle): Authentication {
  const principal = bundle.principals.get(claims.subject);
  if (principal === undefined || principal.tenant !== claims.tenant || principal.kind !== claims.kind) {
    return UNAUTHENTICATED;
  }
  if (claims.jkt === null && mustBeBound(principal, claims.client, bundle)) return UNAUTHENTICATED;
  return active(principal, claims.narrowed, claims, bundle);
}

/** Also of a token from the time before its agent's file said so. */
function mustBeBound(principal: Principal, client: string, bundle: Bundle): boolean {
  if (dpopRequired(principal, bundle)) return true;
  const holder = client === principal.name ? undefined : bundle.agents.get(client);
  return holder !== undefined && dpopRequired(holder, bundle);
}

function active(
  principal: Principal,
  narrowed: Narrowing | null,
  { run_id, token_id }: { readonly run_id: string | null; readonly token_id: string },
  bundle: Bundle,
): Authentication {
  if (principal.status !== 'active') return stopped(principal, principal);
  if (narrowed === null) return { ok: true, caller: { principal, run_id, token_id } };
  const hands: Agent[] = [];
  for (const name of narrowed.act) {
    const hand = bundle.agents.get(name);
    if (hand === undefined || hand.tenant !== principal.tenant) return UNAUTHENTICATED;
    hands.push(hand);
  }
  // INVARIANT: only tokens of agents are narrowed.
  const held = agentThrough(principal as Agent, narrowed, hands);
  const idle = hands.find((hand) => hand.status !== 'active');
  if (idle !== undefined) return stopped(idle, held);
  return { ok: true, caller: { principal: held, run_id, token_id } };
}

/** `who` is not active, and so `principal` is not served through it. */
function stopped(who: Principal, principal: Principal): Authentication {
  return {
    ok: false,
    principal,
    problem: inactiveProblem(who),
  };
}
