// A broker on a loopback port for the door tests: the real walk, store, ledger and identity over a small bundle.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '@countersign/contract/json.ts';
import { noteSigner } from '@countersign/contract/note.ts';
import type { PersonRole } from '@countersign/contract/wire-principals.ts';
import type { FastifyInstance } from 'fastify';
import { type JWTPayload, SignJWT } from 'jose';
import { systemClock } from '#call/clock.ts';
import { LeaseBook } from '#call/lease-book.ts';
import { LoopWatch } from '#call/loop-watch.ts';
import type { Bundle } from '../../src/bundle/bundle.ts';
import { FlowBoard } from '../../src/call/flow-board.ts';
import { HaltBoard } from '../../src/call/halt-board.ts';
import { PeopleBoard } from '../../src/call/people-board.ts';
import { RunCache } from '../../src/call/run-cache.ts';
import { Signals } from '../../src/call/signals.ts';
import { StatusBoard } from '../../src/call/status-board.ts';
import { UseBoard } from '../../src/call/use-board.ts';
import type { World } from '../../src/call/world.ts';
import type { Attempt, Connector } from '../../src/connectors/connector.ts';
import { createDiscoveredNetwork } from '../../src/connectors/discovered-network.ts';
import { createLocalKeys, freshKeyText } from '../../src/credentials/sealed/key-encryption.ts';
import { SealedStore } from '../../src/credentials/sealed/sealed-store.ts';
import { createServer } from '../../src/http/create-server.ts';
import { issueAccessToken } from '../../src/identity/access-token.ts';
import { createIdentity, type TokenIssuer, type TokenKeeper } from '../../src/identity/create-identity.ts';
import type { Identity, Resource } from '../../src/identity/identity.ts';
import { generateKeyPair, type KeyPair } from '../../src/identity/keys.ts';
import { createProvider } from '../../src/identity/people/provider.ts';
import { type SigningKey, signingKey } from '../../src/identity/signing-key.ts';
import type { DecisionRequest } from '../../src/rules/decision.ts';
import type { FactBase } from '../../src/rules/facts.ts';
import { DEFAULT_FLOW } from '../../src/rules/flow-rule.ts';
import type { Agent, Orchestrator, Person, Principal } from '../../src/rules/principal.ts';
import type { Tool } from '../../src/rules/tool.ts';
import { openSqlite } from '../../src/store/sqlite.ts';

export interface TokenWishes {
  readonly resource?: Resource;
  readonly tenant?: string;
  readonly kind?: Principal['kind'];
  readonly run_id?: string;
  readonly issuer?: string;
  /** How long ago it was issued. */
  readonly age_ms?: number;
  readonly key?: SigningKey;
}

export interface HttpBroker {
  readonly url: string;
  readonly app: FastifyInstance;
  readonly world: World;
  readonly tokens: TokenIssuer & TokenKeeper & Identity;
  readonly key: SigningKey;
  /** Key pairs of the principals by name. */
  readonly keys: ReadonlyMap<string, KeyPair>;
  readonly logged: string[];
  /** An access token of a principal, signed by the broker's key unless wished otherwise. */
  token(name: string, wishes?: TokenWishes): string;
  ask(method: string, path: string, options?: AskOptions): Promise<Told>;
  close(): Promise<void>;
}

