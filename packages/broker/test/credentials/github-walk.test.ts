// An agent's calls through the whole broker with a credential of their own each: what is minted, recorded, revoked, and never seen.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { createEmulator } from 'emulate';
import { tenantLog } from '#call/logs.ts';
import { revokeLeases } from '#jobs/revoke-leases.ts';
import { dueLeases } from '#store/leases.ts';
import { readEntries } from '#store/ledger.ts';
import { freePort, NAMES, packFiles } from '../connectors/openapi-pack.ts';
import { startTestBroker } from '../harness.ts';
import { type Answer, openFront, type Seen } from './front.ts';

const vendor = new URL(import.meta.resolve('@octokit/openapi/generated/api.github.com.json'));
const description = JSON.parse(readFileSync(vendor, 'utf8')) as Json;
const permissions = { contents: 'read', issues: 'write', metadata: 'read' };
const github = await createEmulator({
  service: 'github',
  port: await freePort(),
  seed: {
    tokens: { 'token-of-ann': { login: 'ann', scopes: ['repo'] } },
    github: {
      users: [{ login: 'ann' }],
      repos: [{ owner: 'ann', name: 'shop', auto_init: true, private: true }],
      apps: [
        {
          ...{ app_id: 4_711, slug: 'countersign', name: 'Countersign', permissions },
          installations: [{ installation_id: 100, account: 'ann', permissions, repository_selection: 'all' }],
        },
      ],
    },
  } as never,
});
process.env['GITHUB_APP_KEY'] = github.generatedSecrets[0]!.value;
const server = github.url.replace('localhost', '127.0.0.1');
/** The stand-in revokes nothing: whether GitHub does is said here. */
let revoking: Answer = { status: 204 };
const front = await openFront(({ method, path }) =>
  method === 'DELETE' && path === '/installation/token' ? revoking : server,
);

const files = packFiles({
  ...{ pack: 'github', description, server: front.url, role: 'maintainer-bot', group: 'repo-maintainers' },
  connector: 'response_drift: report',
});
const edited = Object.fromEntries(
  Object.entries(files).map(([path, text]) => {
    if (path.startsWith('connectors/')) return [path, text.replace(/^credential:[\s\S]*/m, credential())];
    const scope = (level: string): string =>
      `{ repositories: [=args.repo], permissions: { issues: ${level} } }`;
    if (path === 'tools/comment_on_issue.yaml')
      return [path, `${text}credential:\n  scope: ${scope('write')}\n  read_scope: ${scope('read')}\n`];
    return [path, path.startsWith('tools/') ? `${text}credential: { scope: ${scope('read')} }\n` : text];
  }),
);
const broker = await startTestBroker(edited, NAMES);
after(async () => {
  await broker.close();
  await front.close();
  await github.close();
});

function credential(): string {
  return `credential:
  provider: github-app
  app_id: 4711
  installation_id: 100
  key: env:GITHUB_APP_KEY
  api: ${front.url}
  allow_private: true
`;
}

const issue = (await (
  await fetch(`${server}/repos/ann/shop/issues`, {
    method: 'POST',
    headers: { authorization: 'Bearer token-of-ann', 'content-type': 'application/json' },
    body: JSON.stringify({ title: 'Broken' }),
  })
).json()) as { number: number };
const args = { owner: 'ann', repo: 'shop', number: issue.number };

interface Entry {
  readonly kind: string;
  readonly at_ms: number;
  readonly facts: JsonObject;
}

/** Entries about a call, once nothing that it held waits to be revoked. */
async function entriesOf(call: string): Promise<Entry[]> {
  const { world } = broker.broker;
  await world.store.write(async () => {});
  await revokeLeases(world);
  const read = await world.store.read((tx) => readEntries(tx, tenantLog('default'), 0, 1_000));
  return read.map(({ entry }) => JSON.parse(entry) as Entry).filter(({ facts }) => facts['call'] === call);
}

const minted = (): Seen[] => front.seen.filter(({ path }) => path.endsWith('/access_tokens'));
const revoked = (): Seen[] => front.seen.filter(({ method }) => method === 'DELETE');

