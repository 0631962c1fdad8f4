// What the federation tests share: a token endpoint that believes issuers, over a real store and the guarded network.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Bundle } from '../../../src/bundle/bundle.ts';
import { issuersOf } from '../../../src/bundle/issuers.ts';
import { tenantLog } from '../../../src/call/logs.ts';
import { createDiscoveredNetwork } from '../../../src/connectors/discovered-network.ts';
import { createIdentity, type TokenIssuer } from '../../../src/identity/create-identity.ts';
import type { Exchanged } from '../../../src/identity/exchange-token.ts';
import { Federation } from '../../../src/identity/federation/federation.ts';
import type { Identity } from '../../../src/identity/identity.ts';
import { signingKey } from '../../../src/identity/signing-key.ts';
import type { ClaimRules, TrustedIssuer } from '../../../src/rules/federation.ts';
import type { Agent, Person, Principal } from '../../../src/rules/principal.ts';
import { readEntries } from '../../../src/store/ledger.ts';
import { openSqlite, type SqliteStore } from '../../../src/store/sqlite.ts';
import { ISSUER, NOW_MS } from '../token-door.ts';

export const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** Entries of `issuers` as countersign.yaml would compile them; throws on a mistake. */
export function issuers(...entries: readonly JsonObject[]): readonly TrustedIssuer[] {
  return issuersOf(entries, { tenants: ['default'], context: ['user'], verified: [] }, (pointer, message) => {
    throw new Error(`${pointer}: ${message}`);
  });
}

/** An agent that the issuers know by these claims, with keys of ours if given. */
export function workload(
  name: string,
  known: readonly (readonly [issuer: string, claims: ClaimRules])[],
  more: Partial<Agent> = {},
): Agent {
  return {
    ...{ kind: 'agent', name, tenant: 'default', status: 'active', owner: 'olga', purpose: 'test', keys: [] },
    ...{ roles: [], mode: 'act', identities: known.map(([issuer, claims]) => ({ issuer, claims })) },
    ...more,
  };
}

export interface LedgerEntry {
  readonly kind: string;
  readonly facts: JsonObject;
  readonly payload: JsonObject;
}

export interface FederationDoor {
  readonly identity: Identity & TokenIssuer;
  readonly store: SqliteStore;
  /** Turn it to move time. */
  now_ms: number;
  /** Change them as a new bundle would. */
  principals: readonly Principal[];
  issuers: readonly TrustedIssuer[];
  readonly logged: string[];
  /** A token request with the token as `assertion`. */
  grant(token: string, more?: Readonly<Record<string, string>>): Promise<Exchanged>;
  /** A token request with the token as `client_assertion`. */
  prove(token: string, more?: Readonly<Record<string, string>>): Promise<Exchanged>;
  exchange(form: Readonly<Record<string, string>>, proof?: string): Promise<Exchanged>;
  ledger(): Promise<LedgerEntry[]>;
}

export async function openFederationDoor(
  t: TestContext,
  trusted: readonly TrustedIssuer[],
  principals: readonly Principal[],
): Promise<FederationDoor> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-federation-'));
  const store = await openSqlite(join(folder, 'store.db'), { now_ms: NOW_MS });
  t.after(async () => {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  // One bundle until something changes, as a broker has.
  let made: readonly [readonly Principal[], readonly TrustedIssuer[], Bundle] | null = null;
  const bundle = (): Bundle => {
    if (made?.[0] !== door.principals || made[1] !== door.issuers)
      made = [door.principals, door.issuers, bundleOf(door.principals, door.issuers)];
    return made[2];
  };
  let turned: { readonly now_ms: number } = { now_ms: NOW_MS };
  const clock = { now: () => turned.now_ms };
  const random = (bytes: number) => randomBytes(bytes);
  const logged: string[] = [];
  const log = {
    warn: (message: string, fields = {}) => void logged.push(`${message} ${JSON.stringify(fields)}`),
  };
  const identity = createIdentity({
    ...{ keyFile: '', key: signingKey(generateKeyPairSync('ed25519').privateKey), issuer: () => ISSUER },
    ...{ bundle, store, clock, random },
    federation: new Federation({ network: createDiscoveredNetwork, clock, log, random, tenantLog }),
  });
  const exchange = (form: Readonly<Record<string, string>>, proof?: string) =>
    identity.exchange(new URLSearchParams(form), proof);
  const door: FederationDoor = {
    ...{ identity, store, now_ms: NOW_MS, principals, issuers: trusted, logged, exchange },
    grant: (assertion, more = {}) => exchange({ grant_type: GRANT, assertion, ...more }),
    prove: (client_assertion, more = {}) =>
      exchange({
        ...{ grant_type: 'client_credentials', client_assertion_type: ASSERTION_TYPE, client_assertion },
        ...more,
      }),
    async ledger() {
      const entries = await store.read((tx) => readEntries(tx, tenantLog('default'), 0, 1_000));
      return entries.map(({ entry, body }) => {
        const { kind, facts } = JSON.parse(entry) as { kind: string; facts: JsonObject };
        return { kind, facts, payload: JSON.parse(body ?? 'null') as JsonObject };
      });
    },
  };
  turned = door;
  return door;
}

function bundleOf(principals: readonly Principal[], trusted: readonly TrustedIssuer[]): Bundle {
  const named = <P extends Principal>(of: readonly P[]) => new Map(of.map((each) => [each.name, each]));
  return {
    settings: {
      issuers: trusted,
      tokens: { access_ttl_ms: 300_000, run_ttl_ms: 3_600_000, one_call_ttl_ms: 60_000, dpop: 'optional' },
      runs: { ambient_idle_ms: 1_800_000 },
    },
    principals: named(principals),
    agents: named(principals.filter((each): each is Agent => each.kind === 'agent')),
    people: named(principals.filter((each): each is Person => each.kind === 'person')),
    checkContext: (_key: string, value: unknown) =>
      String(value).length <= 64 ? [] : [{ pointer: '', message: 'too long' }],
  } as unknown as Bundle;
}

/** The claims of an access token of ours. */
export function accessClaims(exchanged: Exchanged): JsonObject {
  if (!exchanged.ok) throw new Error(exchanged.why);
  return JSON.parse(Buffer.from(exchanged.tokens.access_token.split('.')[1]!, 'base64url').toString());
}
