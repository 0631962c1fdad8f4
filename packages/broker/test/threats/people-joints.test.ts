// Attacks where two parts of people's log-in meet: a stolen session that renews itself, names that change hands, statuses.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import { UNDO_FILES } from '../call/undo-desk.ts';
import { type PeopleDesk, startPeopleDesk } from '../people/people-desk.ts';
import type { UserAgent } from '../people/user-agent.ts';

const person = (name: string, more: string): string => `
name: ${name}
tenant: acme
display_name: ${name}
${more}
`;

const ANA = person(
  'ana',
  `roles: [approver]
groups: [finance, leads]
identities: [{ issuer: corp, claims: { sub: ana-there } }]
keys: ["file:keys/ana.pub.jwk"]`,
);

let desk: PeopleDesk;
before(async () => {
  desk = await startPeopleDesk({ ...UNDO_FILES, 'people/ana.yaml': ANA });
  desk.db.exec(`
    pragma busy_timeout = 5000;
    create table credits (call_id text primary key, account text, amount_minor integer, voided_by text);
    create table voids (at integer primary key, call_id text unique, account text);
  `);
});
after(() => desk.close());

let people = 0;

/** Somebody whom only the provider knows. */
async function vouched(...groups: string[]) {
  const name = `vouched-${++people}`;
  desk.provider.groups.set(name, groups);
  return { name, ...(await desk.browser(name)) };
}

async function activate(files: Record<string, string>): Promise<void> {
  desk.write(files);
  const sent = await desk.send('ben', 'POST', '/v1/bundle');
  assert.equal(sent.status, 200, JSON.stringify(sent.body));
}

async function age(name: string): Promise<void> {
  const { store } = desk.broker.world;
  await store.write((tx) =>
    tx.run('update sessions set authenticated_at_ms = authenticated_at_ms - 700000 where person = ?', name),
  );
}

async function askCodes() {
  const body = new URLSearchParams({ client_id: 'countersign-cli' });
  const answer = await fetch(`${desk.url}/oauth/device_authorization`, { method: 'POST', body });
  return (await answer.json()) as { device_code: string; user_code: string };
}

async function confirm(agent: UserAgent, user_code: string) {
  const csrf = (await desk.api(agent, 'GET', '/v1/me')).json['csrf_token'] as string;
  return agent.post(`${desk.origin}/device/decide`, { csrf, user_code, decision: 'confirm' });
}

async function redeem(device_code: string): Promise<string | undefined> {
  const grant_type = 'urn:ietf:params:oauth:grant-type:device_code';
  const body = new URLSearchParams({ grant_type, client_id: 'countersign-cli', device_code });
  const answer = await fetch(`${desk.url}/oauth/token`, { method: 'POST', body });
  return ((await answer.json()) as { access_token?: string }).access_token;
}

/** A command line that acts by this browser's session. */
async function commandLine(agent: UserAgent) {
  const { device_code, user_code } = await askCodes();
  await confirm(agent, user_code);
  const authorization = `Bearer ${await redeem(device_code)}`;
  return (method: string, path: string, body?: JsonObject) =>
    desk.send(null, method, path, body, { authorization });
}

describe('a stolen session that wants to last', () => {
  test('an old session makes no young one of itself through a command line', async () => {
    const young = await desk.browser('ana-there');
    const ours = await commandLine(young.agent);
    const invited = await ours('POST', '/v1/people/ana/passkeys');
    assert.equal(invited.status, 201, `control: right after a log-in: ${JSON.stringify(invited.body)}`);
    await age('ana');
    const old = await desk.api(young.agent, 'POST', '/v1/people/ana/passkeys');
    assert.equal(old.status, 403, 'control: the old session itself gets no passkey');
    const theirs = await commandLine(young.agent);
    assert.equal((await theirs('GET', '/v1/me')).status, 200, 'control: it is a command line of ana');
    assert.equal((await theirs('POST', '/v1/people/ana/passkeys')).status, 403);
  });

  test('what it prepared is gone with all sessions of the person: invitations and confirmed codes', async () => {
    const open = async (url: string) => {
      const { agent } = await desk.browser('nobody');
      const secret = new URL(url).hash.slice(1);
      return agent.send(`${desk.origin}/passkeys/begin`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', origin: desk.origin },
        body: JSON.stringify({ invitation: secret }),
      });
    };
    const prepare = async () => {
      const { agent } = await desk.browser('ana-there');
      const { url } = (await desk.api(agent, 'POST', '/v1/people/ana/passkeys')).json as { url: string };
      const { device_code, user_code } = await askCodes();
      await confirm(agent, user_code);
      return { url, device_code };
    };
    const kept = await prepare();
    assert.equal((await open(kept.url)).status, 200, 'control: the link opens');
    assert.notEqual(await redeem(kept.device_code), undefined, 'control: the code gives a token');
    const { url, device_code } = await prepare();
    assert.equal((await desk.send('ana', 'POST', '/v1/people/ana/revoke')).status, 200);
    assert.equal((await open(url)).status, 401);
    assert.equal(await redeem(device_code), undefined);
  });
});