test('a write has a credential for its repository, its reads one that can only read, and both are revoked', async () => {
  front.seen.length = 0;
  const answer = await broker.call('bot', 'comment_on_issue', { ...args, text: 'We are on it.' });
  assert.equal(answer.status, 'succeeded', JSON.stringify(answer));
  assert.deepEqual(
    minted().map(({ body }) => JSON.parse(body)),
    ['read', 'write'].map((issues) => ({ repositories: ['shop'], permissions: { issues } })),
  );
  const entries = await entriesOf(answer.call_id);
  const kinds = entries.map(({ kind }) => kind).sort();
  assert.deepEqual(kinds, [
    ...['call.admitted', 'call.settled', 'credential.ended', 'credential.ended', 'prepare.read'],
  ]);
  const settled = entries.find(({ kind }) => kind === 'call.settled')!.facts;
  assert.equal(settled['credential_provider'], 'github-app');
  assert.equal(settled['credential_grade'], 'A');
  assert.deepEqual(settled['credential_scopes'], ['issues:write']);
  assert.equal(settled['credential_revoked_after'], true);
  assert.ok((settled['credential_expires_at_ms'] as number) > Date.now());
  const ended = entries.filter(({ kind }) => kind === 'credential.ended').map(({ facts }) => facts);
  assert.ok(ended.every(({ how }) => how === 'revoked'));
  assert.ok(ended.some(({ credential }) => credential === settled['credential']));
  const used = front.seen.filter(({ path }) => path.startsWith('/repos/'));
  const carried = new Set(used.map(({ headers }) => headers['authorization']));
  assert.deepEqual(new Set(revoked().map(({ headers }) => headers['authorization'])), carried);
});

test('the scope of the credential is recorded where it can be erased', async () => {
  const answer = await broker.call('bot', 'read_issue', args);
  await entriesOf(answer.call_id);
  const { world } = broker.broker;
  const bodies = await world.store.read((tx) => tx.all<{ body: string }>('select body from payloads'));
  const scope = '"credential_scope":{"permissions":{"issues":"read"},"repositories":["shop"]}';
  assert.ok(bodies.some(({ body }) => body.includes(scope)));
});

test('a call that fails leaves no credential behind', async () => {
  front.seen.length = 0;
  const answer = await broker.call('bot', 'read_issue', { ...args, number: 999 });
  assert.equal(answer.problem?.code, 'tool_rejected');
  const entries = await entriesOf(answer.call_id);
  assert.ok(entries.some(({ kind, facts }) => kind === 'credential.ended' && facts['how'] === 'revoked'));
  assert.ok(revoked().length >= minted().length);
});

test('a credential that cannot be revoked is tried again until it is', async () => {
  revoking = { status: 503 };
  const answer = await broker.call('bot', 'read_issue', args);
  const { world } = broker.broker;
  const before = await entriesOf(answer.call_id);
  assert.ok(!before.some(({ kind }) => kind === 'credential.ended'));
  const far = Date.now() + 3_600_000;
  const due = await world.store.read((tx) => dueLeases(tx, far, 10));
  const waiting = due.find(({ call_id }) => call_id === answer.call_id)!;
  assert.ok(waiting.tries >= 1);
  assert.match(waiting.why, /HTTP status 503/);
  const later = { ...world, clock: { ...world.clock, now: () => far - 600_000 } };
  await revokeLeases(later);
  await world.store.write((tx) => tx.run('update leases set next_at_ms = 0'));
  await revokeLeases(later);
  await world.store.write((tx) => tx.run('update leases set next_at_ms = 0'));
  const alerts = await world.store.read((tx) =>
    tx.all<{ call_id: string }>(`select call_id from alerts where kind = 'not_revoked'`),
  );
  assert.deepEqual(
    alerts.map(({ call_id }) => call_id),
    [answer.call_id],
    'people are told',
  );
  revoking = { status: 204 };
  await revokeLeases(later);
  const after = await entriesOf(answer.call_id);
  assert.ok(after.some(({ kind, facts }) => kind === 'credential.ended' && facts['how'] === 'revoked'));
});

test('what a crash leaves is revoked by the next start', async () => {
  revoking = { status: 503 };
  const answer = await broker.call('bot', 'read_issue', args);
  await entriesOf(answer.call_id);
  revoking = { status: 204 };
  await broker.broker.world.store.write((tx) => tx.run('update leases set next_at_ms = 0'));
  front.seen.length = 0;
  await broker.restart();
  const entries = await entriesOf(answer.call_id);
  assert.ok(entries.some(({ kind, facts }) => kind === 'credential.ended' && facts['how'] === 'revoked'));
  assert.ok(revoked().length >= 1);
});

test('a repository that the arguments do not name is out of reach of the call', async () => {
  const answer = await broker.call('bot', 'read_issue', { ...args, repo: 'ledger' });
  assert.equal(answer.problem?.code, 'credential_unavailable');
});

test('no token reaches the agent, the store or its lease', async () => {
  const tokens: string[] = [];
  const answer = await broker.call('bot', 'read_issue', args);
  for (const { headers } of front.seen)
    tokens.push(String(headers['authorization'] ?? '').replace('Bearer ', ''));
  assert.ok(
    tokens.some((each) => each.startsWith('ghs_')),
    'control: they were used',
  );
  const { data_dir } = broker.broker.world.bundle().settings;
  const kept = readdirSync(data_dir)
    .filter((name) => name.startsWith('countersign.db'))
    .map((name) => readFileSync(join(data_dir, name), 'latin1'));
  for (const token of tokens.filter((each) => each !== '')) {
    assert.ok(!JSON.stringify(answer).includes(token));
    assert.ok(kept.every((text) => !text.includes(token)));
  }
});
