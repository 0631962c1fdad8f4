// The tokens of all connectors that use OAuth: handed out for calls, renewed by this one writer, never seen by an agent.
import { canonicalize } from '@countersign/contract/canonical.ts';
import type { Json } from '@countersign/contract/json.ts';
import type { Credential, CredentialProvider, Refusal } from '#rules/credential.ts';
import type { ReadSecret } from '../provider.ts';
import { readChallenge } from './challenge.ts';
import { asRecord, type Grant, readGrant, type Tokens } from './grant.ts';
import type { OauthNetwork } from './network.ts';
import { actsForItself, type OauthOptions, oauthOptions } from './options.ts';
import type { ProofKey } from './proof-key.ts';
import type { Renewal, Renewed } from './renew-tokens.ts';
import { seededGrant } from './seeded-grant.ts';
import type { Vault } from './vault.ts';

export interface OauthWorld {
  readonly vault: Vault;
  /** Built for what a connector says about private addresses. */
  readonly network: (allowPrivate: OauthOptions['allow_private']) => OauthNetwork;
  readonly readSecret: ReadSecret;
  readonly clock: { now(): number };
  readonly log: { warn(message: string, fields: Readonly<Record<string, string>>): void };
}

/** A token is renewed this long before its end, so that a call does not outlive it. */
const EARLY_MS = 30_000;
/** A token that is refused at this age was refused from the start: another one will not fare better. */
const YOUNG_MS = 60_000;
/** After a renewal that failed the authorization server is left alone for this long. */
const PAUSE_MS = 5_000;
/** The proof was refused, not the token: a token is not given up for a clock that is wrong. */
const PROOF_ERRORS = ['invalid_dpop_proof', 'use_dpop_nonce'];
/** How often a good grant is compared with what a login may have handed in. */
const LOOK_MS = 2_000;

/** One for a broker. Sessions outlive bundles, so that a renewal has one writer whatever is activated meanwhile. */
export class OauthTokens {
  readonly #world: OauthWorld;
  readonly #sessions = new Map<string, Session>();

  constructor(world: OauthWorld) {
    this.#world = world;
  }

  /** Provides for one connector with the options of one bundle. */
  provider(connector: string, options: Json): CredentialProvider {
    const session = this.#session(connector);
    const read = oauthOptions(options);
    const key = canonicalize(options);
    return {
      mint: async ({ scope }) => {
        const live = await session.live(read, key).catch((error: Error) => session.unkept(error));
        return typeof live === 'string'
          ? { ok: false, reason: live }
          : { ok: true, credential: { ...live, scope } };
      },
      refused: (refusal) => session.refused(refusal, read).catch((error: Error) => session.unkept(error)),
    };
  }

  #session(connector: string): Session {
    let session = this.#sessions.get(connector);
    if (session === undefined) {
      session = new Session(connector, this.#world);
      this.#sessions.set(connector, session);
    }
    return session;
  }
}

type Live = Omit<Credential, 'scope'>;

