// What a bundle may say of openapi connectors and binds: the mistakes that load refuses, and the drift that only pauses.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { Loaded } from '#bundle/bundle.ts';
import { readBundle } from '#cli/read-bundle.ts';
import { DESCRIPTION, digestOfOperation } from './openapi-fixture.ts';

const CONNECTOR = `
name: things
kind: openapi
owner: ops
spec: specs/things.json
servers: [https://things.example/v1]
`;
const READ = `
name: read_thing
version: 1.0.0
owner: ops
connector: things
description: Read one thing.
effect: read
input:
  type: object
  additionalProperties: false
  required: [thing]
  properties: { thing: { type: string, pattern: "^[a-z0-9]{1,9}$", maxLength: 9 } }
bind:
  openapi:
    operation: things/get
    digest: ${digestOfOperation('things/get')}
    path: { owner: ann, thing: =args.thing }
output: { labels: [untrusted] }
`;
const WRITE = `
name: create_thing
version: 1.0.0
owner: ops
connector: things
description: Create one thing.
effect: write
input:
  type: object
  additionalProperties: false
  required: [title]
  properties: { title: { type: string, maxLength: 40 } }
bind:
  openapi:
    operation: things/create
    digest: ${digestOfOperation('things/create')}
    path: { owner: ann }
    body: { title: =args.title }
    successWhen: status == 201
idempotency: { strategy: header, header: Idempotency-Key }
sideEffect: { id: response.id }
verify:
  bind:
    openapi:
      operation: things/get
      digest: ${digestOfOperation('things/get')}
      path: { owner: ann, thing: =response.id }
  expect: [verify.title == args.title]
output: { labels: [untrusted] }
summary: ["create ", =args.title]
`;

async function load(edits: Record<string, (text: string) => string> = {}): Promise<Loaded> {
  const root = mkdtempSync(join(tmpdir(), 'countersign-openapi-'));
  const files: Record<string, string> = {
    'countersign.yaml': 'data_dir: ../data\n',
    'connectors/things.yaml': CONNECTOR,
    'tools/read_thing.yaml': READ,
    'tools/create_thing.yaml': WRITE,
    'specs/things.json': JSON.stringify(DESCRIPTION),
  };
  for (const [path, text] of Object.entries(files)) {
    const file = join(root, 'bundle', path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, (edits[path] ?? ((same) => same))(text));
  }
  try {
    return await readBundle(join(root, 'bundle'), 0);
  } finally {
    rmSync(root, { recursive: true });
  }
}

test('a bundle with an openapi connector loads; the key rides in the header that the manifest names', async () => {
  const loaded = await load();
  assert.ok(loaded.ok, JSON.stringify(loaded.ok ? [] : loaded.mistakes, null, 1));
  const { bind, verify } = loaded.bundle.tools.get('create_thing')!;
  const call = { id: 'call_1', label: 'csn-1' };
  const filled = bind.inputs.fill({ args: { title: 'x' }, call }) as { header: unknown };
  assert.deepEqual(filled.header, { 'Idempotency-Key': 'call_1' });
  assert.equal(bind.operation['idempotency_header'], 'Idempotency-Key');
  assert.equal(verify?.bind.operation['idempotency_header'], undefined, 'reads carry no key');
});

test('a slice that changed is part of the revision, loads with a warning, and pauses', async () => {
  const before = await load();
  const after = await load({
    'specs/things.json': (text) => text.replace('"maxLength":40', '"maxLength":400'),
  });
  assert.ok(before.ok && after.ok);
  assert.notEqual(before.bundle.revision, after.bundle.revision);
  assert.deepEqual(before.warnings, []);
  assert.match(
    after.warnings.map((it) => it.message).join(),
    /paused: "things\/create" is not the reviewed operation/,
  );
});

const MISTAKES: readonly [string, string, string | RegExp, string, RegExp][] = [
  ['no digest', 'tools/read_thing.yaml', /digest: .*/, '', /openapi-digest/],
  ['no such operation', 'tools/read_thing.yaml', 'things/get', 'things/gone', /no operation "things\/gone"/],
  [
    'a write bound to a read',
    'tools/create_thing.yaml',
    'operation: things/create',
    'operation: things/get',
    /hide behind a read/,
  ],
  [
    'a read bound to a write',
    'tools/read_thing.yaml',
    'operation: things/get',
    'operation: things/create',
    /this place only reads/,
  ],
  [
    'a path parameter too few',
    'tools/read_thing.yaml',
    'owner: ann, ',
    '',
    /path parameter "owner" is missing/,
  ],
  [
    'a path parameter too many',
    'tools/read_thing.yaml',
    'owner: ann',
    'owner: ann, x: y',
    /no path parameter "x"/,
  ],
  ['no body', 'tools/create_thing.yaml', 'body: { title: =args.title }', '', /needs a body/],
  [
    'a server that is not listed',
    'tools/read_thing.yaml',
    '    path:',
    '    server: https://evil.example\n    path:',
    /server is not one/,
  ],
  [
    'strategy header without a header',
    'tools/create_thing.yaml',
    ', header: Idempotency-Key',
    '',
    /names the header/,
  ],
  [
    'successWhen that reads arguments',
    'tools/create_thing.yaml',
    'status == 201',
    'args.title == ""',
    /unknown name "args"/,
  ],
  [
    'no such slice',
    'connectors/things.yaml',
    'specs/things.json',
    'specs/other.json',
    /no file "specs\/other.json"/,
  ],
  ['a slice outside the bundle', 'connectors/things.yaml', 'specs/things.json', '../things.json', /spec/],
  ['a slice that is not JSON', 'specs/things.json', /^\{/, '', /not a JSON object/],
  [
    'a server on loopback',
    'connectors/things.yaml',
    'https://things.example/v1',
    'https://127.0.0.1',
    /private or loopback/,
  ],
  [
    'a secret among the headers',
    'connectors/things.yaml',
    'owner: ops',
    'owner: ops\nheaders: {X-Key: sk_live_0123456789}',
    /looks like a secret/,
  ],
  [
    'authorization among the headers',
    'connectors/things.yaml',
    'owner: ops',
    'owner: ops\nheaders: {Authorization: x}',
    /not for a connector file/,
  ],
  [
    'a key of another kind',
    'connectors/things.yaml',
    'owner: ops',
    'owner: ops\nrows_max: 5',
    /does not belong to a openapi connector/,
  ],
];
for (const [name, file, from, to, expected] of MISTAKES) {
  test(`load refuses ${name}`, async () => {
    const loaded = await load({ [file]: (text) => text.replace(from, to) });
    assert.ok(!loaded.ok, 'it loaded');
    assert.match(loaded.mistakes.map((it) => `${it.file} ${it.message}`).join('\n'), expected);
  });
}