export interface AskOptions {
  readonly as?: string;
  readonly token?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Told {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of any shape.
  readonly json: any;
}

const keys = new Map<string, KeyPair>();

function registered(name: string): { name: string; keys: JsonObject[]; identities: [] } {
  const pair = keys.get(name) ?? generateKeyPair();
  keys.set(name, pair);
  return { name, keys: [pair.publicJwk], identities: [] };
}

function agent(name: string, tenant = 'default', status: Agent['status'] = 'active'): Agent {
  const rest = { owner: 'olga', purpose: 'test', roles: [], mode: 'act' } as const;
  return { kind: 'agent', ...registered(name), tenant, status, ...rest };
}

function orchestrator(name: string, agents: string[], tenant = 'default'): Orchestrator {
  const rest = { owner: 'olga', purpose: 'test', agents, context: ['ticket'] };
  return { kind: 'orchestrator', ...registered(name), tenant, status: 'active', ...rest };
}

function person(
  name: string,
  roles: PersonRole[],
  tenant = 'default',
  status: Person['status'] = 'active',
): Person {
  return {
    kind: 'person',
    ...registered(name),
    tenant,
    status,
    display_name: name,
    roles,
    groups: roles.includes('approver') ? ['finance'] : [],
  };
}

const ALL_ROLES: PersonRole[] = ['approver', 'operator', 'auditor', 'admin'];
export const principals: readonly Principal[] = [
  agent('desk-agent'),
  agent('other-agent'),
  agent('far-agent', 'acme'),
  agent('idle-agent', 'default', 'suspended'),
  // Its tokens are revoked: in that second new ones are worth nothing too.
  agent('lost-agent', 'default', 'suspended'),
  ...['spare-agent', 'spare-agent-2'].map((name) => agent(name)),
  ...['spare-orchestrator', 'spare-orchestrator-2'].map((name) => orchestrator(name, [])),
  ...['spare-sam', 'spare-sam-2'].map((name) => person(name, [])),
  orchestrator('desk-orchestrator', ['desk-agent']),
  orchestrator('far-orchestrator', ['far-agent'], 'acme'),
  person('olga', ['operator', 'admin']),
  person('paul', ['approver']),
  person('amir', ['auditor']),
  person('nils', []),
  person('far-fran', ALL_ROLES, 'acme'),
  person('gone-gina', ALL_ROLES, 'default', 'suspended'),
];

const nothing = { reads: new Set<string>(), fill: () => ({}) };

function tool(name: string, effect: Tool['effect']): Tool {
  const input = {
    type: 'object',
    additionalProperties: false,
    required: ['id'],
    properties: { id: { type: 'string', maxLength: 32 } },
  };
  return {
    name,
    version: '1.0.0',
    owner: 'desk',
    connector: 'desk',
    description: `Test tool ${name}.`,
    effect,
    digest: `sha256:${name}`,
    lifecycle: { status: 'active' },
    input,
    checkInput: (args) =>
      typeof (args as { id?: unknown }).id === 'string'
        ? []
        : [{ pointer: '/id', message: 'expected a string' }],
    requires: [],
    equalToBound: [],
    prepare: [],
    pin: [],
    resources: [],
    preconditions: [],
    bind: { operation: { tool: name }, inputs: nothing },
    timeout_ms: 1000,
    output: { labels: [], fields: [], redact: [] },
    egress: [],
    summary: [`Do ${name}`],
  } as Tool;
}

const tools = new Map(
  [tool('get_ticket', 'read'), tool('refund', 'write'), tool('unused', 'write')].map((each) => [
    each.name,
    each,
  ]),
);

function byKind<P extends Principal>(kind: P['kind'], list: readonly Principal[]): ReadonlyMap<string, P> {
  return new Map(list.filter((each): each is P => each.kind === kind).map((each) => [each.name, each]));
}

/** `get_ticket` is permitted to everybody, `refund` waits for one person of finance. */
export function smallBundle(list: readonly Principal[] = principals): Bundle {
  const connector = { type: 'Connector', id: 'desk' };
  const facts: FactBase = {
    entities: new Map(),
    context: [],
    tools: new Map(
      [...tools.keys()].map((name) => [
        name,
        { action: { type: 'Action', id: name }, connector, args: () => undefined, prepared: [] },
      ]),
    ),
  };
  const asks = {
    rule: 'ask-finance',
    quorum: 1,
    group: 'finance',
    excluding: [],
    because: 'Refunds need finance.',
  };
  return {
    revision: 'sha256:test',
    settings: {
      listen: { host: '127.0.0.1', port: 0 },
      public_url: null,
      data_dir: '',
      tenants: ['default', 'acme'],
      issuers: [],
      context: { ticket: { type: 'string' } },
      labels: [],
      approvals: { default: '1 of finance', ttl_ms: 3_600_000, max_open_per_agent: 1_000 },
      people: {
        login: null,
        sessions: { idle_ms: 1_800_000, max_ms: 36_000_000, cli_ms: 28_800_000 },
        break_glass: { people: ['paul'], groups: [], roles: ['operator'], max_ms: 3_600_000 },
      },
      tokens: {
        ...{ access_ttl_ms: 300_000, run_ttl_ms: 3_600_000, one_call_ttl_ms: 60_000 },
        ...{ rotate_keys_ms: 7_776_000_000, dpop: 'optional', dpop_nonce: false },
      },
      runs: { ambient_idle_ms: 1_800_000 },
      idempotency: { keep_ms: 3_600_000, content_key: 'off' },
      quotas: [],
      loops: { identical: 0, identical_reads: 0, failing: 0, window_ms: 1 },
      limits: { body_bytes: 65_536, depth: 32, result_bytes: 65_536 },
      alerts: { webhooks: [] },
      agents: { key_max_age_ms: 7_776_000_000, unused_after_ms: 2_592_000_000 },
      activation: { quorum: 0 },
      waivers: [],
    },
    agents: byKind<Agent>('agent', list),
    orchestrators: byKind<Orchestrator>('orchestrator', list),
    people: byKind<Person>('person', list),
    principals: new Map(list.map((each) => [each.name, each])),
    groups: new Map([
      ['finance', new Set(list.filter((p) => p.kind === 'person' && p.groups.length > 0).map((p) => p.name))],
    ]),
    connectors: new Map([['desk', { name: 'desk', kind: 'sql', flow: DEFAULT_FLOW }]]),
    tools,
    policies: {
      judge: ({ action }: DecisionRequest) => ({
        permits: ['allow'],
        forbids: action.id === 'refund' ? ['ask-finance'] : [],
        errors: [],
        unknownPermits: [],
        unknownForbids: [],
      }),
      approvals: new Map([['ask-finance', asks]]),
      because: new Map([['ask-finance', asks.because]]),
    },
    facts,
    checkContext: () => [],
    verifiers: new Map(),
    cedar_schema: '',
    files: {},
  } as unknown as Bundle;
}

const desk: Connector = {
  name: 'desk',
  kind: 'sql',
  drift: () => null,
  attempt: async (attempt: Attempt) => ({ kind: 'ok', response: { did: attempt.operation.tool as string } }),
  close: async () => {},
};

export interface BrokerSetup {
  readonly public_url?: string;
  readonly host?: string;
  readonly mount?: (app: FastifyInstance, world: World) => void;
}

export async function startHttpBroker(setup: BrokerSetup = {}): Promise<HttpBroker> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-http-'));
  const store = await openSqlite(join(folder, 'store.db'), { now_ms: Date.now() });
  const bundle = smallBundle();
  const statuses = new StatusBoard();
  const key = signingKey(generateKeyPairSync('ed25519').privateKey);
  const logged: string[] = [];
  const say = (message: string, fields?: object) =>
    void logged.push(`${message} ${JSON.stringify(fields ?? {})}`);
  let url = setup.public_url ?? '';
  const shared = {
    store,
    bundle: () => statuses.over(bundle),
    clock: systemClock,
    random: (bytes: number) => randomBytes(bytes),
  };
  const tokens = createIdentity({ ...shared, keyFile: '', key, issuer: () => url });
  const world: World = {
    ...shared,
    log: { info: say, warn: say, error: say },
    signer: noteSigner('broker.example', generateKeyPairSync('ed25519').privateKey),
    connector: () => desk,
    credentials: () => ({
      mint: () => null,
      forConnection: async () => null,
      refused: async () => null,
      sealHandle: () => null,
      revoke: async () => ({ ok: true }),
      describe: () => null,
    }),
    identity: tokens,
    halts: new HaltBoard(),
    statuses,
    uses: new UseBoard(),
    flow: new FlowBoard(systemClock, { info: say, warn: say, error: say }),
    runs: new RunCache(),
    people: new PeopleBoard(statuses),
    loops: new LoopWatch(),
    leases: new LeaseBook(),
    stranded: new Map(),
    signals: new Signals(systemClock),
    base_url: () => url,
  };
  const activation = {
    load: async () => ({ ok: true, bundle, warnings: [] }) as const,
    prepare: async () => ({ commit() {}, async abandon() {} }),
  };
  const provider = createProvider({ network: createDiscoveredNetwork, readSecret: async () => 'secret' });
  const texts = { where: 'memory', read: () => freshKeyText(randomBytes), replace: () => undefined };
  const sealed = new SealedStore({
    ...{ store, clock: systemClock, random: randomBytes, tenant: () => 'default' },
    keys: createLocalKeys({ ...texts, random: randomBytes }),
  });
  const app = createServer(world, { tokens, activation, provider, ready: async () => true, sealed });
  setup.mount?.(app, world);
  await app.listen({ host: setup.host ?? '127.0.0.1', port: 0 });
  const address = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  if (url === '') url = address;
  const token = (name: string, wishes: TokenWishes = {}): string => {
    const known = bundle.principals.get(name) ?? ({ name, kind: 'agent', tenant: 'default' } as Agent);
    return issueAccessToken(wishes.key ?? key, {
      issuer: wishes.issuer ?? url,
      principal: {
        ...known,
        tenant: wishes.tenant ?? known.tenant,
        kind: wishes.kind ?? known.kind,
      } as Principal,
      resource: wishes.resource ?? 'v1',
      run_id: wishes.run_id ?? null,
      token_id: randomBytes(9).toString('base64url'),
      now_ms: Date.now() - (wishes.age_ms ?? 0),
      ttl_ms: 300_000,
    }).token;
  };
  return {
    ...{ url: address, app, world, tokens, key, keys, logged, token },
    async ask(method, path, options = {}) {
      const bearer = options.token ?? (options.as === undefined ? undefined : token(options.as));
      const response = await fetch(`${address}${path}`, {
        method,
        redirect: 'manual',
        headers: {
          ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
          ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...options.headers,
        },
        ...(options.body === undefined ? {} : { body: bodyOf(options.body) }),
      });
      const text = await response.text();
      let json: unknown;
      try {
        json = JSON.parse(text);
      } catch {
        json = undefined;
      }
      return { status: response.status, headers: response.headers, text, json };
    },
    async close() {
      await app.close();
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function bodyOf(body: unknown): string | Uint8Array<ArrayBuffer> {
  return typeof body === 'string'
    ? body
    : body instanceof Uint8Array
      ? new Uint8Array(body)
      : JSON.stringify(body);
}

export interface AssertionWishes {
  readonly header?: Record<string, unknown>;
  readonly claims?: JWTPayload;
  readonly without?: readonly string[];
}

/** A client assertion made with jose, well formed but for what is wished. */
export async function assertionOf(
  name: string,
  audience: string,
  pair: KeyPair,
  wishes: AssertionWishes = {},
): Promise<string> {
  const now_s = Math.floor(Date.now() / 1000);
  const claims: JWTPayload = {
    ...{
      iss: name,
      sub: name,
      aud: audience,
      iat: now_s,
      exp: now_s + 60,
      jti: randomBytes(12).toString('hex'),
    },
    ...wishes.claims,
  };
  for (const claim of wishes.without ?? []) delete claims[claim];
  const header = { alg: pair.privateJwk.alg as string, typ: 'JWT', kid: pair.privateJwk.kid as string };
  return new SignJWT(claims)
    .setProtectedHeader({ ...header, ...wishes.header } as typeof header)
    .sign(await importKey(pair));
}

async function importKey(pair: KeyPair) {
  const { createPrivateKey } = await import('node:crypto');
  return createPrivateKey(pair.privatePem);
}

export function formOf(
  client_assertion: string,
  more: Readonly<Record<string, string>> = {},
): URLSearchParams {
  return new URLSearchParams({
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion,
    ...more,
  });
}
