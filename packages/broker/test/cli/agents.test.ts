// The life of an agent from the command line, against a real broker: made, rotated, handed on, stale, stopped.
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { AgentList, AgentView } from '@countersign/contract/wire-principals.ts';
import { type Desk, startDesk } from '../call/desk.ts';
import { assertion } from '../harness.ts';
import { run } from './fixture.ts';

let desk: Desk;
let folder: string;
before(async () => {
  desk = await startDesk();
  folder = join(desk.root, 'bundle');
  for (const name of ['ben', 'ana'])
    writeFileSync(join(desk.root, `${name}.jwk`), JSON.stringify(desk.key(name).export({ format: 'jwk' })), {
      mode: 0o600,
    });
});
after(() => desk.close());

const at = (name: string): string => join(desk.root, name);
const agents = (argv: readonly string[], as = 'ben') =>
  run(['agents', ...argv], {
    environment: {
      COUNTERSIGN_URL: desk.url,
      COUNTERSIGN_AS: as,
      COUNTERSIGN_KEY: at(`${as}.jwk`),
    },
  });
const inBundle = (path: string): string => readFileSync(join(folder, path), 'utf8');
const activate = async (): Promise<void> => {
  const { status, body } = await desk.send('ben', 'POST', '/v1/bundle');
  assert.equal(status, 200, JSON.stringify(body));
};

/** Whether the private key in a file gets a token for the name. */
async function opens(name: string, keyFile: string): Promise<boolean> {
  const key = createPrivateKey({ key: JSON.parse(readFileSync(at(keyFile), 'utf8')), format: 'jwk' });
  const body = new URLSearchParams({
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: await assertion(name, key, desk.url),
  });
  return (await fetch(`${desk.url}/oauth/token`, { method: 'POST', body })).ok;
}

const fresh = ['--bundle'] as const;
const make = (name: string, more: readonly string[] = []) =>
  agents([
    ...['new', name, '--owner', 'ben', '--purpose', 'Tests.', '--mode', 'act', '--role', 'support'],
    ...['--key', at(`${name}.jwk`), ...fresh, folder, ...more],
  ]);

test('a new agent has a file that check accepts and a key that only its owner reads, and nothing is overwritten', async () => {
  const made = await make('new-bot');
  assert.equal(made.code, 0, made.err);
  assert.match(
    inBundle('agents/new-bot.yaml'),
    /owner: ben\npurpose: Tests\.\nroles:\n {2}- support\nmode: act/,
  );
  assert.equal(statSync(at('new-bot.jwk')).mode & 0o777, 0o600);
  assert.equal(await opens('new-bot', 'new-bot.jwk'), false, 'not before the bundle is put in force');
  await activate();
  assert.equal(await opens('new-bot', 'new-bot.jwk'), true);
  const before = inBundle('agents/new-bot.yaml');
  assert.equal((await make('new-bot')).code, 2);
  assert.equal(inBundle('agents/new-bot.yaml'), before);
});

test('a new agent may have an identity of its platform instead of a key; check says whether that names it alone', async (t) => {
  const settings = inBundle('countersign.yaml');
  t.after(() => desk.write({ 'countersign.yaml': settings }));
  const issuer =
    'issuers: [{name: okta, preset: okta, issuer: "https://corp.okta.example/oauth2/default", tenants: [acme]}]';
  desk.write({ 'countersign.yaml': `${settings}${issuer}\n` });
  const by = (claims: string) =>
    agents([
      ...[
        'new',
        'cloud-bot',
        '--owner',
        'ben',
        '--purpose',
        'Tests.',
        '--issuer',
        'okta',
        '--claims',
        claims,
      ],
      ...['--bundle', folder],
    ]);
  assert.equal((await by('{}')).code, 1);
  assert.equal((await by('sub')).code, 2);
  const made = await by('{"cid": "0oa1", "sub": "0oa1"}');
  assert.equal(made.code, 0, made.err);
  assert.match(
    inBundle('agents/cloud-bot.yaml'),
    /identities:\n {2}- issuer: okta\n {4}claims:\n {6}cid: 0oa1/,
  );
  assert.doesNotMatch(inBundle('agents/cloud-bot.yaml'), /keys:/, 'it needs no key of ours');
  rmSync(join(folder, 'agents/cloud-bot.yaml'));
});

test('what check refuses is not written: an owner that nobody is, a name of somebody else, a private key in the bundle', async () => {
  const files = () => readdirSync(folder, { recursive: true }).sort();
  const before = files();
  const wrong = await make('late-bot', ['--owner', 'nobody']);
  assert.equal(wrong.code, 1);
  assert.match(wrong.err, /agents\/late-bot\.yaml:2:8: error: no person "nobody"/);
  assert.equal((await make('ana')).code, 1);
  assert.equal((await make('../ana')).code, 1);
  assert.equal((await make('late-bot', ['--key', join(folder, 'keys/late-bot.jwk')])).code, 2);
  assert.deepEqual(files(), before);
});