describe('names that change hands', () => {
  test('a session of the provider’s person is not one of a bundle’s person of that name', async () => {
    const { name, agent } = await vouched('idp-finance');
    assert.deepEqual((await desk.api(agent, 'GET', '/v1/me')).json['roles'], ['approver'], 'control');
    await activate({
      [`people/${name}.yaml`]: person(
        name,
        `roles: [admin]\ngroups: []\nidentities: [{ issuer: corp, claims: { sub: the-other-${name} } }]`,
      ),
    });
    assert.equal((await desk.api(agent, 'GET', '/v1/me')).status, 401);
  });

  test('a session of somebody who left the bundle is not one of the provider’s person of that name', async () => {
    const mia = person(
      'mia',
      'roles: [approver]\ngroups: []\nidentities: [{ issuer: corp, claims: { sub: mia-there } }]',
    );
    await activate({ 'people/mia.yaml': mia });
    const { agent } = await desk.browser('mia-there');
    assert.equal((await desk.api(agent, 'GET', '/v1/me')).json['name'], 'mia', 'control');
    await activate({
      'people/mia.yaml': person(
        'mia-gone',
        'roles: [approver]\ngroups: []\nidentities: [{ issuer: corp, claims: { sub: gone } }]',
      ),
    });
    assert.equal((await desk.api(agent, 'GET', '/v1/me')).status, 401, 'control: nobody has that name');
    desk.provider.groups.set('mia', ['idp-ops']);
    const other = await desk.browser('mia');
    assert.equal((await desk.api(other.agent, 'GET', '/v1/me')).json['name'], 'mia', 'control');
    assert.equal((await desk.api(agent, 'GET', '/v1/me')).status, 401);
  });

  test('a session of one identity is not one of another whom the provider gave the name to', async () => {
    const { name, agent } = await vouched('idp-finance');
    const { store } = desk.broker.world;
    assert.equal((await desk.api(agent, 'GET', '/v1/me')).status, 200, 'control');
    await store.write((tx) => tx.run(`delete from directory where name = ?`, name));
    // The name is somebody else's now: what another subject's log-in would have written.
    desk.provider.groups.set(name, ['idp-ops']);
    await desk.browser(name);
    await store.write((tx) => tx.run(`update directory set subject = 'another' where name = ?`, name));
    await desk.restart();
    assert.equal((await desk.api(agent, 'GET', '/v1/me')).status, 401);
  });
});

describe('a person whom only the provider knows, suspended', () => {
  test('is nobody at once, in sessions and command lines, also after the next log-in', async () => {
    const { name, agent } = await vouched('idp-finance', 'idp-ops');
    const line = await commandLine(agent);
    const all = async () => [
      (await desk.api(agent, 'GET', '/v1/me')).status,
      (await line('GET', '/v1/me')).status,
      (await desk.browser(name)).page.status,
    ];
    assert.deepEqual(await all(), [200, 200, 200], 'control');
    const set = (verb: string) => desk.send('ben', 'POST', `/v1/people/${name}/${verb}`, { reason: 'test' });
    const suspended = await set('suspend');
    assert.equal(suspended.status, 200, JSON.stringify(suspended.body));
    assert.deepEqual(await all(), [403, 403, 400]);
    assert.equal((await set('resume')).status, 200);
    assert.equal((await desk.browser(name)).page.status, 200);
  });

  test('has no vote that counts', async () => {
    const { name, agent } = await vouched('idp-finance');
    const { run_token } = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
    const held = async () => {
      const more = { runToken: run_token };
      const { call_id } = await desk.call('bot', 'close_account', { account: 'AC-2' }, more);
      return (await desk.approvals('cleo')).find((each) => each.call_id === call_id)!;
    };
    const { approval_id, deed_digest } = await held();
    const path = `/v1/approvals/${approval_id}`;
    const voted = await desk.api(agent, 'POST', `${path}/votes`, { verdict: 'approve', deed_digest });
    assert.equal(voted.status, 200, voted.text);
    const approved = async () =>
      ((await desk.send('cleo', 'GET', path)).body['asks'] as JsonObject[])[0]!['approved'];
    assert.equal(await approved(), 1, 'control');
    await desk.send('ben', 'POST', `/v1/people/${name}/suspend`, { reason: 'test' });
    assert.equal(await approved(), 0);
  });
});

