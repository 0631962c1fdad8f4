// Attacks on people's log-in and sessions. Each changes one thing of an exchange that, as the control shows, works.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import { type PeopleDesk, startPeopleDesk } from '../people/people-desk.ts';
import { csrfIn, UserAgent } from '../people/user-agent.ts';

let desk: PeopleDesk;
before(async () => {
  desk = await startPeopleDesk();
  for (const login of ['opal', 'otto']) desk.provider.groups.set(login, ['idp-ops', 'idp-finance']);
});
after(() => desk.close());

const HALT = { scope: 'agent', target: 'other-bot', reason: 'test' };
const digest = (secret: string): string => createHash('sha256').update(secret).digest('hex');
const CALLBACK = /\/login\/callback/;

async function csrfOf(agent: UserAgent): Promise<string> {
  return (await desk.api(agent, 'GET', '/v1/me')).json['csrf_token'] as string;
}

async function halt(agent: UserAgent, headers: Record<string, string>) {
  return agent.send(`${desk.origin}/v1/halts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(HALT),
  });
}

/** Changes what the store holds, as time or somebody else would have. */
async function change(sql: string, ...values: (string | number)[]): Promise<void> {
  const { changes } = await desk.broker.world.store.write((tx) => tx.run(sql, ...values));
  assert.notEqual(changes, 0, sql);
}

describe('a page elsewhere that makes a browser send requests (CSRF)', () => {
  test('control: our own page changes something', async () => {
    const { agent } = await desk.browser('opal');
    const sent = await halt(agent, { origin: desk.origin, 'x-csrf-token': await csrfOf(agent) });
    assert.equal(sent.status, 201, sent.text);
  });

  const attacks: readonly [string, (own: string, foreign: string) => Record<string, string>][] = [
    ['without the token', () => ({ origin: desk.origin })],
    ['with an empty token', () => ({ origin: desk.origin, 'x-csrf-token': '' })],
    ['with the token of another session', (_, foreign) => ({ origin: desk.origin, 'x-csrf-token': foreign })],
    ['without an Origin', (own) => ({ 'x-csrf-token': own })],
    ['with a foreign Origin', (own) => ({ origin: 'https://evil.example', 'x-csrf-token': own })],
    ['with the Origin null of a sandbox', (own) => ({ origin: 'null', 'x-csrf-token': own })],
    ['from another port of the machine', (own) => ({ origin: 'http://localhost:1', 'x-csrf-token': own })],
    ['from the same port under another name', (own) => ({ origin: desk.url, 'x-csrf-token': own })],
  ];
  for (const [name, headers] of attacks) {
    test(`${name}: refused, nothing is changed`, async () => {
      const { agent } = await desk.browser('opal');
      const other = await desk.browser('otto');
      const before_ = (await desk.api(agent, 'GET', '/v1/halts')).text;
      const sent = await halt(agent, headers(await csrfOf(agent), await csrfOf(other.agent)));
      assert.equal(sent.status, 403, sent.text);
      assert.equal((await desk.api(agent, 'GET', '/v1/halts')).text, before_);
    });
  }

  for (const path of ['/logout', '/device', '/device/decide']) {
    test(`a form to ${path} without its token, or from elsewhere: refused`, async () => {
      const { agent, page } = await desk.browser('opal');
      const fields = { user_code: 'BCDF-GHJK', decision: 'confirm' };
      const csrf = csrfIn(page);
      assert.equal((await agent.post(`${desk.origin}${path}`, fields)).status, 403);
      const away = await agent.post(
        `${desk.origin}${path}`,
        { ...fields, csrf },
        { origin: 'https://evil.example' },
      );
      assert.equal(away.status, 403);
      const own = await agent.post(`${desk.origin}${path}`, { ...fields, csrf });
      assert.notEqual(own.status, 403, 'control: with both it is looked at');
    });
  }

  test('a cookie does not speak where another token does, and an access token needs no page', async () => {
    const { agent } = await desk.browser('opal');
    const dora = `Bearer ${await desk.token('dora')}`;
    const sent = await halt(agent, {
      origin: desk.origin,
      authorization: dora,
      'x-csrf-token': await csrfOf(agent),
    });
    assert.equal(sent.status, 403, 'dora is no operator: the cookie of one does not help');
    assert.equal((await desk.send('ben', 'POST', '/v1/halts', HALT)).status, 201, 'control');
  });
});

describe('sessions that somebody else has', () => {
  test('fixation: a value that was planted before the log-in is worth nothing after it', async () => {
    const agent = new UserAgent();
    const planted = 'A'.repeat(43);
    agent.cookies('localhost').set(desk.cookie, planted);
    await agent.logIn(`${desk.origin}/login/start`, 'opal');
    const given = agent.cookies('localhost').get(desk.cookie);
    assert.notEqual(given, planted);
    assert.equal((await desk.api(agent, 'GET', '/v1/me')).status, 200, 'control: what was given opens');
    const thief = new UserAgent();
    thief.cookies('localhost').set(desk.cookie, planted);
    assert.equal((await desk.api(thief, 'GET', '/v1/me')).status, 401);
  });

  test('fixation: an attacker’s own session, planted, does not become the victim’s', async () => {
    const attacker = await desk.browser('otto');
    const secret = attacker.agent.cookies('localhost').get(desk.cookie)!;
    const victim = new UserAgent();
    victim.cookies('localhost').set(desk.cookie, secret);
    await victim.logIn(`${desk.origin}/login/start`, 'opal');
    assert.equal((await desk.api(victim, 'GET', '/v1/me')).json['name'], 'opal', 'control');
    assert.equal((await desk.api(attacker.agent, 'GET', '/v1/me')).status, 401, 'and it has ended besides');
  });

  test('a log-in of the attacker’s that is slipped into the victim’s browser is not taken', async () => {
    const attacker = new UserAgent();
    const back = await attacker.logIn(`${desk.origin}/login/start`, 'otto', CALLBACK);
    const victim = new UserAgent();
    assert.equal((await victim.open(back.url)).status, 400, 'the victim began none');
    await victim.send(`${desk.origin}/login/start`);
    assert.equal((await victim.open(back.url)).status, 400, 'the victim began another');
    assert.equal(
      (await attacker.open(back.url)).url,
      `${desk.origin}/me`,
      'control: where it was begun it works',
    );
  });

  test('a stolen cookie after log-out', async () => {
    const { agent, page } = await desk.browser('opal');
    const thief = new UserAgent();
    thief.cookies('localhost').set(desk.cookie, agent.cookies('localhost').get(desk.cookie)!);
    assert.equal((await desk.api(thief, 'GET', '/v1/me')).status, 200, 'control: before, it opens');
    await agent.post(`${desk.origin}/logout`, { csrf: csrfIn(page) });
    assert.equal((await desk.api(thief, 'GET', '/v1/me')).status, 401);
  });

  test('a session that was not used for too long, and one that is too old however much it is used', async () => {
    for (const column of ['last_used_at_ms', 'expires_at_ms']) {
      const { agent } = await desk.browser('opal');
      const secret = agent.cookies('localhost').get(desk.cookie)!;
      assert.equal((await desk.api(agent, 'GET', '/v1/me')).status, 200, 'control');
      await change(`update sessions set ${column} = ${column} - 86400000 where digest = ?`, digest(secret));
      assert.equal((await desk.api(agent, 'GET', '/v1/me')).status, 401, column);
      assert.match((await agent.open(`${desk.origin}/me`)).url, /\/login/);
    }
  });

  test('a cookie’s secret as a command line’s token, and the other way round', async () => {
    const { agent } = await desk.browser('opal');
    const secret = agent.cookies('localhost').get(desk.cookie)!;
    const sent = await desk.send(null, 'GET', '/v1/me', undefined, { authorization: `Bearer csp_${secret}` });
    assert.equal(sent.status, 401);
    const token = await deviceToken(agent);
    const own = await desk.send(null, 'GET', '/v1/me', undefined, { authorization: `Bearer ${token}` });
    assert.equal(own.status, 200, 'control');
    const other = new UserAgent();
    other.cookies('localhost').set(desk.cookie, token.replace('csp_', ''));
    assert.equal((await desk.api(other, 'GET', '/v1/me')).status, 401);
  });

  test('the store keeps no secret of a session', async () => {
    const { agent } = await desk.browser('opal');
    const secret = agent.cookies('localhost').get(desk.cookie)!;
    const rows = await desk.broker.world.store.read((tx) => tx.all('select * from sessions'));
    assert.ok(JSON.stringify(rows).includes(digest(secret)), 'control');
    assert.ok(!JSON.stringify(rows).includes(secret));
  });

  test('a person who is suspended in the bundle', async () => {
    const file = { 'people/ana.yaml': person('active') };
    desk.write(file);
    await desk.send('ben', 'POST', '/v1/bundle');
    desk.provider.groups.set('ana-there', ['idp-ops']);
    const { agent } = await desk.browser('ana-there');
    assert.equal((await desk.api(agent, 'GET', '/v1/me')).json['name'], 'ana', 'control');
    desk.write({ 'people/ana.yaml': person('suspended') });
    await desk.send('ben', 'POST', '/v1/bundle');
    assert.equal((await desk.api(agent, 'GET', '/v1/me')).status, 403);
    assert.equal((await desk.browser('ana-there')).page.status, 400);
  });
});

function person(status: string): string {
  return `
name: ana
tenant: acme
status: ${status}
roles: [approver]
groups: [finance, leads]
identities: [{ issuer: corp, claims: { sub: ana-there } }]
keys: ["file:keys/ana.pub.jwk"]
`;
}

describe('answers of a provider that are not the answer to this log-in', () => {
  async function comeBack(login = 'opal') {
    const agent = new UserAgent();
    const { url } = await agent.logIn(`${desk.origin}/login/start`, login, CALLBACK);
    return { agent, url: new URL(url) };
  }

  test('control: the answer as it came', async () => {
    const { agent, url } = await comeBack();
    assert.ok(url.searchParams.get('iss') !== null, 'the provider names itself');
    assert.equal((await agent.open(url.href)).url, `${desk.origin}/me`);
  });

  const attacks: readonly [string, (query: URLSearchParams) => void][] = [
    ['another state', (query) => query.set('state', 'A'.repeat(43))],
    ['no state', (query) => query.delete('state')],
    ['two states', (query) => query.append('state', 'other')],
    ['another issuer (mix-up)', (query) => query.set('iss', 'https://evil.example')],
    ['no issuer, where the provider always names itself', (query) => query.delete('iss')],
    ['an error beside the code', (query) => query.set('error', 'access_denied')],
    ['no code', (query) => query.delete('code')],
    ['another code', (query) => query.set('code', 'A'.repeat(43))],
  ];
  for (const [name, spoil] of attacks) {
    test(`${name}: refused, and the log-in is over`, async () => {
      const { agent, url } = await comeBack();
      const spoilt = new URL(url);
      spoil(spoilt.searchParams);
      const refused = await agent.open(spoilt.href);
      assert.equal(refused.status, 400);
      assert.equal(agent.cookies('localhost').has(desk.cookie), false);
      assert.equal((await agent.open(url.href)).status, 400, 'what was begun is taken once');
    });
  }

  test('a code of the attacker’s own log-in, under the victim’s state: PKCE refuses it', async () => {
    const attacker = await comeBack('otto');
    const victim = await comeBack('opal');
    victim.url.searchParams.set('code', attacker.url.searchParams.get('code')!);
    assert.equal((await victim.agent.open(victim.url.href)).status, 400);
  });

  test('an ID token with another nonce', async () => {
    const agent = new UserAgent();
    const { url } = await agent.logIn(`${desk.origin}/login/start`, 'opal', CALLBACK);
    const begun = agent.cookies('localhost').get(desk.cookie.replace('countersign-', 'countersign-begun-'))!;
    const row = await desk.broker.world.store.read((tx) =>
      tx.get<{ data: string }>('select data from ceremonies where digest = ?', digest(begun)),
    );
    const data = JSON.parse(row!.data) as { pending: JsonObject };
    const other = JSON.stringify({ ...data, pending: { ...data.pending, nonce: 'another' } });
    await change('update ceremonies set data = ? where digest = ?', other, digest(begun));
    assert.equal((await agent.open(url)).status, 400);
  });

  test('an answer that was used, once more', async () => {
    const { agent, url } = await comeBack();
    assert.equal((await agent.open(url.href)).url, `${desk.origin}/me`, 'control');
    assert.equal((await agent.open(url.href)).status, 400);
  });

  test('a log-in begun too long ago', async () => {
    const { agent, url } = await comeBack();
    await change('update ceremonies set expires_at_ms = 0');
    assert.equal((await agent.open(url.href)).status, 400);
  });

  test('why it failed is told to the log alone: all failures read the same', async () => {
    const texts = new Set<string>();
    for (const spoil of [attacks[0]![1], attacks[3]![1], attacks[7]![1]]) {
      const { agent, url } = await comeBack();
      spoil(url.searchParams);
      texts.add((await agent.open(url.href)).text);
    }
    texts.add((await desk.browser('nobody')).page.text);
    assert.equal(texts.size, 1);
  });
});

describe('addresses to send a browser to (open redirect)', () => {
  const attacks = [
    'https://evil.example',
    '//evil.example',
    '/\\evil.example',
    '/%2f%2fevil.example',
    'javascript:alert(1)',
    '/me@evil.example',
    '/me\r\nset-cookie: a=b',
    '/device?user_code=<script>',
    '/logout',
  ];
  for (const next of attacks) {
    test(`${JSON.stringify(next)} leads to the own page`, async () => {
      const { page } = await desk.browser('opal', `?next=${encodeURIComponent(next)}`);
      assert.equal(page.url, `${desk.origin}/me`);
    });
  }
  test('control: a page of ours is where it goes', async () => {
    const { page } = await desk.browser('opal', `?next=${encodeURIComponent('/device?user_code=BCDF-GHJK')}`);
    assert.equal(page.url, `${desk.origin}/device?user_code=BCDF-GHJK`);
  });
  test('what a page shows of an address is text', async () => {
    const { agent } = await desk.browser('opal');
    const page = await agent.open(`${desk.origin}/device?user_code=${encodeURIComponent('"><b>x')}`);
    assert.doesNotMatch(page.text, /<b>x/);
  });
});

let people = 0;

/** A browser of an operator who has typed no code yet: tries are counted for each person. */
async function somebody(): Promise<UserAgent> {
  const login = `somebody-${++people}`;
  desk.provider.groups.set(login, ['idp-ops']);
  return (await desk.browser(login)).agent;
}

interface Codes {
  readonly device_code: string;
  readonly user_code: string;
}

async function askCodes(): Promise<Codes> {
  const answer = await fetch(`${desk.url}/oauth/device_authorization`, {
    method: 'POST',
    body: new URLSearchParams({ client_id: 'countersign-cli' }),
  });
  assert.equal(answer.status, 200);
  return (await answer.json()) as Codes;
}

async function poll(device_code: string, client_id = 'countersign-cli') {
  const grant_type = 'urn:ietf:params:oauth:grant-type:device_code';
  const body = new URLSearchParams({ grant_type, client_id, device_code });
  const answer = await fetch(`${desk.url}/oauth/token`, { method: 'POST', body });
  return { status: answer.status, body: (await answer.json()) as Record<string, string> };
}

async function decide(agent: UserAgent, user_code: string, decision = 'confirm') {
  const csrf = await csrfOf(agent);
  const seen = await agent.post(`${desk.origin}/device`, { csrf, user_code });
  if (seen.status !== 200) return seen;
  return agent.post(`${desk.origin}/device/decide`, { csrf, user_code, decision });
}

async function deviceToken(agent: UserAgent): Promise<string> {
  const { device_code, user_code } = await askCodes();
  assert.match((await decide(agent, user_code)).text, /Confirmed/);
  return (await poll(device_code)).body['access_token']!;
}

describe('codes of a command line', () => {
  test('control: a person confirms, and the command line has one token for that person', async () => {
    const agent = await somebody();
    const token = await deviceToken(agent);
    const me = await desk.send(null, 'GET', '/v1/me', undefined, { authorization: `Bearer ${token}` });
    assert.deepEqual([me.body['via'], me.body['csrf_token']], ['provider', undefined]);
  });

  test('nothing is given before a person confirms, and too eager a command line is slowed down', async () => {
    const { device_code } = await askCodes();
    assert.equal((await poll(device_code)).body['error'], 'authorization_pending');
    assert.equal((await poll(device_code)).body['error'], 'slow_down');
  });

  test('a code gives one token', async () => {
    const agent = await somebody();
    const { device_code, user_code } = await askCodes();
    await decide(agent, user_code);
    assert.ok((await poll(device_code)).body['access_token'], 'control');
    assert.equal((await poll(device_code)).body['error'], 'invalid_grant');
    assert.equal((await decide(agent, user_code)).status, 404, 'and is confirmed once');
  });

  test('a code that was refused gives none', async () => {
    const agent = await somebody();
    const { device_code, user_code } = await askCodes();
    assert.match((await decide(agent, user_code, 'deny')).text, /Refused/);
    assert.equal((await poll(device_code)).body['error'], 'access_denied');
  });

  test('a code that has expired', async () => {
    const agent = await somebody();
    const { device_code, user_code } = await askCodes();
    await change('update device_codes set expires_at_ms = 0');
    assert.equal((await decide(agent, user_code)).status, 404);
    assert.equal((await poll(device_code)).body['error'], 'expired_token');
  });

  test('a guessed device code, and the right one of another client', async () => {
    const { device_code } = await askCodes();
    assert.equal((await poll('A'.repeat(43))).body['error'], 'invalid_grant');
    assert.equal((await poll(device_code, 'another')).body['error'], 'invalid_grant');
    assert.equal((await poll(device_code)).body['error'], 'authorization_pending', 'control');
  });

  test('guessing codes of others ends after a few tries', async () => {
    desk.provider.groups.set('gail', ['idp-ops']);
    const { agent } = await desk.browser('gail');
    const csrf = await csrfOf(agent);
    const told: number[] = [];
    for (let tries = 0; tries < 12; tries++) {
      told.push((await agent.post(`${desk.origin}/device`, { csrf, user_code: 'BCDF-GHJK' })).status);
    }
    assert.equal(told[0], 404, 'control: a guess is looked at');
    assert.equal(told.at(-1), 429);
  });

  test('nobody confirms without being logged in', async () => {
    const { user_code } = await askCodes();
    const stranger = new UserAgent();
    const page = await stranger.open(`${desk.origin}/device?user_code=${user_code}`);
    assert.equal(new URL(page.url).pathname, '/login');
  });

  test('who confirmed and has lost every role meanwhile', async () => {
    desk.provider.groups.set('lou', ['idp-ops']);
    const { agent } = await desk.browser('lou');
    const { device_code, user_code } = await askCodes();
    await decide(agent, user_code);
    desk.provider.groups.set('lou', []);
    await desk.browser('lou');
    assert.equal((await poll(device_code)).body['error'], 'access_denied');
  });

  test('the page that confirms warns, and names code, person and address', async () => {
    const agent = await somebody();
    const name = (await desk.api(agent, 'GET', '/v1/me')).json['name'] as string;
    const { user_code } = await askCodes();
    const page = await agent.post(`${desk.origin}/device`, { csrf: await csrfOf(agent), user_code });
    for (const said of [user_code, name, '127.0.0.1', 'it is an attack', 'your own terminal']) {
      assert.ok(page.text.includes(said), said);
    }
  });
});

describe('agents at what is for people', () => {
  for (const path of ['/v1/me', '/v1/sessions', '/v1/people', '/v1/passkeys', '/v1/break-glass']) {
    test(`${path} with an agent’s token`, async () => {
      assert.equal((await desk.send('bot', 'GET', path)).status, 403);
      assert.equal((await desk.send('ben', 'GET', path)).status, 200, 'control');
    });
  }
  test('an agent’s token is no cookie, and opens no page', async () => {
    const agent = new UserAgent();
    const authorization = `Bearer ${await desk.token('bot')}`;
    assert.match((await agent.open(`${desk.origin}/me`, { headers: { authorization } })).url, /\/login/);
    agent.cookies('localhost').set(desk.cookie, await desk.token('bot'));
    assert.match((await agent.open(`${desk.origin}/me`)).url, /\/login/);
  });
  test('a person’s session makes no calls and opens no MCP endpoint', async () => {
    const agent = await somebody();
    const token = `Bearer ${await deviceToken(agent)}`;
    const call = { tool: 'read_note', args: { note: 'N-2' } };
    const sent = await desk.send(null, 'POST', '/v1/calls', call, { authorization: token });
    assert.equal(sent.status, 403);
    const listed = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
    const mcp = await fetch(`${desk.url}/mcp`, {
      method: 'POST',
      headers: {
        authorization: token,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify(listed),
    });
    assert.equal(mcp.status, 401);
  });
});