test('a key is rotated without a gap: both open until the new one was used, then the old one is worth nothing', async () => {
  desk.write({
    'agents/old-bot.yaml': `# Kept since 2026.\n${inBundle('agents/new-bot.yaml')
      .replace('new-bot', 'old-bot')
      .replace(/keys:[\s\S]*/, '')}`,
  });
  const first = await agents(['rotate-key', 'old-bot', '--out', at('old-bot-1.jwk'), ...fresh, folder]);
  assert.equal(first.code, 0, first.err);
  assert.equal((await agents(['rotate-key', 'old-bot', '--drop-old', ...fresh, folder])).code, 2, 'one key');
  await activate();
  const added = await agents(['rotate-key', 'old-bot', '--out', at('old-bot-2.jwk'), ...fresh, folder]);
  assert.match(added.out, /\n1\. Review the change.*\n2\. Give /);
  assert.equal(added.code, 0, added.err);
  assert.match(inBundle('agents/old-bot.yaml'), /^# Kept since 2026\.\n/, 'comments stay');
  const drop = () => agents(['rotate-key', 'old-bot', '--drop-old', ...fresh, folder]);
  assert.match((await drop()).err, /not in the bundle in force yet/);
  await activate();
  assert.deepEqual([(await drop()).code, (await drop()).err.includes('was not used yet')], [1, true]);
  assert.deepEqual(
    [await opens('old-bot', 'old-bot-1.jwk'), await opens('old-bot', 'old-bot-2.jwk')],
    [true, true],
  );
  const dropped = await drop();
  assert.equal(dropped.code, 0, dropped.err);
  assert.equal(await opens('old-bot', 'old-bot-1.jwk'), true, 'control: until the bundle is put in force');
  await activate();
  assert.deepEqual(
    [await opens('old-bot', 'old-bot-1.jwk'), await opens('old-bot', 'old-bot-2.jwk')],
    [false, true],
  );
  assert.equal(readdirSync(join(folder, 'keys')).filter((file) => file.startsWith('old-bot-')).length, 1);
});

test('another owner is one who is there; one who is not active is warned of', async () => {
  assert.equal((await agents(['set-owner', 'new-bot', 'nobody', ...fresh, folder])).code, 1);
  const set = await agents(['set-owner', 'new-bot', 'dora', ...fresh, folder]);
  assert.match(set.out, /^dora answers for new-bot now\.\nReview the change/);
  assert.equal(set.code, 0, set.err);
  assert.match(inBundle('agents/new-bot.yaml'), /owner: dora/);
  desk.write({ 'people/dora.yaml': `${inBundle('people/dora.yaml')}status: suspended\n` });
  const checked = await run(['check', folder]);
  assert.match(
    `${checked.out}${checked.err}`,
    /agents\/new-bot\.yaml:2:8: warning: its owner "dora" is suspended: nobody answers for "new-bot"/,
  );
});

test('list and show say who answers, how each stands, its keys and what it last did; not to everybody', async () => {
  await activate();
  await desk.call('bot', 'read_note', { note: 'N-2' });
  const listed = await agents(['list']);
  assert.match(listed.out, /^new-bot\s+act\s+active\s+dora \(suspended\)/m);
  const shown = JSON.parse((await agents(['show', 'bot', '--json'])).out) as AgentView;
  assert.equal(shown.keys.length, 1);
  assert.ok(shown.keys[0]!.last_used_at_ms !== null && shown.last_used_at_ms !== null);
  const used = shown.tools.filter((tool) => tool.last_used_at_ms !== null).map((tool) => tool.name);
  assert.deepEqual(used, ['read_note']);
  await desk.restart();
  const again = JSON.parse((await agents(['show', 'bot', '--json'])).out) as AgentView;
  assert.deepEqual(again.tools, shown.tools, 'what was called is known after a restart');
  assert.equal((await agents(['list'], 'ana')).code, 3, 'an approver is no keeper');
});

test('stale: whose owner left is listed at once; old keys, unused agents and unused tools once they are old', async (t) => {
  const stale = async () => {
    const { out, code } = await agents(['list', '--stale', '--json']);
    const { agents: listed, unused_tools } = JSON.parse(out) as AgentList;
    const found = listed.flatMap((each) =>
      each.stale.map(({ kind, what }) => `${each.name} ${kind} ${what}`),
    );
    return { code, found, tools: unused_tools.map(({ name }) => name) };
  };
  assert.deepEqual(await stale(), { code: 1, found: ['new-bot owner_left dora'], tools: [] });
  const { world } = desk.broker;
  const { clock } = world;
  t.after(() => Object.assign(world, { clock }));
  Object.assign(world, { clock: { ...clock, now: () => clock.now() + 31 * 86_400_000 } });
  await desk.call('bot', 'read_note', { note: 'N-2' });
  const later = await stale();
  assert.ok(later.found.includes('other-bot unused other-bot'));
  assert.ok(
    later.found.includes('bot unused_tool refund') && !later.found.includes('bot unused_tool read_note'),
  );
  assert.ok(later.tools.includes('refund') && !later.tools.includes('read_note'));
  assert.ok(!later.found.some((each) => each.includes('old_key')), 'control: keys may be older than that');
  Object.assign(world, { clock: { ...clock, now: () => clock.now() + 91 * 86_400_000 } });
  assert.ok((await stale()).found.some((each) => each.startsWith('bot old_key ')));
});

test('suspend, resume and retire act at once and say how to take them back', async () => {
  const stop = await agents(['suspend', 'other-bot', '--reason', 'odd']);
  assert.deepEqual([stop.code, stop.out], [0, 'other-bot is suspended. To let it go on: resume other-bot']);
  assert.match((await agents(['show', 'other-bot'])).out, /by ben: suspended \(sts_\w+\)\n {2}odd/);
  assert.equal(
    (await agents(['resume', 'other-bot', '--reason', 'was nothing'])).out,
    'other-bot is active.',
  );
  const gone = await agents(['retire', 'other-bot', '--reason', 'replaced']);
  assert.match(gone.out, /reinstates: sts_/);
  const { code, err } = await agents(['resume', 'other-bot', '--reason', 'please']);
  assert.deepEqual([code, /reviewed change/.test(err)], [3, true]);
});