describe('whoever holds a role taken in an emergency', () => {
  test('invites nobody else to a passkey, which would outlive it; an admin does', async () => {
    const begun = await desk.send('cleo', 'POST', '/v1/break-glass', { reason: 'test', role: 'admin' });
    assert.equal(begun.status, 201, JSON.stringify(begun.body));
    assert.equal((await desk.send('cleo', 'POST', '/v1/people/ana/passkeys')).status, 403);
    assert.equal((await desk.send('ben', 'POST', '/v1/people/ana/passkeys')).status, 201, 'control');
    await desk.send('cleo', 'DELETE', `/v1/break-glass/${String(begun.body['break_glass_id'])}`);
  });

  test('undoes, suspends, revokes tokens, sets secrets and rotates keys under the id of that emergency', async () => {
    const { run_token } = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
    const args = { account: 'AC-1', amount_minor: 5 };
    const { call_id } = await desk.call('bot', 'credit', args, { runToken: run_token });
    const undo = `/v1/calls/${call_id}/undo`;
    assert.equal((await desk.send('cleo', 'POST', undo, {})).status, 403, 'control: cleo is no operator');
    const begun: unknown[] = [];
    for (const role of ['operator', 'admin']) {
      const taken = await desk.send('cleo', 'POST', '/v1/break-glass', { reason: 'test', role });
      assert.equal(taken.status, 201, JSON.stringify(taken.body));
      begun.push(taken.body['break_glass_id']);
    }
    const short = await desk.send('cleo', 'POST', '/v1/secrets/a-secret', { value: '123' });
    assert.equal(short.status, 422, JSON.stringify(short.body));
    const undone = await desk.send('cleo', 'POST', undo, {});
    assert.equal(undone.body['state'], 'undone', JSON.stringify(undone.body));
    const reason = 'test';
    const deeds: readonly [string, JsonObject, string][] = [
      ['/v1/agents/other-bot/suspend', { reason }, 'principal.suspended'],
      ['/v1/agents/other-bot/resume', { reason }, 'principal.resumed'],
      ['/v1/agents/other-bot/revocation', { reason }, 'tokens.revoked'],
      ['/v1/secrets/a-secret', { value: 'a value of the test' }, 'secret.set'],
      ['/v1/keys/rotation', { reason }, 'keys.rotated'],
    ];
    for (const [path, body] of deeds) {
      const sent = await desk.send('cleo', 'POST', path, body);
      assert.ok(sent.status < 300, `${path} ${JSON.stringify(sent.body)}`);
    }
    const entries = await Promise.all(
      ['tenant%2Facme', 'installation'].map(async (log) => {
        const sent = await desk.send('ben', 'GET', `/v1/ledger/entries?limit=1000&log=${log}`);
        const rows = sent.body['entries'] as unknown as { entry: string }[];
        return rows.map(({ entry }) => JSON.parse(entry) as { kind: string; facts: JsonObject });
      }),
    );
    const last = (kind: string) => entries.flat().findLast((each) => each.kind === kind)?.facts;
    for (const [, , kind] of deeds) assert.ok(begun.includes(last(kind)?.['break_glass']), kind);
    const of = entries.flat().filter(({ facts }) => facts['undo_of'] === call_id);
    assert.deepEqual([...new Set(of.map(({ kind }) => kind))].sort(), ['call.admitted', 'call.settled']);
    for (const { kind, facts } of of) assert.ok(begun.includes(facts['break_glass']), kind);
  });
});
