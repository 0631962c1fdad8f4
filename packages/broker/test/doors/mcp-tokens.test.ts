// The MCP door and real tokens: expired, foreign, forged or of another tenant, none opens any method.
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { Bundle } from '#bundle/bundle.ts';
import { type IssueAccess, issueAccessToken } from '#identity/access-token.ts';
import { createIdentity } from '#identity/create-identity.ts';
import { issueRunToken } from '#identity/run-token.ts';
import { signingKey } from '#identity/signing-key.ts';
import type { Agent, Principal } from '#rules/principal.ts';
import type { Store } from '#store/store.ts';
import { type Answered, agent, type Door, headersFor, META, openDoor } from './mcp-door.ts';

const NOW_MS = 1_790_000_000_000;
const ISSUER = 'https://broker.example';
const ours = signingKey(generateKeyPairSync('ed25519').privateKey);
const theirs = signingKey(generateKeyPairSync('ed25519').privateKey);

const retired: Agent = { ...agent, name: 'old-agent', status: 'retired' };
const principals = new Map<string, Principal>([agent, retired].map((each) => [each.name, each]));

let door: Door;
before(async () => {
  const identity = createIdentity({
    keyFile: '',
    key: ours,
    issuer: () => ISSUER,
    bundle: () =>
      ({
        principals,
        agents: principals,
        settings: { tokens: { dpop: 'optional', dpop_nonce: false } },
      }) as unknown as Bundle,
    store: {} as Store,
    clock: { now: () => NOW_MS },
    random: randomBytes,
  });
  door = await openDoor({ identity });
});
after(() => door.close());

function token(change: Partial<IssueAccess> = {}, key = ours): string {
  const ask = {
    issuer: ISSUER,
    principal: agent,
    resource: 'mcp',
    run_id: null,
    token_id: 't',
    now_ms: NOW_MS,
    ttl_ms: 300_000,
  } as const;
  return issueAccessToken(key, { ...ask, ...change }).token;
}

function tampered(): string {
  const [head, claims, signature] = token().split('.') as [string, string, string];
  const changed = { ...JSON.parse(Buffer.from(claims, 'base64url').toString()), sub: 'other-agent' };
  return [head, Buffer.from(JSON.stringify(changed)).toString('base64url'), signature].join('.');
}

function unsigned(): string {
  const claims = token().split('.')[1];
  return `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${claims}.`;
}

const run = { tenant: 'default', agent: agent.name, run_id: 'run_1', expires_at_ms: NOW_MS + 60_000 };

const useless: readonly (readonly [string, string | undefined])[] = [
  ['no token', undefined],
  ['a malformed token', 'x.y.z'],
  ['an expired token', token({ now_ms: NOW_MS - 600_000 })],
  ['a token from the future', token({ now_ms: NOW_MS + 600_000 })],
  ['a token for the HTTP API', token({ resource: 'v1' })],
  ['a token of another issuer', token({ issuer: 'https://other.example' })],
  ['a token of another key', token({}, theirs)],
  ['a token without signature', unsigned()],
  ['a token with another name in it', tampered()],
  ['a token of another tenant', token({ principal: { ...agent, tenant: 'other' } })],
  ['a token of a principal that is gone', token({ principal: { ...agent, name: 'gone' } })],
  [
    'a token of another kind',
    token({ principal: { ...agent, kind: 'orchestrator' } as unknown as Principal }),
  ],
  ['a run token', issueRunToken(ours, ISSUER, run, 'r', NOW_MS)],
];

async function tryEverything(bearer: string | undefined): Promise<Answered[]> {
  const authorization = bearer === undefined ? undefined : `Bearer ${bearer}`;
  const answers: Answered[] = [];
  for (const [method, name] of [
    ['server/discover', undefined],
    ['tools/list', undefined],
    ['tools/call', 'plain'],
    ['tools/call', 'no_such_tool'],
    ['tools/call', 'countersign_call_status'],
    ['resources/list', undefined],
  ] as const) {
    const params = { _meta: META, ...(name === undefined ? {} : { name, arguments: {} }) };
    answers.push(
      await door.post(
        { jsonrpc: '2.0', id: 1, method, params },
        { ...headersFor(method, name), authorization },
      ),
    );
  }
  return answers;
}

for (const [what, bearer] of useless) {
  test(`${what} opens no method, and all answers are one`, async () => {
    const answers = await tryEverything(bearer);
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [401]);
    assert.equal(new Set(answers.map(({ text }) => text)).size, 1);
    assert.equal(door.asked.length, 0);
  });
}

test('a retired agent is told so, and nothing else; the walk gets its deeds, to refuse and record them', async () => {
  const answers = await tryEverything(token({ principal: retired }));
  assert.deepEqual([...new Set(answers.map(({ json }) => json.code))], ['agent_suspended']);
  const walked = door.asked.splice(0).map(({ toolName }) => toolName);
  assert.deepEqual(walked, ['plain', 'no_such_tool', 'countersign_call_status']);
});

test('control: a good token opens each of them', async () => {
  const answers = await tryEverything(token());
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200, 200, 200, 404],
  );
  assert.equal(door.asked.length, 2);
});
