// `countersign tools review`: answers go into the manifests, comments stay, and only a tool that keeps every rule becomes active.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import { parse } from 'yaml';
import { bundleFiles } from '#bundle/import-bundle.ts';
import { importTools } from '#bundle/import-tools.ts';
import { readBundle } from '#cli/read-bundle.ts';
import { boundOf } from '#cli/review-questions.ts';
import { toolDigest } from '#connectors/mcp/tool-definition.ts';
import { generateKeyPair } from '#identity/keys.ts';
import { type Ran, run } from './fixture.ts';

const TEXT = { type: 'string' };
const DEFINITIONS: readonly JsonObject[] = [
  {
    ...{ name: 'read_note', description: 'Read one note.', annotations: { readOnlyHint: true } },
    inputSchema: { type: 'object', required: ['path'], properties: { path: TEXT, tail: { type: 'number' } } },
  },
  {
    ...{ name: 'write_note', description: 'Write one note.' },
    inputSchema: { type: 'object', required: ['path', 'content'], properties: { path: TEXT, content: TEXT } },
  },
];

/** A bundle as init writes it, with two tools of one server. */
function imported(t: TestContext, definitions?: readonly JsonObject[]): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-review-')));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const bundle = join(folder, 'countersign');
  const server = definitions === undefined ? 'notes' : 'filesystem';
  const offered = (definitions ?? DEFINITIONS).map((definition) => ({
    ...{ connector: server, tool: definition.name as string, digest: toolDigest(definition), definition },
  }));
  const transport = { http: { url: 'https://notes.example/mcp' } };
  const connector = { name: server, comment: ' A server.', shown: [], secret: null };
  const files = bundleFiles({
    ...{ root: bundle, home: folder, tools: importTools(offered, 'ann').tools, port: 0 },
    connectors: [{ ...connector, value: { name: server, kind: 'mcp', owner: 'ann', transport } }],
    person: { name: 'ann', key: generateKeyPair().publicJwk },
    agent: { name: 'desktop', key: generateKeyPair().publicJwk },
    data_dir: join(folder, '.countersign'),
  });
  for (const [path, text] of files) {
    mkdirSync(dirname(join(bundle, path)), { recursive: true });
    writeFileSync(join(bundle, path), text);
  }
  return bundle;
}

const manifest = (bundle: string, name: string): string =>
  readFileSync(join(bundle, `tools/${name}.yaml`), 'utf8');

function answered(bundle: string, answers: object): Promise<Ran> {
  const file = join(dirname(bundle), 'answers.yaml');
  writeFileSync(file, JSON.stringify(answers));
  return run(['tools', 'review', bundle, '--answers', file, '--by', 'ann']);
}

const BOUNDS = {
  '/properties/path': { maxLength: 200 },
  '/properties/tail': { type: 'integer', minimum: 1, maximum: 100 },
};
const READ = {
  notes_read_note: { effect: 'read', labels: ['untrusted', 'private'], egress: [], input: BOUNDS },
};
const WRITE = {
  notes_write_note: {
    ...{ effect: 'write', egress: [], idempotency: { strategy: 'upsert' }, sideEffect: { id: 'args.path' } },
    input: { '/properties/path': { maxLength: 200 }, '/properties/content': { maxLength: 4000 } },
    verify: {
      bind: { mcp: { tool: 'read_note', args: { path: '=args.path' } } },
      expect: ['verify.content == args.content'],
    },
  },
};

