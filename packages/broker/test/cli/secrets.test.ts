// `countersign secrets`: a value comes by standard input, is told by nothing, and each change is in the ledger.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startTestBroker, type TestBroker } from '../harness.ts';
import { run } from './fixture.ts';

const CANARY = 'whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5';
let broker: TestBroker;
let environment: Record<string, string>;

before(async () => {
  const person = (name: string, roles: string, tenant = '') =>
    `name: ${name}\ndisplay_name: ${name}\n${tenant}roles: [${roles}]\ngroups: []\nkeys: ["file:keys/${name}.pub.jwk"]\n`;
  broker = await startTestBroker(
    {
      'countersign.yaml': `data_dir: ../data
listen: {port: 0}
tenants: [default, acme]
alerts: {webhooks: [{url: "https://alerts.example.com/x", secret: "sealed:alerts"}]}
`,
      'people/olga.yaml': person('olga', 'admin'),
      'people/paul.yaml': person('paul', 'operator, approver'),
      'people/fran.yaml': person('fran', 'admin', 'tenant: acme\n'),
    },
    ['olga', 'paul', 'fran'],
  );
  environment = Object.fromEntries(['olga', 'paul', 'fran'].map((name) => [name, keyFile(name)]));
});
after(() => broker.close());

function keyFile(name: string): string {
  const path = join(broker.root, `${name}.jwk`);
  writeFileSync(path, JSON.stringify(broker.key(name).export({ format: 'jwk' })), { mode: 0o600 });
  return path;
}

function secrets(as: string, argv: readonly string[], input = '') {
  const given = { COUNTERSIGN_URL: broker.url, COUNTERSIGN_AS: as, COUNTERSIGN_KEY: environment[as] };
  return run(['secrets', ...argv], { environment: given, input });
}

test('a secret is set from standard input, listed with where it is used, and never shown', async () => {
  const set = await secrets('olga', ['set', 'alerts'], `${CANARY}\n`);
  assert.equal(set.code, 0, set.err);
  assert.match(set.out, /alerts is sealed, version 1\. Refer to it as sealed:alerts/);
  const listed = await secrets('olga', ['list']);
  assert.match(listed.out, /alerts +1 +.* olga +webhook https:\/\/alerts\.example\.com/);
  for (const { out, err } of [set, listed]) assert.ok(!`${out}${err}`.includes('Y2FuYXJ5'));
  const sent = await broker.send('olga', 'GET', '/v1/ledger/entries?log=installation&limit=100');
  const text = JSON.stringify(sent.body);
  assert.match(text, /secret\.set/);
  assert.ok(!text.includes('Y2FuYXJ5'));
});

test('the command has no option or argument that could carry a value', async () => {
  const extra = await secrets('olga', ['set', 'alerts', CANARY]);
  assert.equal(extra.code, 2);
  assert.match(extra.err, /too many arguments/);
  assert.equal((await secrets('olga', ['set', 'alerts', '--value', CANARY])).code, 2);
  assert.equal((await secrets('olga', ['set', 'empty'], '\n')).code, 2);
  assert.ok(!(await secrets('olga', ['list'])).out.includes('empty'));
});

test('a name that no reference could name is refused', async () => {
  assert.equal((await secrets('olga', ['set', 'No/Name'], 'x')).code, 3);
});

test('only admins of the first tenant touch secrets', async () => {
  for (const as of ['paul', 'fran']) {
    for (const argv of [['set', 'alerts'], ['list'], ['remove', 'alerts'], ['rotate']]) {
      const told = await secrets(as, argv, 'mine');
      assert.equal(told.code, 3, `${as} ${argv.join(' ')}: ${told.out}`);
    }
  }
  assert.match((await secrets('olga', ['list'])).out, /alerts +1/, 'control: nothing has changed');
});

test('a secret that the bundle refers to is removed only by force', async () => {
  const kept = await secrets('olga', ['remove', 'alerts']);
  assert.equal(kept.code, 3);
  assert.match(kept.err, /webhook https:\/\/alerts\.example\.com/);
  assert.equal((await secrets('olga', ['remove', 'alerts', '--force'])).code, 0);
  assert.match((await secrets('olga', ['list'])).out, /Nothing is sealed/);
});

test('the wrapping key is changed while the broker runs, and secrets outlive a restart', async () => {
  await secrets('olga', ['set', 'other'], 'value');
  const before = await secrets('olga', ['rotate', '--json']);
  assert.equal(before.code, 0, before.err);
  assert.match(before.out, /"rewrapped":1/);
  await broker.restart();
  const after = await secrets('olga', ['rotate', '--json']);
  assert.match(after.out, /"rewrapped":1,"failed":\[\]/);
  assert.notEqual(JSON.parse(after.out).key_id, JSON.parse(before.out).key_id);
});
