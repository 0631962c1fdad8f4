// People's pages in a real browser, by role and label: the provider, passkeys, the command line; and attacks on passkeys.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { run } from '../cli/fixture.ts';
import { type PeopleDesk, startPeopleDesk } from '../people/people-desk.ts';
import { UserAgent } from '../people/user-agent.ts';
import { type Authenticator, addAuthenticator, openBrowser } from './open-browser.ts';

let desk: PeopleDesk;
let browser: Browser;
let folder: string;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-browser-'));
  desk = await startPeopleDesk();
  browser = await openBrowser();
});
after(async () => {
  await browser.close();
  await desk.close();
  rmSync(folder, { recursive: true });
});

interface Tab {
  readonly context: BrowserContext;
  readonly page: Page;
  readonly authenticator: Authenticator;
  /** What the page complained of: scripts and styles that the policy refused, errors. */
  readonly complaints: string[];
}

/** A browser of somebody's, on a phone. */
async function openTab(): Promise<Tab> {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 } });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (line) => {
    if (/Content Security Policy|Refused/.test(line.text())) complaints.push(line.text());
  });
  return { context, page, authenticator: await addAuthenticator(context, page), complaints };
}

async function invitation(name: string, by = name): Promise<string> {
  const { status, body } = await desk.send(by, 'POST', `/v1/people/${name}/passkeys`);
  assert.equal(status, 201, JSON.stringify(body));
  return body['url'] as string;
}

/** Registers a passkey for a person by an invitation; the tab is logged in then. */
async function register(tab: Tab, name: string): Promise<void> {
  await tab.page.goto(await invitation(name));
  await tab.page.getByLabel('Name of this device').fill('test phone');
  await tab.page.getByRole('button', { name: 'Add a passkey' }).click();
  await tab.page.waitForURL(`${desk.origin}/me`);
}

test('log-in at the provider leads back to a page that says who one is, and out again', async () => {
  desk.provider.groups.set('fay', ['idp-finance']);
  const { page, context, complaints } = await openTab();
  await page.goto(`${desk.origin}/login`);
  await page.getByRole('link', { name: 'Continue with your organisation' }).click();
  await page.locator('input[name=login]').fill('fay');
  await page.locator('input[name=password]').fill('any');
  await page.locator('button[type=submit]').click();
  await page.locator('button[type=submit]').click();
  await page.waitForURL(`${desk.origin}/me`);
  await page.getByText('approver').waitFor();
  const cookie = (await context.cookies()).find(({ name }) => name === desk.cookie)!;
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path], [true, 'Lax', '/']);
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByRole('heading', { name: 'You are logged out' }).waitFor();
  assert.equal(
    (await context.cookies()).some(({ name }) => name === desk.cookie),
    false,
  );
  assert.deepEqual(complaints, []);
  await context.close();
});

test('by an address of the machine, a browser is led to the name that passkeys need', async () => {
  const { page, context } = await openTab();
  await page.goto(`${desk.url}/login`);
  assert.equal(page.url(), `${desk.origin}/login`);
  await context.close();
});

test('an invitation registers a passkey, once; the passkey logs in, counts up, and is removed', async () => {
  const tab = await openTab();
  const { page, context, authenticator, complaints } = tab;
  const link = await invitation('cleo', 'ben');
  await page.goto(link);
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  await page.waitForURL(`${desk.origin}/me`);
  await page.getByText('cleo (cleo)').waitFor();
  const [credential] = await authenticator.credentials();

  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByRole('link', { name: 'Log in' }).click();
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await page.waitForURL(`${desk.origin}/me`);
  const me = await page.evaluate<{ name: string; via: string }>(
    `fetch('/v1/me').then((told) => told.json())`,
  );
  assert.deepEqual([me.name, me.via], ['cleo', 'passkey']);

  const second = await openTab();
  await second.page.goto(link);
  await second.page.getByRole('button', { name: 'Add a passkey' }).click();
  await second.page.getByText('It did not work').waitFor();
  assert.deepEqual(await second.authenticator.credentials(), []);
  await second.context.close();

  const { body } = await desk.send('cleo', 'GET', '/v1/passkeys');
  const [kept] = body['passkeys'] as { credential_id: string }[];
  assert.equal(kept!.credential_id, Buffer.from(credential!.credentialId, 'base64').toString('base64url'));
  await desk.send('cleo', 'DELETE', `/v1/passkeys/${kept!.credential_id}`);
  await page.goto(`${desk.origin}/login?again=1`);
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await page.getByText('It did not work').waitFor();
  assert.deepEqual(complaints, []);
  await context.close();
});

