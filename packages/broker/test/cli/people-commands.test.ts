// `countersign people add`, and the file of log-ins: what is written, with which rights, and who acts by it.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { keepLogin, readLogins } from '#cli/logins.ts';
import { StubBroker } from '../../../sdk/test/stub-broker.ts';
import { run } from './fixture.ts';

let folder: string;
let broker: StubBroker;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-people-'));
  broker = await StubBroker.start();
});
afterEach(async () => {
  await broker.stop();
  rmSync(folder, { recursive: true });
});

const environment = () => ({ COUNTERSIGN_LOGINS: join(folder, 'own/logins.json') });
const login = (token = 'csp_secret') => ({ url: broker.url, token, expires_at_ms: 1 });

test('people add writes the file, the public key for review, and the private key for its owner alone', async () => {
  const out = join(folder, 'eve.jwk');
  const argv = ['people', 'add', 'eve', '--bundle', folder, '--roles', 'approver,auditor', '--out', out];
  const { code, out: said } = await run([...argv, '--groups', 'finance', '--display-name', 'Eve']);
  assert.equal(code, 0, said);
  assert.equal(
    readFileSync(join(folder, 'people/eve.yaml'), 'utf8'),
    `name: eve
display_name: Eve
roles:
  - approver
  - auditor
groups:
  - finance
keys:
  - file:keys/eve.pub.jwk
`,
  );
  assert.equal(statSync(out).mode & 0o777, 0o600);
  const { d, ...open } = JSON.parse(readFileSync(out, 'utf8')) as Record<string, string>;
  assert.ok(d !== undefined);
  assert.deepEqual(JSON.parse(readFileSync(join(folder, 'keys/eve.pub.jwk'), 'utf8')), open);
  const again = await run(argv);
  assert.equal(again.code, 2);
  assert.match(again.err, /exists already/);
});

test('people add refuses a role and a name that cannot be', async () => {
  const rest = ['--bundle', folder, '--out', join(folder, 'x.jwk')];
  assert.equal((await run(['people', 'add', 'eve', '--roles', 'root', ...rest])).code, 2);
  assert.equal((await run(['people', 'add', '../eve', '--roles', 'admin', ...rest])).code, 2);
});

test('without a name and a key a command acts by the log-in; with them, by these', async () => {
  keepLogin(environment(), broker.url, login());
  assert.equal(statSync(environment().COUNTERSIGN_LOGINS).mode & 0o777, 0o600);
  broker.answer = () => ({ body: { halts: [] } });
  const { code, err } = await run(['halts'], { environment: environment() });
  assert.equal(code, 0, err);
  assert.equal(broker.asked.at(-1)!.headers['authorization'], 'Bearer csp_secret');
  const named = await run(['halts', '--as', 'ana'], { environment: environment() });
  assert.match(named.err, /--url/);
});

test('a log-in is used at its own broker, and nowhere else', async () => {
  keepLogin(environment(), 'https://elsewhere.example', { ...login(), url: 'https://elsewhere.example' });
  const { code, err } = await run(['halts', '--url', broker.url], { environment: environment() });
  assert.equal(code, 2);
  assert.match(err, /countersign login/);
});

test('one log-in a broker is kept, and a file that others could read is refused', async () => {
  keepLogin(environment(), broker.url, login('csp_one'));
  keepLogin(environment(), broker.url, login('csp_two'));
  assert.deepEqual(
    readLogins(environment()).map(({ token }) => token),
    ['csp_two'],
  );
  chmodSync(environment().COUNTERSIGN_LOGINS, 0o644);
  const { code, err } = await run(['halts'], { environment: environment() });
  assert.equal(code, 2);
  assert.match(err, /0600/);
  mkdirSync(join(folder, 'none'));
  assert.deepEqual(readLogins({ COUNTERSIGN_LOGINS: join(folder, 'none/logins.json') }), []);
});

test('people lists by itself; passkeys are listed and removed, one’s own and as an admin those of somebody', async () => {
  const speak = (...argv: string[]) => run(['people', ...argv], { environment: environment() });
  keepLogin(environment(), broker.url, login());
  broker.answer = () => ({ body: { people: [] } });
  assert.equal((await speak()).code, 0);
  assert.equal(broker.asked.at(-1)!.path, '/v1/people');
  broker.answer = () => ({
    body: { passkeys: [{ credential_id: 'a-b', label: 'phone', created_at_ms: 0 }] },
  });
  const listed = await speak('passkeys', 'ana');
  assert.match(listed.out, /a-b +phone .*never/);
  assert.equal(broker.asked.at(-1)!.query.get('person'), 'ana');
  await speak('passkeys');
  assert.equal(broker.asked.at(-1)!.query.get('person'), null);
  broker.answer = () => ({ body: { credential_id: 'a-b' } });
  assert.match((await speak('passkeys', 'remove', 'a-b', '--person', 'ana')).out, /a-b is removed/);
  const { method, path, query } = broker.asked.at(-1)!;
  assert.deepEqual([method, path, query.get('person')], ['DELETE', '/v1/passkeys/a-b', 'ana']);
});
