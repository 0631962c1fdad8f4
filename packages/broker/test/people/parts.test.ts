// The small parts that people's pages stand on: cookies, codes, addresses, HTML, the board, the settings.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { PeopleBoard } from '#call/people-board.ts';
import { StatusBoard } from '#call/status-board.ts';
import { Allowance } from '#http/people/allowance.ts';
import { cookiePlace, readCookie, setCookie } from '#http/people/cookies.ts';
import { html, pageOf } from '#http/people/html.ts';
import { nextPage } from '#http/people/next-page.ts';
import { groupsIn } from '#identity/people/provider.ts';
import { csrfOf, newUserCode, readUserCode, sameSecret } from '#identity/people/secrets.ts';
import { principals, smallBundle } from '../doors/http-broker.ts';

test('on https a cookie is bound to this very host, and goes over nothing else', () => {
  const place = cookiePlace('https://broker.example')!;
  assert.deepEqual([place.origin, place.host], ['https://broker.example', 'broker.example']);
  const set = setCookie(place, place.session, 'x', 60);
  // RFC 6265bis §4.1.3.2: __Host- wants Secure, Path=/ and no Domain.
  assert.match(set, /^__Host-/);
  for (const wanted of ['; Secure', '; Path=/', '; HttpOnly', '; SameSite=Lax'])
    assert.ok(set.includes(wanted));
  assert.doesNotMatch(set, /Domain/i);
});

test('over plain http a browser gets a cookie on the machine itself, and nowhere else', () => {
  assert.equal(cookiePlace('http://broker.example'), null);
  assert.equal(cookiePlace('http://10.0.0.5:8787'), null);
  assert.equal(cookiePlace('http://localhost.evil.example'), null);
  const place = cookiePlace('http://127.0.0.1:8787')!;
  assert.deepEqual([place.origin, place.session], ['http://localhost:8787', 'countersign-8787']);
});

test('a cookie that is there twice is not there: somebody else set one of them', () => {
  const [one, other] = ['A'.repeat(43), 'B'.repeat(43)];
  assert.equal(readCookie({ cookie: `a=1; s=${one}; b=2` }, 's'), one);
  assert.equal(readCookie({ cookie: `s=${one}; s=${other}` }, 's'), null);
  assert.equal(readCookie({ cookie: `s="${one}"` }, 's'), null);
  assert.equal(readCookie({ cookie: `xs=${one}` }, 's'), null);
});

test('a code for people is eight letters of twenty, read however it is typed', () => {
  fc.assert(
    fc.property(fc.infiniteStream(fc.nat(255)), (bytes) => {
      const code = newUserCode((n) => Uint8Array.from({ length: n }, () => bytes.next().value!));
      assert.match(code, /^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/);
      assert.equal(readUserCode(` ${code.toLowerCase().replace('-', ' ')}`), code);
    }),
    { numRuns: 200 },
  );
  for (const wrong of ['', 'AAAA-AAAA', 'BCDF-GHJ', 'BCDF-GHJKL']) assert.equal(readUserCode(wrong), null);
});

test('a session’s token follows from its secret and tells nothing of it', () => {
  const secret = randomBytes(32).toString('base64url');
  assert.equal(csrfOf(secret), csrfOf(secret));
  assert.notEqual(csrfOf(secret), csrfOf(`${secret}x`));
  assert.ok(!csrfOf(secret).includes(secret));
  assert.ok(sameSecret(csrfOf(secret), csrfOf(secret)) && !sameSecret('', csrfOf(secret)));
});

test('whatever is asked for, a browser goes to a page of ours', () => {
  fc.assert(
    fc.property(fc.anything(), (asked) => {
      const { origin, pathname } = new URL(nextPage(asked), 'https://broker.example');
      assert.equal(origin, 'https://broker.example');
      assert.ok(['/me', '/passkeys', '/device'].includes(pathname));
    }),
  );
});

test('text in a page is text', () => {
  const page = pageOf('<i>', html`<p title="${'"x'}">${"<script>'&"}</p>${[html`<b>${'<'}</b>`]}`);
  assert.ok(page.includes('<p title="&#34;x">&#60;script&#62;&#39;&#38;</p><b>&#60;</b>'));
  assert.ok(page.includes('<title>&#60;i&#62; '));
});

test('tries are counted for each, and come back with time', () => {
  const allowance = new Allowance({ per_s: 1, burst: 2 });
  assert.deepEqual(
    [0, 0, 0, 1_000].map((now) => allowance.take('one', now)),
    [true, true, false, true],
  );
  assert.equal(allowance.take('other', 0), true);
});

test('the board: an entry holds for its time, in its tenant, and never under a name of the bundle', () => {
  const bundle = smallBundle(principals);
  const board = new PeopleBoard(new StatusBoard());
  const entry = (name: string, tenant = 'default') => ({
    ...{ tenant, name, issuer: 'https://idp.example', subject: name, display_name: name },
    ...{
      roles: ['approver', 'admin'] as const,
      groups: ['finance'],
      logged_in_at_ms: 0,
      valid_until_ms: 1_000,
    },
  });
  board.replace([entry('fay'), entry('nils'), entry('desk-agent'), entry('far', 'acme')], []);
  assert.deepEqual(board.find(bundle, 'default', 'fay', 999)?.roles, ['approver', 'admin']);
  assert.equal(board.find(bundle, 'default', 'fay', 1_000), undefined);
  assert.equal(board.find(bundle, 'acme', 'fay', 999), undefined);
  assert.deepEqual(board.find(bundle, 'default', 'nils', 999)?.roles, [], 'as the bundle has it');
  assert.equal(board.find(bundle, 'default', 'desk-agent', 999), undefined, 'an agent is no person');
  const members = (now_ms: number) => [...board.members(bundle, 'default', 'finance', now_ms)];
  assert.ok(
    members(999).includes('fay') && !members(999).includes('far') && !members(999).includes('desk-agent'),
  );
  assert.ok(!members(1_000).includes('fay'));
});

test('groups of a provider are read from lists, single texts and objects with names; all else is none', () => {
  assert.deepEqual(groupsIn({ groups: ['a', 'b'] }, 'groups'), ['a', 'b']);
  assert.deepEqual(groupsIn({ groups: 'a' }, 'groups'), ['a']);
  assert.deepEqual(groupsIn({ groups: [{ name: 'a' }, 1, null, {}] }, 'groups'), ['a']);
  for (const none of [{}, { groups: null }, { groups: { a: true } }])
    assert.deepEqual(groupsIn(none, 'groups'), []);
});
