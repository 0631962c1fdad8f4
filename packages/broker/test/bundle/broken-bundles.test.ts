// Every mistake that people make in bundles: told all at once, with file, line, column and what to do.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { chmod, link, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadBundle } from '../../src/bundle/compile-bundle.ts';
import { brokenBundles } from './broken-bundles.ts';
import { edited, fixtureTexts, loadTexts, toldBy } from './edit-bundle.ts';

const TELL = fileURLToPath(new URL('./child-teller.ts', import.meta.url));
const GOLDEN = new URL('../golden/broken-bundles.txt', import.meta.url);
const texts = await fixtureTexts();

const told = new Map(
  brokenBundles.map(([what, edits]) => {
    const loaded = loadTexts(edited(texts, edits));
    return [what, { loaded, lines: toldBy(loaded) }] as const;
  }),
);

for (const [what, { loaded, lines }] of told) {
  test(`${what} is refused, with the place`, () => {
    assert.equal(loaded.ok, false);
    for (const line of lines) assert.match(line, /^\S+:[1-9]\d*:[1-9]\d* (error|warning): \S/);
  });
}

test('the sentences about broken bundles are those of the golden file (UPDATE_GOLDEN=1 rewrites it)', () => {
  const text = [...told].map(([what, { lines }]) => `# ${what}\n${lines.join('\n')}\n`).join('\n');
  if (process.env.UPDATE_GOLDEN === '1' || !existsSync(GOLDEN)) writeFileSync(GOLDEN, text);
  assert.equal(text, readFileSync(GOLDEN, 'utf8'));
});

test('a policy that names an argument the tool lacks is told with file, line, column and the nearest name', () => {
  assert.deepEqual(told.get('a policy that names an argument the tool lacks')?.lines, [
    'policies/desk.cedar:7:8 error: attribute `args.amont_minor` in context for Action::"refund_invoice" not found; did you mean `amount_minor`?',
  ]);
});

test('mistakes of several files are told at once, sorted by file and line', () => {
  assert.deepEqual(told.get('several files at once')?.lines, [
    'agents/refund-agent.yaml:1:1 error: missing "mode"',
    'agents/refund-agent.yaml:5:1 error: unknown key "mdoe"; did you mean "mode"?',
    'policies/desk.cedar:17:1 error: no group "finanse"; did you mean "finance"?',
    'tools/send_reply.yaml:40:1 error: unknown key "sumary"; did you mean "summary"?',
  ]);
});

test('no mistake quotes what looks like a secret', () => {
  for (const { lines } of told.values()) {
    for (const line of lines) assert.doesNotMatch(line, /ghp_|hunter2|s3cr3t/);
  }
});

test('links out of the folder, stray files and misplaced ones are refused; notes are not', async (t) => {
  const home = await mkdtemp(join(tmpdir(), 'bundle-'));
  t.after(() => rm(home, { recursive: true, force: true }));
  const dir = join(home, 'bundle');
  await mkdir(join(dir, 'agents'), { recursive: true });
  await mkdir(join(dir, 'tool'));
  await writeFile(join(home, 'secret.yaml'), 'name: outside\n');
  await writeFile(join(dir, 'countersign.yaml'), 'tenants: [default]\n');
  await writeFile(join(dir, 'README.md'), 'notes\n');
  await writeFile(join(dir, 'agents', 'a.yml'), 'name: a\n');
  await writeFile(join(dir, 'agents', '.b.yaml'), 'name: b\n');
  await writeFile(join(dir, 'agents', '.a.swp'), 'what an editor leaves\n');
  await writeFile(join(dir, 'tool', 'x.yaml'), 'name: x\n');
  await symlink(join(home, 'secret.yaml'), join(dir, 'agents', 'linked.yaml'));
  await symlink(home, join(dir, 'people'));
  assert.deepEqual(toldBy(await loadBundle(dir)), [
    'agents/.b.yaml:1:1 error: hidden files are not read',
    'agents/a.yml:1:1 error: not a file of agents/; files there end in .yaml',
    'agents/linked.yaml:1:1 error: the link leads out of the bundle folder; keep the file itself in the bundle',
    'people:1:1 error: the link leads out of the bundle folder; keep the file itself in the bundle',
    'tool/x.yaml:1:1 error: not a file of a bundle; did you mean "tools"?',
  ]);
});

test('a database that is a link into the data folder is refused: paths are compared as the file system resolves them', async (t) => {
  const home = await mkdtemp(join(tmpdir(), 'bundle-'));
  t.after(() => rm(home, { recursive: true, force: true }));
  const dir = join(home, 'bundle');
  await mkdir(join(dir, 'connectors'), { recursive: true });
  await mkdir(join(home, '.countersign'));
  await writeFile(join(home, '.countersign', 'store.db'), '');
  await symlink(join(home, '.countersign', 'store.db'), join(home, 'harmless.db'));
  await writeFile(join(dir, 'countersign.yaml'), 'tenants: [default]\n');
  const connector = (file: string) =>
    writeFile(
      join(dir, 'connectors', 'c.yaml'),
      `{name: c, kind: sql, owner: o, engine: sqlite, file: ${file}}\n`,
    );
  await connector('../harmless.db');
  assert.match(toldBy(await loadBundle(dir)).join(), /c\.yaml:1:\d+ error: the path reaches the data folder/);
  await link(join(home, '.countersign', 'store.db'), join(home, 'other-name.db'));
  await connector('../other-name.db');
  assert.match(toldBy(await loadBundle(dir)).join(), /c\.yaml:1:\d+ error: the file has other names/);
  // Control: a file beside it is fine, so it was the link that was refused.
  await connector('../other.db');
  assert.deepEqual(toldBy(await loadBundle(dir)), []);
});

test('what may not be read is a mistake, not a crash', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'bundle-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  await mkdir(join(dir, 'tools'));
  await mkdir(join(dir, 'people'));
  await writeFile(join(dir, 'countersign.yaml'), '{}\n');
  await writeFile(join(dir, 'tools/a.yaml'), 'name: a\n');
  await chmod(dir, 0o755);
  await chmod(join(dir, 'tools/a.yaml'), 0o000);
  await chmod(join(dir, 'people'), 0o000);
  // Root may read everything, so somebody else does.
  const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  const told = spawnSync(process.execPath, [TELL, dir], { encoding: 'utf8', ...nobody });
  assert.deepEqual(told.stdout.trim().split('\n'), [
    'people:1:1 error: the folder cannot be read',
    'tools/a.yaml:1:1 error: the file cannot be read',
  ]);
});

test('a folder that is not there is a mistake, not a crash', async () => {
  const loaded = await loadBundle('/nowhere/at/all');
  assert.match(toldBy(loaded).join(), /cannot be read/);
});
