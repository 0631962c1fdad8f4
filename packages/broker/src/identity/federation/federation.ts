// Foreign tokens at our doors: which are ours to judge, what they prove, and the record of each that was accepted.
import { digestOf } from '@countersign/contract/digest.ts';
import { newId } from '@countersign/contract/ids.ts';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Bundle } from '#bundle/bundle.ts';
import type { Agent, Principal } from '#rules/principal.ts';
import { useAssertion } from '#store/assertions.ts';
import { appendEntry } from '#store/ledger.ts';
import { openTriggeredRun } from '#store/runs.ts';
import type { Store } from '#store/store.ts';
import type { WriteTx } from '#store/tx.ts';
import type { DecodedJws } from '../jws.ts';
import { issuerOf } from './check-token.ts';
import { KeySets, type KeySetsOptions } from './key-sets.ts';
import { type ForeignToken, type Verified, verifyForeign } from './verify-foreign.ts';

export interface FederationOptions extends KeySetsOptions {
  /** Name of the ledger's log of a tenant. */
  readonly tenantLog: (tenant: string) => string;
  readonly random: (bytes: number) => Uint8Array;
}

/** How a foreign token came: as the client's own proof, as a grant, or as the subject of an exchange. */
export type ForeignUse = 'client_assertion' | 'assertion' | 'subject_token';

export interface ForeignContext {
  readonly bundle: Bundle;
  /** The broker's own issuer. */
  readonly issuer: string;
  readonly store: Store;
  readonly now_ms: number;
}

export interface Acceptance {
  readonly token: ForeignToken;
  readonly principal: Principal;
  readonly use: ForeignUse;
}

export interface GrantAcceptance {
  readonly token: ForeignToken;
  /** Who authenticated. */
  readonly client: Agent;
  /** What the run is bound to; empty: no run is opened for it. */
  readonly bound: JsonObject;
}

/** Enough of a digest to tell the users of one agent apart. */
const DIGEST_CHARACTERS = 32;

export class Federation {
  readonly #options: FederationOptions;
  readonly #keySets: KeySets;

  constructor(options: FederationOptions) {
    this.#options = options;
    this.#keySets = new KeySets(options);
  }

  /** Whether an issuer of the bundle would answer for the token; nothing of it is proved yet. */
  recognises(token: DecodedJws, bundle: Bundle): boolean {
    return issuerOf(token, bundle.settings.issuers) !== null;
  }

  /** The token, if it holds; it is spent by `accept` only, so that nobody spends what was refused for other reasons. */
  verify(text: string, { bundle, issuer, now_ms }: ForeignContext): Promise<Verified> {
    return verifyForeign(text, {
      ...{ issuers: bundle.settings.issuers, broker: issuer, now_ms },
      keySets: this.#keySets,
    });
  }

  /**
   * Marks the token as used and records who came with it, in one unit of work with `also`; false, and nothing done,
   * when it was used before and its issuer's tokens are used once. Throws StoreUnavailable.
   */
  accept(
    { token, principal, use }: Acceptance,
    { store, now_ms }: ForeignContext,
    also: (tx: WriteTx) => Promise<void> = async () => {},
  ): Promise<boolean> {
    const { issuer, use_id, expires_at_ms, subject } = token;
    return store.write(async (tx) => {
      // INVARIANT: issuers are URLs, names of principals are not: their ids never meet in one table.
      const first = !issuer.once || (await useAssertion(tx, issuer.url, use_id, expires_at_ms));
      if (!first) return false;
      await also(tx);
      await appendEntry(tx, {
        log: this.#options.tenantLog(principal.tenant),
        at_ms: now_ms,
        kind: 'identity.accepted',
        facts: { issuer: issuer.name, use, [principal.kind]: principal.name },
        // A subject may be a person's: it can be erased.
        payload: { subject },
      });
      return true;
    });
  }

  /**
   * Accepts an ID-JAG: spends it, records it, and finds or opens the run of its client for its user, where the issuer's
   * entry binds users. Null when it was used before. Throws StoreUnavailable.
   */
  async acceptGrant(
    { token, client, bound }: GrantAcceptance,
    context: ForeignContext,
  ): Promise<{ readonly run_id: string | null } | null> {
    let run_id: string | null = null;
    const acceptance: Acceptance = { token, principal: client, use: 'assertion' };
    const first = await this.accept(acceptance, context, async (tx) => {
      if (Object.keys(bound).length > 0) run_id = await this.#userRun(tx, { token, client, bound }, context);
    });
    return first ? { run_id } : null;
  }

  async #userRun(
    tx: WriteTx,
    { token, client, bound }: GrantAcceptance,
    { bundle, now_ms }: ForeignContext,
  ): Promise<string> {
    const { tenant, name: agent } = client;
    const { runs, tokens } = bundle.settings;
    const { random, tenantLog } = this.#options;
    // One run for each user: what was read for one is not forgotten by asking again for the same.
    const trigger = `id-jag:${token.issuer.name}:${digestOf({ subject: token.subject }).slice(-DIGEST_CHARACTERS)}`;
    const fresh = {
      ...{ id: newId('run', now_ms, random), tenant, agent, ambient: false, trigger, bound },
      ...{ labels: [], labels_version: 0, opened_at_ms: now_ms, last_used_at_ms: now_ms, ended_at_ms: null },
      ...{ parent_run_id: null, model: null },
    };
    const times = { idle_ms: runs.ambient_idle_ms, usable_ms: tokens.run_ttl_ms + tokens.access_ttl_ms };
    const { run, opened } = await openTriggeredRun(tx, fresh, times);
    if (opened) {
      await appendEntry(tx, {
        log: tenantLog(tenant),
        at_ms: now_ms,
        kind: 'run.opened',
        facts: { run: run.id, agent, issuer: token.issuer.name, ambient: false },
        payload: { trigger, bound, model: null },
      });
    }
    return run.id;
  }
}
