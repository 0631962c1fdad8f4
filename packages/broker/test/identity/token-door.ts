// What the identity tests share: an identity over a real store, principals with keys, and a clock to turn.
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Bundle } from '../../src/bundle/bundle.ts';
import { createIdentity, type TokenIssuer, type TokenKeeper } from '../../src/identity/create-identity.ts';
import type { Exchanged } from '../../src/identity/exchange-token.ts';
import type { Identity } from '../../src/identity/identity.ts';
import type { generateKeyPair } from '../../src/identity/keys.ts';
import { type SigningKey, signingKey } from '../../src/identity/signing-key.ts';
import type { Agent, Principal } from '../../src/rules/principal.ts';
import type { Run } from '../../src/rules/run.ts';
import { insertRun } from '../../src/store/runs.ts';
import { openSqlite, type SqliteStore } from '../../src/store/sqlite.ts';

export const ISSUER = 'https://broker.example';
export const NOW_MS = 1_790_000_000_000;
export const NOW_S = NOW_MS / 1000;

export interface TestKey {
  readonly privateKey: KeyObject;
  readonly publicJwk: JsonObject;
}

/** A key of the kind, with a `kid` of its own unless told otherwise. */
export function testKey(
  kind: 'ed25519' | 'p256' | 'rsa2048' | 'rsa1024',
  kid: string | null = kind,
): TestKey {
  const pair =
    kind === 'ed25519'
      ? generateKeyPairSync('ed25519')
      : kind === 'p256'
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : generateKeyPairSync('rsa', { modulusLength: kind === 'rsa2048' ? 2048 : 1024 });
  const jwk = pair.publicKey.export({ format: 'jwk' }) as JsonObject;
  return { privateKey: pair.privateKey, publicJwk: kid === null ? jwk : { ...jwk, kid } };
}

export function privateKeyOf(pair: ReturnType<typeof generateKeyPair>): KeyObject {
  return createPrivateKey(pair.privatePem);
}

export function agentOf(name: string, keys: readonly JsonObject[], more: Partial<Agent> = {}): Agent {
  return {
    ...{ kind: 'agent', name, keys, tenant: 'default', status: 'active', owner: 'olga', purpose: 'test' },
    ...{ roles: [], mode: 'act', identities: [] },
    ...more,
  };
}

export interface TokenDoor {
  readonly identity: Identity & TokenIssuer & TokenKeeper;
  readonly store: SqliteStore;
  readonly key: SigningKey;
  /** Turn it to move time. */
  now_ms: number;
  /** Change it as a new bundle would. */
  principals: readonly Principal[];
  /** Settings of tokens that differ. */
  settings: Partial<Bundle['settings']['tokens']>;
  exchange(form: Readonly<Record<string, string>> | URLSearchParams, proof?: string): Promise<Exchanged>;
  openRun(agent: string, more?: Partial<Run>): Promise<Run>;
}

export async function openTokenDoor(t: TestContext, principals: readonly Principal[]): Promise<TokenDoor> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-identity-'));
  const store = await openSqlite(join(folder, 'store.db'), { now_ms: NOW_MS });
  t.after(async () => {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const key = signingKey(generateKeyPairSync('ed25519').privateKey);
  const bundle = (): Bundle =>
    ({
      settings: {
        tokens: {
          ...{ access_ttl_ms: 300_000, run_ttl_ms: 3_600_000, one_call_ttl_ms: 60_000 },
          ...{ rotate_keys_ms: 7_776_000_000, dpop: 'optional', dpop_nonce: false },
          ...door.settings,
        },
      },
      principals: new Map(door.principals.map((each) => [each.name, each])),
      agents: new Map(
        door.principals.filter((each) => each.kind === 'agent').map((each) => [each.name, each]),
      ),
    }) as unknown as Bundle;
  let turned: { readonly now_ms: number } = { now_ms: NOW_MS };
  const clock = { now: () => turned.now_ms };
  const random = (bytes: number) => randomBytes(bytes);
  const identity = createIdentity({ keyFile: '', key, issuer: () => ISSUER, bundle, store, clock, random });
  const door: TokenDoor = {
    ...{ identity, store, key, now_ms: NOW_MS, principals, settings: {} },
    exchange: (form, proof) => identity.exchange(new URLSearchParams(form as Record<string, string>), proof),
    async openRun(agent, more = {}) {
      const run: Run = {
        ...{
          id: `run_${randomBytes(8).toString('hex')}`,
          tenant: 'default',
          agent,
          ambient: false,
          trigger: 't',
        },
        ...{ bound: {}, labels: [], labels_version: 0, opened_at_ms: NOW_MS, last_used_at_ms: NOW_MS },
        ended_at_ms: null,
        ...more,
      };
      await store.write((tx) => insertRun(tx, { ...run, parent_run_id: null, model: null }));
      return run;
    },
  };
  turned = door;
  return door;
}

/** The form that carries an assertion, and what else is wished. */
export function formWith(client_assertion: string, more: Readonly<Record<string, string>> = {}) {
  return {
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion,
    ...more,
  };
}
