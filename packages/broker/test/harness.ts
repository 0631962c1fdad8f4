// Starts a real broker on a bundle in a temporary folder, with keys for its principals, and speaks to it.
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { ApprovalView, CallAnswer, RunOpened } from '@countersign/contract/wire.ts';
import { SignJWT } from 'jose';
import { type Broker, startBroker } from '../src/main.ts';

/** Text of each file of the bundle, by path. Principals refer to `file:keys/<name>.pub.jwk`. */
export type BundleFiles = Readonly<Record<string, string>>;

export interface TestBroker {
  readonly url: string;
  readonly broker: Broker;
  /** Folder that holds `bundle`, `data` and what the bundle's connectors use. */
  readonly root: string;
  readonly key: (name: string) => KeyObject;
  /** An access token of a principal; `resource` is `v1` (default) or `mcp`. */
  token(name: string, options?: { resource?: 'v1' | 'mcp'; runToken?: string }): Promise<string>;
  /** A request as a principal; the body is parsed. */
  send(
    as: string | null,
    method: string,
    path: string,
    body?: Json,
    headers?: Record<string, string>,
  ): Promise<Sent>;
  call(as: string, tool: string, args: JsonObject, more?: CallMore): Promise<CallAnswer>;
  /** GET of a call as an agent in a run (or its ambient one), waiting up to 10 s for it to be over. */
  show(as: string, callId: string, runToken?: string, wait_s?: number): Promise<Sent>;
  openRun(orchestrator: string, agent: string, context: JsonObject): Promise<RunOpened>;
  approvals(person: string, status?: string): Promise<ApprovalView[]>;
  vote(person: string, approval: ApprovalView, verdict: 'approve' | 'reject', reason?: string): Promise<Sent>;
  /** Writes files of the bundle; nothing changes until it is activated. */
  write(files: BundleFiles): void;
  /** Closes and starts again on the same folder and address. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export interface Sent {
  readonly status: number;
  readonly body: JsonObject;
  readonly headers: Headers;
}

export interface CallMore {
  readonly runToken?: string;
  readonly key?: string;
  readonly step?: string;
  readonly context?: JsonObject;
  readonly dryRun?: boolean;
  readonly wait_s?: number;
}

/** Makes the folder, the keys of `names`, and the files; runs `prepare` on it; starts. Port 0, loopback. */
export async function startTestBroker(
  files: BundleFiles,
  names: readonly string[],
  prepare: (root: string) => void = () => undefined,
): Promise<TestBroker> {
  const root = mkdtempSync(join(tmpdir(), 'countersign-'));
  const keys = new Map<string, KeyObject>();
  for (const name of names) keys.set(name, writeKey(root, name));
  writeFiles(join(root, 'bundle'), files);
  prepare(root);
  let broker = await startBroker({ bundle: join(root, 'bundle'), port: 0, log_level: 'silent' });
  const tokens = new Map<string, string>();

  const keyOf = (name: string): KeyObject => {
    const key = keys.get(name);
    if (key === undefined) throw new Error(`the harness has no key of ${name}`);
    return key;
  };

  const test: TestBroker = {
    get url() {
      return broker.url;
    },
    get broker() {
      return broker;
    },
    root,
    key: keyOf,
    async token(name, { resource = 'v1', runToken } = {}) {
      const cached = tokens.get(`${name} ${resource} ${runToken}`);
      if (cached !== undefined) return cached;
      const form = new URLSearchParams({
        grant_type: 'client_credentials',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: await assertion(name, keyOf(name), broker.url),
        resource: `${broker.url}/${resource}`,
        ...(runToken === undefined ? {} : { run_token: runToken }),
      });
      const response = await fetch(`${broker.url}/oauth/token`, { method: 'POST', body: form });
      const body = (await response.json()) as { access_token?: string };
      if (body.access_token === undefined) throw new Error(`no token for ${name}: ${JSON.stringify(body)}`);
      tokens.set(`${name} ${resource} ${runToken}`, body.access_token);
      return body.access_token;
    },
    async send(as, method, path, body, headers = {}) {
      const response = await fetch(`${broker.url}${path}`, {
        method,
        headers: {
          ...(as === null ? {} : { authorization: `Bearer ${await test.token(as)}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      return {
        status: response.status,
        body: JSON.parse(text === '' ? '{}' : text) as JsonObject,
        headers: response.headers,
      };
    },
    async call(as, tool, args, more = {}) {
      const token = await test.token(as, more.runToken === undefined ? {} : { runToken: more.runToken });
      const request = {
        tool,
        args,
        ...(more.context === undefined ? {} : { context: more.context }),
        ...(more.dryRun === undefined ? {} : { dry_run: more.dryRun }),
        ...(more.step === undefined ? {} : { step: more.step }),
      };
      const wait = more.wait_s === undefined ? '' : `?wait=${more.wait_s}`;
      const sent = await test.send(null, 'POST', `/v1/calls${wait}`, request, {
        authorization: `Bearer ${token}`,
        ...(more.key === undefined ? {} : { 'idempotency-key': more.key }),
      });
      return asAnswer(sent);
    },
    async show(as, callId, runToken, wait_s = 10) {
      const token = await test.token(as, runToken === undefined ? {} : { runToken });
      const authorization = `Bearer ${token}`;
      return test.send(null, 'GET', `/v1/calls/${callId}?wait=${wait_s}`, undefined, { authorization });
    },
    async openRun(orchestrator, agent, context) {
      const sent = await test.send(orchestrator, 'POST', '/v1/runs', { agent, trigger: 'test:1', context });
      if (sent.status !== 201) throw new Error(`no run: ${JSON.stringify(sent.body)}`);
      return sent.body as unknown as RunOpened;
    },
    async approvals(person, status = 'open') {
      const sent = await test.send(person, 'GET', `/v1/approvals?status=${status}`);
      return sent.body['approvals'] as unknown as ApprovalView[];
    },
    vote: (person, approval, verdict, reason) =>
      test.send(person, 'POST', `/v1/approvals/${approval.approval_id}/votes`, {
        verdict,
        deed_digest: approval.deed_digest,
        ...(reason === undefined ? {} : { reason }),
      }),
    write: (more) => writeFiles(join(root, 'bundle'), more),
    async restart() {
      // On the same address, since tokens name it.
      const port = Number(new URL(broker.url).port);
      await broker.close();
      broker = await startBroker({ bundle: join(root, 'bundle'), port, log_level: 'silent' });
    },
    async close() {
      await broker.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
  return test;
}

/** Refusals come as problem bodies: put back into the shape of an answer. */
function asAnswer({ status, body }: Sent): CallAnswer {
  if (status < 300 || body['status'] === undefined || typeof body['status'] === 'string') {
    return body as unknown as CallAnswer;
  }
  return {
    call_id: String(body['call_id'] ?? ''),
    run_id: '',
    tool: '',
    status: 'refused',
    labels: [],
    problem: body as unknown as NonNullable<CallAnswer['problem']>,
  };
}

/** A client assertion (RFC 7523) as a principal would sign it. */
export function assertion(name: string, key: KeyObject, audience: string): Promise<string> {
  return new SignJWT({})
    .setProtectedHeader({ alg: 'EdDSA' })
    .setIssuer(name)
    .setSubject(name)
    .setAudience(audience)
    .setJti(randomUUID())
    .setIssuedAt()
    .setExpirationTime('1m')
    .sign(key);
}

function writeKey(root: string, name: string): KeyObject {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const folder = join(root, 'bundle/keys');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.pub.jwk`), JSON.stringify(publicKey.export({ format: 'jwk' })));
  return createPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs8' }));
}

function writeFiles(folder: string, files: BundleFiles): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

/** Opens a database of the test beside the broker. */
export function openDatabase(path: string): DatabaseSync {
  mkdirSync(dirname(path), { recursive: true });
  return new DatabaseSync(path);
}