test('a tool whose rules all hold becomes active, with the answers in its file and the comments kept', async (t) => {
  const bundle = imported(t);
  const ran = await answered(bundle, { ...READ, ...WRITE });
  assert.equal(ran.code, 0, ran.out + ran.err);
  assert.match(ran.out, /2 tools became active, 0 stay imported/);
  const loaded = await readBundle(bundle, Date.now());
  assert.deepEqual(loaded.ok ? loaded.warnings : loaded.mistakes, []);
  assert.ok(loaded.ok);
  const read = loaded.bundle.tools.get('notes_read_note')!;
  assert.deepEqual(
    [read.effect, read.lifecycle.status, read.output.labels],
    ['read', 'active', ['untrusted', 'private']],
  );
  assert.notDeepEqual(read.checkInput({ path: 'x'.repeat(201) }), []);
  const yaml = manifest(bundle, 'notes_read_note');
  assert.match(yaml, /^# The server says: "Read one note\."$/m);
  assert.match(yaml, /^# The server proposes: readOnlyHint true/m);
  assert.match(yaml, /^# Reviewed by ann on \d{4}-\d{2}-\d{2}\.$/m);
  assert.doesNotMatch(yaml, /Nobody has reviewed|waives/);
  const write = loaded.bundle.tools.get('notes_write_note')!;
  assert.equal(write.lifecycle.status, 'active');
  assert.equal(
    write.verify?.bind.operation.digest,
    toolDigest(DEFINITIONS[0]!),
    'the digest of what reads back is pinned',
  );
});

test('a tool that breaks a rule stays imported, keeps the answers, and what is missing is said by name', async (t) => {
  const bundle = imported(t);
  const { verify: _verify, ...rest } = WRITE.notes_write_note;
  const ran = await answered(bundle, { notes_write_note: rest });
  assert.equal(ran.code, 1);
  assert.match(
    ran.out,
    /notes_write_note stays imported; your answers are kept\. Missing:\n {2}write-verify: /,
  );
  const yaml = manifest(bundle, 'notes_write_note');
  assert.match(yaml, /status: imported/);
  assert.match(yaml, /maxLength: 4000/);
  assert.deepEqual(
    [...yaml.matchAll(/^ {4}([a-z-]+): "?Not answered/gm)].map((it) => it[1]),
    ['write-verify'],
  );
  const again = await answered(bundle, { notes_write_note: { verify: WRITE.notes_write_note.verify } });
  assert.equal(again.code, 0, again.out);
  assert.match(manifest(bundle, 'notes_write_note'), /status: active/);
});

test('a read through which something can leave does not become active', async (t) => {
  const bundle = imported(t);
  const ran = await answered(bundle, { notes_read_note: { ...READ.notes_read_note, egress: ['path'] } });
  assert.match(ran.out, /read-is-not-egress/);
  assert.match(manifest(bundle, 'notes_read_note'), /status: imported/);
});

test('answers that do not fit change nothing', async (t) => {
  const bundle = imported(t);
  const before = manifest(bundle, 'notes_read_note');
  for (const answers of [
    { notes_read_note: { effect: 'harmless' } },
    { notes_read_note: { effects: 'read' } },
    { notes_read_note: { effect: 'read', input: { '/properties/nothing': { maxLength: 1 } } } },
    { notes_read_note: { waives: { 'input-closed': 'because' } } },
    { notes_read_note: { sideEffect: { id: 'args.(' } } },
    { no_such_tool: { effect: 'read' } },
  ]) {
    const ran = await answered(bundle, answers);
    assert.notEqual(ran.code, 0, JSON.stringify(answers));
    assert.equal(manifest(bundle, 'notes_read_note'), before);
  }
});

test('a person is asked tool by tool, sees what the server says, and may stop', async (t) => {
  const bundle = imported(t);
  const typed = ['read', 'untrusted, private', '', '200', 'whole 1..100', 'q'];
  const ran = await run(['tools', 'review', bundle, '--by', 'ann'], { answers: typed });
  assert.equal(ran.code, 0, ran.out + ran.err);
  assert.match(ran.out, /The server proposes: readOnlyHint true/);
  assert.match(ran.out, /notes_read_note is active/);
  assert.match(manifest(bundle, 'notes_read_note'), /effect: read/);
  assert.match(manifest(bundle, 'notes_write_note'), /status: imported/);
});

test('nobody to ask: nothing changes', async (t) => {
  const bundle = imported(t);
  const before = manifest(bundle, 'notes_read_note');
  await run(['tools', 'review', bundle]);
  assert.equal(manifest(bundle, 'notes_read_note'), before);
});

test('the answers that the guide shows make their tool active', async (t) => {
  const guide = readFileSync(
    join(import.meta.dirname, '../../../../docs/how-to/review-imported-tools.md'),
    'utf8',
  );
  const answers = parse(/```yaml\n([\s\S]*?)```/.exec(guide)![1]!) as object;
  const bundle = imported(t, [
    {
      ...{ name: 'read_text_file', description: 'Read a file.' },
      inputSchema: {
        ...{ type: 'object', required: ['path'] },
        properties: { path: TEXT, head: { type: 'number' }, tail: { type: 'number' } },
      },
    },
  ]);
  const ran = await answered(bundle, answers);
  assert.equal(ran.code, 0, ran.out + ran.err);
  assert.match(ran.out, /filesystem_read_text_file is active/);
});

test('short answers stand for bounds', () => {
  assert.deepEqual(boundOf('string', '80'), { maxLength: 80 });
  assert.deepEqual(boundOf('string', 'a|b'), { enum: ['a', 'b'] });
  assert.deepEqual(boundOf('number', 'whole 1..9'), { type: 'integer', minimum: 1, maximum: 9 });
  assert.deepEqual(boundOf('array', '5'), { maxItems: 5 });
  assert.equal(boundOf('number', '5'), null);
  assert.equal(boundOf('string', ''), null);
});
