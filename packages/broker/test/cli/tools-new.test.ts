// `countersign tools slice` and `tools new`: what they write, and that lint holds what a person has not decided.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parse } from 'yaml';
import { loadBundle } from '#bundle/compile-bundle.ts';
import { runProgram } from '#cli/program.ts';
import { DESCRIPTION, digestOfOperation } from '../connectors/openapi-fixture.ts';

const root = mkdtempSync(join(tmpdir(), 'countersign-new-'));
after(() => rmSync(root, { recursive: true, force: true }));
const description = join(root, 'vendor.json');
writeFileSync(description, JSON.stringify(DESCRIPTION));
let count = 0;

function newBundle(): string {
  const folder = join(root, `bundle-${count++}`);
  return folder;
}

async function run(...argv: string[]): Promise<{ readonly code: number; readonly text: string }> {
  const lines: string[] = [];
  const write = (text: string): void => void lines.push(text);
  const terminal = { out: write, err: write, ask: () => Promise.resolve(null) };
  const serve = (): Promise<void> => Promise.reject(new Error('not here'));
  const code = await runProgram(argv, { serve, terminal, environment: {} } as never);
  return { code, text: lines.join('\n') };
}

const drafted = (folder: string, ...more: string[]) =>
  run('tools', 'new', '--openapi', description, '--connector', 'things', '--bundle', folder, ...more);

test('slice writes the operations alone and prints the digests that binds pin', async () => {
  const out = join(root, 'specs/things.json');
  const { code, text } = await run(
    'tools',
    'slice',
    '--openapi',
    description,
    '--operation',
    'things/get',
    '--out',
    out,
  );
  assert.equal(code, 0, text);
  assert.match(text, new RegExp(digestOfOperation('things/get')));
  assert.deepEqual(Object.keys(JSON.parse(readFileSync(out, 'utf8')).paths), [
    '/owners/{owner}/things/{thing}',
  ]);
});

test('new drafts a narrow manifest, the connector and the slice', async () => {
  const folder = newBundle();
  const { code, text } = await drafted(folder, '--operation', 'things/create', '--owner', 'ops');
  assert.equal(code, 0, text);
  const manifest = parse(readFileSync(join(folder, 'tools/things_create.yaml'), 'utf8'));
  assert.equal(manifest.effect, 'write');
  assert.deepEqual(manifest.lifecycle, { status: 'imported' });
  assert.deepEqual(manifest.input.required, ['owner', 'title']);
  assert.deepEqual(manifest.input.properties.title, { type: 'string', maxLength: 40 });
  assert.deepEqual(manifest.bind.openapi, {
    operation: 'things/create',
    digest: digestOfOperation('things/create'),
    path: { owner: '=args.owner' },
    body: { title: '=args.title' },
  });
  const connector = parse(readFileSync(join(folder, 'connectors/things.yaml'), 'utf8'));
  assert.deepEqual(connector.servers, ['https://evil.example'], 'a proposal for a person to see');
});

test('lint holds a draft until a person has decided everything', async () => {
  const folder = newBundle();
  const { text } = await drafted(folder, '--operation', 'things/create', '--owner', 'ops');
  writeFileSync(join(folder, 'countersign.yaml'), '{}\n');
  const loaded = await loadBundle(folder);
  assert.ok(!loaded.ok);
  const rules = new Set(loaded.mistakes.map((it) => it.message.split(':')[0]));
  const asked = [
    'write-summary',
    'write-idempotency',
    'write-verify',
    'write-side-effect',
    'write-lookup',
    'input-bounded',
  ];
  for (const rule of asked) assert.ok(rules.has(rule), `${rule} in ${[...rules].join(', ')}`);
  assert.match(text, /What a person still decides/);
});

test('a second operation joins the slice, and a name that is taken is refused', async () => {
  const folder = newBundle();
  await drafted(folder, '--operation', 'things/create', '--owner', 'ops');
  const second = await drafted(folder, '--operation', 'things/get', '--name', 'read_thing');
  assert.equal(second.code, 0, second.text);
  const spec = JSON.parse(readFileSync(join(folder, 'specs/things.json'), 'utf8'));
  assert.deepEqual(Object.keys(spec.paths), ['/owners/{owner}/things', '/owners/{owner}/things/{thing}']);
  const again = await drafted(folder, '--operation', 'things/get', '--name', 'read_thing');
  assert.equal(again.code, 1);
  assert.match(again.text, /exists; choose another --name/);
});

test('an operation whose description has changed is not slipped into the slice', async () => {
  const folder = newBundle();
  await drafted(folder, '--operation', 'things/create', '--owner', 'ops');
  const changed = join(root, 'changed.json');
  writeFileSync(changed, JSON.stringify(DESCRIPTION).replace('"maxLength":40', '"maxLength":400'));
  const argv = [
    '--openapi',
    changed,
    '--operation',
    'things/get',
    '--connector',
    'things',
    '--bundle',
    folder,
  ];
  const { code, text } = await run('tools', 'new', ...argv);
  assert.equal(code, 1);
  assert.match(text, /has changed under things\/create/);
});

test('an operation that is not there is refused with the nearest name', async () => {
  const { code, text } = await drafted(newBundle(), '--operation', 'things/gte', '--owner', 'ops');
  assert.equal(code, 1);
  assert.match(text, /did you mean "things\/get"/);
});
