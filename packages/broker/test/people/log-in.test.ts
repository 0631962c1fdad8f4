// People log in at a real provider: roles come from its groups, count in votes, and go when the groups go.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type PeopleDesk, startPeopleDesk } from './people-desk.ts';
import { csrfIn, UserAgent } from './user-agent.ts';

let desk: PeopleDesk;
before(async () => {
  desk = await startPeopleDesk({
    'people/ana.yaml': `
name: ana
tenant: acme
roles: [approver]
groups: [finance, leads]
identities:
  - { issuer: corp, claims: { sub: ana-at-the-provider } }
keys: ["file:keys/ana.pub.jwk"]
`,
  });
  desk.provider.groups.set('fay', ['idp-finance', 'of-no-meaning-here']);
  desk.provider.groups.set('opal', ['idp-ops']);
  desk.provider.groups.set('both', ['idp-ops', 'idp-globex']);
  desk.provider.groups.set('ben', ['idp-finance', 'idp-ops']);
  desk.provider.groups.set('ana-at-the-provider', ['idp-ops']);
});
after(() => desk.close());

async function holdRefund(minor = 9_000) {
  const { run_token } = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
  const held = await desk.call(
    'bot',
    'refund',
    { account: 'AC-1', amount_minor: minor },
    { runToken: run_token },
  );
  assert.equal(held.status, 'held', JSON.stringify(held));
  return { call: held.call_id, run_token, approval: held.approval!.approval_id };
}

test('who is in a group of the provider votes in the group here, and the deed is done', async () => {
  const { agent, page } = await desk.browser('fay');
  assert.equal(page.url, `${desk.origin}/me`);
  const me = await desk.api(agent, 'GET', '/v1/me');
  assert.deepEqual(
    [me.json['name'], me.json['roles'], me.json['groups'], me.json['source'], me.json['via']],
    ['fay', ['approver'], ['finance'], 'provider', 'provider'],
  );
  const { call, run_token, approval } = await holdRefund();
  const shown = await desk.api(agent, 'GET', `/v1/approvals/${approval}`);
  const voted = await desk.api(agent, 'POST', `/v1/approvals/${approval}/votes`, {
    verdict: 'approve',
    deed_digest: shown.json['deed_digest']!,
  });
  assert.equal(voted.status, 200, voted.text);
  const { body } = await desk.show('bot', call, run_token);
  assert.equal(body['status'], 'succeeded', JSON.stringify(body));
});

test('who is in no group that means something here gets in nowhere', async () => {
  const { agent, page } = await desk.browser('nobody');
  assert.equal(page.status, 400);
  assert.match(page.text, /did not succeed/);
  assert.equal(agent.cookies('localhost').has(desk.cookie), false);
});

test('a person of the bundle comes by the identity in its file, with what the bundle says of roles', async () => {
  const { agent } = await desk.browser('ana-at-the-provider');
  const { json } = await desk.api(agent, 'GET', '/v1/me');
  assert.deepEqual([json['name'], json['roles'], json['source']], ['ana', ['approver'], 'bundle']);
});

test('a name of the bundle is not given to somebody of the provider', async () => {
  const { page } = await desk.browser('ben');
  assert.equal(page.status, 400);
});

test('who has roles in several tenants says in which, and has there only what holds there', async () => {
  const { agent, page } = await desk.browser('both');
  assert.match(page.text, /several places/);
  assert.equal(agent.cookies('localhost').has(desk.cookie), false);
  await agent.logIn(`${desk.origin}/login/start?tenant=globex`, 'both');
  const { json } = await desk.api(agent, 'GET', '/v1/me');
  assert.deepEqual([json['tenant'], json['roles']], ['globex', ['auditor']]);
  const elsewhere = await desk.browser('opal', '?tenant=globex');
  assert.equal(elsewhere.page.status, 400);
});

test('who left a group has lost what it gave, in older sessions too, and a vote cast before counts no longer', async () => {
  desk.provider.groups.set('moe', ['idp-finance', 'idp-ops']);
  const first = await desk.browser('moe');
  const { run_token } = await desk.openRun('desk', 'bot', { ticket: 'ZD-2' });
  const held = await desk.call('bot', 'close_account', { account: 'AC-2' }, { runToken: run_token });
  const path = `/v1/approvals/${held.approval!.approval_id}`;
  const shown = await desk.api(first.agent, 'GET', path);
  const ballot = { verdict: 'approve', deed_digest: shown.json['deed_digest']! };
  const voted = await desk.api(first.agent, 'POST', `${path}/votes`, ballot);
  assert.equal((voted.json['asks'] as { approved: number }[])[0]!.approved, 1, voted.text);

  desk.provider.groups.set('moe', ['idp-ops']);
  await desk.browser('moe');
  const me = await desk.api(first.agent, 'GET', '/v1/me');
  assert.deepEqual([me.json['roles'], me.json['groups']], [['operator'], []]);
  const after_ = await desk.api(first.agent, 'GET', path);
  assert.equal((after_.json['asks'] as { approved: number }[])[0]!.approved, 0);

  desk.provider.groups.set('moe', []);
  const { page } = await desk.browser('moe');
  assert.equal(page.status, 400);
  assert.equal((await desk.api(first.agent, 'GET', '/v1/me')).status, 401);
});

test('logging out ends the session at once; the page and the API say nothing more', async () => {
  const { agent } = await desk.browser('opal');
  const secret = agent.cookies('localhost').get(desk.cookie)!;
  const me = await agent.open(`${desk.origin}/me`);
  const out = await agent.post(`${desk.origin}/logout`, { csrf: csrfIn(me) });
  assert.match(out.text, /logged out/);
  assert.equal(agent.cookies('localhost').has(desk.cookie), false);
  agent.cookies('localhost').set(desk.cookie, secret);
  assert.equal((await desk.api(agent, 'GET', '/v1/me')).status, 401);
});

test('an admin ends every session of a person, and the provider’s word with them', async () => {
  desk.provider.groups.set('mia', ['idp-finance']);
  const { agent } = await desk.browser('mia');
  const people = await desk.send('ben', 'GET', '/v1/people');
  assert.ok((people.body['people'] as { name: string }[]).some(({ name }) => name === 'mia'));
  const revoked = await desk.send('ben', 'POST', '/v1/people/mia/revoke');
  assert.deepEqual(revoked.body, { sessions: 1 });
  assert.equal((await desk.api(agent, 'GET', '/v1/me')).status, 401);
  const left = await desk.send('ben', 'GET', '/v1/people');
  assert.ok(!(left.body['people'] as { name: string }[]).some(({ name }) => name === 'mia'));
});

test('pages refer to nothing elsewhere, run no inline script, and stand in no frame', async () => {
  const agent = new UserAgent();
  const page = await agent.open(`${desk.origin}/login`);
  const policy = page.headers.get('content-security-policy')!;
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /frame-ancestors 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
  assert.doesNotMatch(page.text, /<script(?![^>]* src=)|\son\w+=|style=/);
});