test('a further passkey needs a session of the last ten minutes', async () => {
  const tab = await openTab();
  const { page, context } = tab;
  await register(tab, 'ana');
  await page.goto(`${desk.origin}/passkeys`);
  await page.getByRole('button', { name: 'Add a passkey' }).waitFor();
  await desk.broker.world.store.write((tx) =>
    tx.run(`update sessions set authenticated_at_ms = authenticated_at_ms - 700000 where person = 'ana'`),
  );
  const refused = await page.evaluate(`(async () => {
    const { csrf } = document.querySelector('button[data-csrf]').dataset;
    const headers = { 'content-type': 'application/json', 'x-csrf-token': csrf };
    return (await fetch('/passkeys/begin', { method: 'POST', headers, body: '{}' })).status;
  })()`);
  assert.equal(refused, 401);
  await page.goto(`${desk.origin}/passkeys`);
  await page.getByRole('link', { name: 'Log in anew' }).click();
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await page.waitForURL(`${desk.origin}/passkeys`);
  await page.getByRole('button', { name: 'Add a passkey' }).waitFor();
  await context.close();
});

test('countersign login: the page warns and names the code, confirms; the token acts until it is given back', async () => {
  const tab = await openTab();
  const { page, context } = tab;
  await register(tab, 'ben');
  const logins = join(folder, 'private/logins.json');
  const environment = { COUNTERSIGN_URL: desk.url, COUNTERSIGN_LOGINS: logins };
  const told = Promise.withResolvers<string>();
  const logging = runTelling(['login'], environment, (line) => {
    if (line.startsWith('Open ')) told.resolve(line.slice('Open '.length));
  });
  const address = await told.promise;
  await page.goto(address);
  await page.getByRole('button', { name: 'Go on' }).click();
  const code = new URL(address).searchParams.get('user_code')!;
  await page.getByText(code, { exact: true }).waitFor();
  await page.getByText('it is an attack').waitFor();
  await page.getByRole('button', { name: 'Yes, I started it: confirm' }).click();
  await page.getByRole('heading', { name: 'Confirmed' }).waitFor();
  assert.equal((await logging).code, 0);
  assert.equal(statSync(logins).mode & 0o777, 0o600);

  const who = await run(['whoami'], { environment });
  assert.match(who.out, /ben/);
  const listed = await run(['people', 'list'], { environment: { COUNTERSIGN_LOGINS: logins } });
  assert.match(listed.out, /cleo/);
  const out = await run(['logout'], { environment });
  assert.match(out.out, /Logged out/);
  const after_ = await run(['whoami'], { environment });
  assert.equal(after_.code, 2, 'nothing is left to act with');
  await context.close();
});

async function runTelling(
  argv: readonly string[],
  environment: Record<string, string>,
  heard: (line: string) => void,
): Promise<{ readonly code: number }> {
  const { runProgram } = await import('#cli/program.ts');
  const terminal = { out: heard, err: heard, ask: async () => null, input: async () => '' };
  return { code: await runProgram(argv, { environment, serve: async () => undefined, terminal }) };
}