/** One connector's grant in memory. All that changes it runs one after the other. */
class Session {
  readonly #connector: string;
  readonly #world: OauthWorld;
  #key = '';
  #grant: Grant | null = null;
  /** A grant that could not be written yet. Only it holds a refresh token that is still good. */
  #unsaved: Grant | null = null;
  /** Of what the broker holds itself; kept in memory only. */
  #own: Tokens | null = null;
  #live: { readonly of: string; readonly live: Live } | null = null;
  #looked_at_ms = Number.NEGATIVE_INFINITY;
  #paused: { readonly until_ms: number; readonly reason: string } | null = null;
  /** What the tokens are bound to, and where it was read. */
  #proof: { readonly reference: string; readonly key: ProofKey } | null = null;
  /** Id of tokens that the server refused: renewed before they are used again. */
  #stale: string | null = null;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(connector: string, world: OauthWorld) {
    this.#connector = connector;
    this.#world = world;
  }

  /** A credential, or why there is none. The usual case waits for nobody. */
  async live(options: OauthOptions, key: string): Promise<Live | string> {
    const held = key === this.#key ? (this.#own ?? this.#grant?.tokens ?? null) : null;
    const now = this.#world.clock.now();
    if (held !== null && this.#isGood(held, now) && now - this.#looked_at_ms < LOOK_MS)
      return this.#liveOf(held);
    return this.#inTurn(() => this.#obtain(options, key));
  }

  /** Answers what to say instead of what the server said, or null to leave it at that. */
  refused(
    { status, challenge: header, authorization }: Refusal,
    options: OauthOptions,
  ): Promise<string | null> {
    return this.#inTurn(async () => {
      const tokens = this.#own ?? this.#grant?.tokens ?? null;
      // Another token was renewed or logged in meanwhile: the next call has it.
      if (tokens === null || authorization !== authorizationOf(tokens))
        return 'the token was renewed meanwhile';
      const challenge = readChallenge(header, isBound(tokens) ? 'dpop' : 'bearer');
      if (isBound(tokens) && PROOF_ERRORS.includes(challenge.error ?? '')) {
        this.#say('the server refuses the proofs of the key', { error: challenge.error ?? '' });
        return null;
      }
      if (status === 401) return this.#refusedToken(tokens);
      if (challenge.error !== 'insufficient_scope' || this.#grant === null) return null;
      await this.#stepUp(challenge.scopes ?? [], this.#grant, options);
      return null;
    });
  }

  /** The vault failed: nothing happens with tokens that cannot be kept. */
  unkept(error: Error): string {
    this.#say('tokens cannot be read or kept', { reason: error.message });
    return `connector ${this.#connector}: its tokens cannot be read or kept`;
  }

  async #refusedToken(tokens: Tokens): Promise<string> {
    const now = this.#world.clock.now();
    const young = now - tokens.obtained_at_ms < YOUNG_MS;
    if (this.#grant === null) {
      if (young) this.#pause(now + YOUNG_MS, 'the server refuses the tokens that it was to take');
      this.#own = null;
      return 'the server refused the token';
    }
    if (young || tokens.refresh_token === null) return this.#end('the server refused the token');
    this.#stale = tokens.id;
    return 'the server refused the token; it is renewed before the next call';
  }

  /** Remembers what the server wants beyond what was granted, for the next login. Nobody is asked twice for the same. */
  async #stepUp(scopes: readonly string[], grant: Grant, options: OauthOptions): Promise<void> {
    const known = new Set([...grant.asked, ...grant.tokens.scopes, ...grant.wanted]);
    const missing = scopes.filter((scope) => !known.has(scope));
    if (missing.length === 0)
      return this.#say('the server wants scopes that a login has asked for already', {
        scopes: scopes.join(' '),
      });
    if (options.scopes !== null)
      return this.#say('the server wants scopes that the connector file does not list', {
        scopes: missing.join(' '),
      });
    await this.#keep({ ...grant, wanted: [...grant.wanted, ...missing] });
    this.#say('the server wants more scopes: log in again', { scopes: missing.join(' ') });
  }

  async #obtain(options: OauthOptions, key: string): Promise<Live | string> {
    const now = this.#world.clock.now();
    if (key !== this.#key) this.#own = null;
    this.#key = key;
    this.#looked_at_ms = now;
    if (actsForItself(options)) return this.#obtainOwn(options, now);
    if (this.#unsaved !== null) await this.#keep(this.#unsaved);
    const kept = readGrant(await this.#world.vault.take(this.#connector));
    if (kept !== null && kept.tokens.id !== this.#grant?.tokens.id)
      [this.#stale, this.#paused] = [null, null];
    this.#grant = kept?.server === options.server && issuerHolds(kept, options) ? kept : null;
    if (options.seed !== null) {
      const seeded = await seededGrant(options, this.#grant, this.#world.readSecret);
      if (typeof seeded === 'string') return seeded;
      this.#grant = seeded;
    }
    if (this.#grant === null) return this.#loginFirst('nobody has authorised it yet');
    if (this.#grant.refused) return this.#loginFirst('its authorisation is not accepted any more');
    const { tokens } = this.#grant;
    const proof = await this.#proofKey(options, tokens.jkt ?? null);
    if (typeof proof === 'string') return `connector ${this.#connector}: ${proof}`;
    if ((proof?.jkt ?? null) !== (tokens.jkt ?? null))
      return this.#loginFirst('it was authorised for another proof key than the file names');
    if (this.#isGood(tokens, now)) return this.#liveOf(tokens);
    if (tokens.refresh_token === null)
      return this.#end('its token has ended, and there is none to renew it with');
    const renewed = await this.#renew(options, proof, (renewing, renewal) =>
      renewing.refreshGrant(this.#grant!, renewal),
    );
    if (renewed.ok) {
      // INVARIANT: a rotated refresh token is on disk before its access token is used.
      await this.#keep({ ...this.#grant, tokens: renewed.tokens });
      return this.#liveOf(renewed.tokens);
    }
    if (renewed.dead) return this.#end(renewed.reason);
    // The authorization server is away: what is left of the old token is still good.
    const usable = this.#stale !== tokens.id && (tokens.expires_at_ms ?? 0) > now;
    return usable ? this.#liveOf(tokens) : renewed.reason;
  }

  async #obtainOwn(options: OauthOptions, now: number): Promise<Live | string> {
    this.#grant = null;
    if (this.#own !== null && this.#isGood(this.#own, now)) return this.#liveOf(this.#own);
    // A key of the file may have been replaced: the tokens to come are bound to what it is now.
    const held = options.dpop === 'memory' ? (this.#proof?.key.jkt ?? null) : null;
    const proof = await this.#proofKey(options, held);
    if (typeof proof === 'string') return `connector ${this.#connector}: ${proof}`;
    const renewed = await this.#renew(options, proof, (renewing, renewal) => renewing.grantByItself(renewal));
    if (!renewed.ok) return renewed.reason;
    this.#own = renewed.tokens;
    return this.#liveOf(renewed.tokens);
  }

  /** The key of the file, read again where it is not the `wanted` one; null for bearer tokens; or why there is none. */
  async #proofKey({ dpop }: OauthOptions, wanted: string | null): Promise<ProofKey | string | null> {
    if (dpop === null) {
      this.#proof = null;
      return null;
    }
    const held = this.#proof;
    if (held?.reference === dpop && held.key.jkt === wanted) return held.key;
    const { proofKeyOf } = await import('./renew-tokens.ts');
    const key = await proofKeyOf(dpop, this.#world.readSecret, this.#world.clock);
    if (typeof key === 'string') return key;
    // The same key again: what is held knows the nonces of the servers.
    this.#proof = { reference: dpop, key: held?.key.jkt === key.jkt ? held.key : key };
    return this.#proof.key;
  }

  /** The library that speaks OAuth is loaded when the first connector needs it. */
  async #renew(
    options: OauthOptions,
    proof: ProofKey | null,
    by: (renewing: typeof import('./renew-tokens.ts'), renewal: Renewal) => Promise<Renewed>,
  ): Promise<Renewed> {
    const { clock, readSecret } = this.#world;
    const now_ms = clock.now();
    if (this.#paused !== null && this.#paused.until_ms > now_ms)
      return { ok: false, reason: this.#paused.reason, dead: false };
    const network = this.#world.network(options.allow_private);
    try {
      const renewal = { options, network, readSecret, now_ms, proof };
      const renewed = await by(await import('./renew-tokens.ts'), renewal);
      if (renewed.ok) [this.#paused, this.#stale] = [null, null];
      else this.#pause(now_ms + PAUSE_MS, renewed.reason);
      return renewed;
    } finally {
      await network.close();
    }
  }

  #pause(until_ms: number, reason: string): void {
    this.#paused = { until_ms, reason };
    this.#say('no fresh token', { reason });
  }

  /** This grant is over: only a person can give another. */
  async #end(reason: string): Promise<string> {
    if (this.#grant !== null) await this.#keep({ ...this.#grant, refused: true });
    this.#say('a grant has ended: log in again', { reason });
    return this.#loginFirst(reason);
  }

  async #keep(grant: Grant): Promise<void> {
    this.#unsaved = grant;
    await this.#world.vault.write(this.#connector, asRecord(grant));
    [this.#grant, this.#unsaved] = [grant, null];
  }

  #loginFirst(why: string): string {
    if (this.#grant?.seed !== undefined)
      return `connector ${this.#connector}: ${why}; put a new refresh token behind its reference`;
    return `connector ${this.#connector}: ${why}; run countersign connectors login ${this.#connector}`;
  }

  #isGood(tokens: Tokens, now: number): boolean {
    if (tokens.id === this.#stale || this.#grant?.refused === true) return false;
    return tokens.expires_at_ms === null || tokens.expires_at_ms - now > EARLY_MS;
  }

  /** The same object for the same token: what redacts by its secrets is built once. */
  #liveOf(tokens: Tokens): Live {
    if (this.#live?.of !== tokens.id)
      this.#live = { of: tokens.id, live: liveOf(this.#connector, tokens, this.#proof?.key ?? null) };
    return this.#live.live;
  }

  #say(message: string, fields: Readonly<Record<string, string>>): void {
    this.#world.log.warn(message, { connector: this.#connector, ...fields });
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(run);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}

function issuerHolds(grant: Grant, { issuer }: OauthOptions): boolean {
  return issuer === null || new URL(grant.issuer).href === new URL(issuer).href;
}

function isBound({ jkt }: Tokens): boolean {
  return jkt != null;
}

/** RFC 9449 §7.1: a bound token goes under its own scheme, so that no server takes it for a bearer token. */
function authorizationOf(tokens: Tokens): string {
  return `${isBound(tokens) ? 'DPoP' : 'Bearer'} ${tokens.access_token}`;
}

function liveOf(connector: string, tokens: Tokens, key: ProofKey | null): Live {
  const { id, access_token, refresh_token, expires_at_ms, scopes } = tokens;
  return {
    id: `oauth:${connector}:${id}`,
    expires_at_ms,
    granted: scopes,
    inject: { headers: { authorization: authorizationOf(tokens) } },
    ...(key === null ? {} : { proof: key.proofOf(access_token) }),
    secrets: refresh_token === null ? [access_token] : [access_token, refresh_token],
  };
}