describe('passkeys that are not this person’s, here and now', () => {
  let tab: Tab;
  before(async () => {
    tab = await openTab();
    await register(tab, 'dora');
  });
  after(() => tab.context.close());

  /** An attacker’s own client, which says whatever Origin it likes, with a log-in begun in its own name. */
  async function begin(): Promise<{ agent: UserAgent; options: JsonObject }> {
    const agent = new UserAgent();
    const page = await post(agent, '/login/passkey/begin', {});
    return { agent, options: (JSON.parse(page.text) as { options: JsonObject }).options };
  }

  function post(agent: UserAgent, path: string, body: JsonObject) {
    return agent.send(`${desk.origin}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: desk.origin },
      body: JSON.stringify(body),
    });
  }

  /** What the authenticator answers on the page that is open. */
  function sign(page: Page, options: JsonObject): Promise<JsonObject> {
    return page.evaluate(`(async () => {
      const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(${JSON.stringify(options)});
      return (await navigator.credentials.get({ publicKey })).toJSON();
    })()`);
  }

  test('control: an assertion for this challenge, from our page, logs in', async () => {
    await tab.page.goto(`${desk.origin}/login?again=1`);
    const { agent, options } = await begin();
    const ended = await post(agent, '/login/passkey/end', { response: await sign(tab.page, options) });
    assert.equal(ended.status, 200, ended.text);
  });

  test('the same assertion again, under its own and under another challenge', async () => {
    const { agent, options } = await begin();
    const response = await sign(tab.page, options);
    assert.equal((await post(agent, '/login/passkey/end', { response })).status, 200, 'control');
    assert.equal((await post(agent, '/login/passkey/end', { response })).status, 401);
    const anew = await begin();
    assert.equal((await post(anew.agent, '/login/passkey/end', { response })).status, 401);
  });

  test('an assertion that was made on a page elsewhere, for another RP id', async () => {
    const elsewhere = await pageElsewhere();
    const { port } = elsewhere.address() as AddressInfo;
    const page = await tab.context.newPage();
    await page.goto(`http://evil.localhost:${port}/`);
    const authenticator = await addAuthenticator(tab.context, page);
    const { agent, options } = await begin();
    const response = await page.evaluate<JsonObject>(`(async () => {
      const id = 'evil.localhost';
      const base = { challenge: '${String(options['challenge'])}', rpId: id };
      const made = await navigator.credentials.create({
        publicKey: PublicKeyCredential.parseCreationOptionsFromJSON({
          ...base,
          rp: { id, name: 'Countersign' },
          user: { id: 'ZG9yYQ', name: 'dora', displayName: 'dora' },
          pubKeyCredParams: [{ type: 'public-key', alg: -7 }],
        }),
      });
      const allowCredentials = [{ type: 'public-key', id: made.id }];
      const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON({ ...base, allowCredentials });
      return (await navigator.credentials.get({ publicKey })).toJSON();
    })()`);
    // As if dora's authenticator had been made to sign there: the credential's id is hers.
    const { body } = await desk.send('dora', 'GET', '/v1/passkeys');
    const [hers] = body['passkeys'] as { credential_id: string }[];
    const forged = { ...response, id: hers!.credential_id, rawId: hers!.credential_id };
    assert.equal((await post(agent, '/login/passkey/end', { response: forged })).status, 401);
    const again = await begin();
    assert.equal((await post(again.agent, '/login/passkey/end', { response })).status, 401);
    assert.equal(
      (await authenticator.credentials()).length,
      1,
      'control: the page elsewhere did get a signature',
    );
    await page.close();
    elsewhere.close();
  });

  test('dora’s own key, used on a page of another origin under our RP id', async () => {
    const elsewhere = await pageElsewhere();
    const { port } = elsewhere.address() as AddressInfo;
    // The same host name on another port: the browser allows our RP id there, so only the origin tells.
    await tab.page.goto(`http://localhost:${port}/`);
    const { agent, options } = await begin();
    const response = await sign(tab.page, options);
    assert.equal((await post(agent, '/login/passkey/end', { response })).status, 401);
    elsewhere.close();
    await tab.page.goto(`${desk.origin}/login?again=1`);
    const own = await begin();
    const right = await sign(tab.page, own.options);
    assert.equal((await post(own.agent, '/login/passkey/end', { response: right })).status, 200, 'control');
  });

  test('an authenticator that was touched by somebody whom it did not verify', async () => {
    await tab.authenticator.verifies(false);
    const { agent, options } = await begin();
    const response = await sign(tab.page, { ...options, userVerification: 'discouraged' });
    assert.equal((await post(agent, '/login/passkey/end', { response })).status, 401);
    await tab.authenticator.verifies(true);
    const anew = await begin();
    const verified = await sign(tab.page, anew.options);
    assert.equal(
      (await post(anew.agent, '/login/passkey/end', { response: verified })).status,
      200,
      'control',
    );
  });

  test('a copied authenticator, whose counter is behind', async () => {
    const { agent, options } = await begin();
    const response = await sign(tab.page, options);
    await desk.broker.world.store.write((tx) =>
      tx.run(`update passkeys set counter = counter + 1000 where person = 'dora'`),
    );
    assert.equal((await post(agent, '/login/passkey/end', { response })).status, 401);
    await desk.broker.world.store.write((tx) =>
      tx.run(`update passkeys set counter = counter - 1000 where person = 'dora'`),
    );
    const anew = await begin();
    const fresh = await sign(tab.page, anew.options);
    assert.equal((await post(anew.agent, '/login/passkey/end', { response: fresh })).status, 200, 'control');
  });
});

/** A page that is not ours. */
async function pageElsewhere(): Promise<Server> {
  const server = createServer((_request, response) => {
    response
      .writeHead(200, { 'content-type': 'text/html', connection: 'close' })
      .end('<!doctype html><title>x</title>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
