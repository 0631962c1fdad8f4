// The house rules that a machine can hold: floors, rooms, import directions, file shape.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const packages = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const source = join(packages, 'broker/src');

/** Rooms by floor; a file may import its own room or a lower floor. `main.ts` stands above them all. */
const FLOORS: readonly (readonly string[])[] = [
  ['rules'],
  ['store', 'bundle'],
  ['connectors', 'credentials', 'identity', 'telemetry'],
  ['call'],
  ['jobs', 'review', 'admin'],
  ['http', 'mcp', 'cli'],
];
const floorOf = new Map(FLOORS.flatMap((rooms, floor) => rooms.map((room) => [room, floor] as const)));

/** Longest file that is still read at one sitting. */
const MOST_LINES = 400;
const FORBIDDEN_NAMES = /(^|[-/])(utils?|helpers?|common|manager|service|misc)(\.|-|\/|$)/;

interface SourceFile {
  readonly path: string;
  readonly room: string;
  readonly text: string;
  readonly imports: readonly string[];
}

export function importsOf(text: string): string[] {
  const specifiers = text.matchAll(/(?:^|\n)\s*(?:import|export)\b[^;'"]*?\bfrom\s*['"]([^'"]+)['"]/g);
  const bare = text.matchAll(/(?:^|\n)\s*import\s*['"]([^'"]+)['"]/g);
  const dynamic = text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g);
  return [...specifiers, ...bare, ...dynamic].map((match) => match[1]!);
}

function readSources(): SourceFile[] {
  return readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => {
      const text = readFileSync(join(source, path), 'utf8');
      return { path, room: path.includes('/') ? path.split('/')[0]! : '', text, imports: importsOf(text) };
    });
}

/** What is wrong with one import of one file, or null. */
export function wrongImport(file: { path: string; room: string }, specifier: string): string | null {
  if (file.room === '') return null;
  if (specifier.startsWith('#')) {
    const room = specifier.slice(1).split('/')[0]!;
    const from = floorOf.get(file.room);
    const to = floorOf.get(room);
    if (to === undefined || from === undefined) return `${file.path}: no such room: ${specifier}`;
    if (room === file.room) return `${file.path}: own room by "./", not ${specifier}`;
    return to < from ? null : `${file.path} (floor ${from}) imports ${specifier} (floor ${to})`;
  }
  if (specifier.startsWith('.')) {
    const target = relative(source, resolve(source, dirname(file.path), specifier));
    return target.startsWith(`${file.room}/`) ? null : `${file.path}: ${specifier} leaves its room`;
  }
  return null;
}

const files = readSources();

test('files import only their own room or a lower floor', () => {
  const wrong = files.flatMap((file) => file.imports.map((each) => wrongImport(file, each)).filter(Boolean));
  assert.deepEqual(wrong, []);
});

test('control: an import upwards, sideways or out of the room is noticed', () => {
  const rule = { path: 'rules/decide.ts', room: 'rules' };
  assert.match(wrongImport(rule, '#store/store.ts') ?? '', /floor 0/);
  assert.match(wrongImport({ path: 'http/server.ts', room: 'http' }, '#mcp/routes.ts') ?? '', /floor 5/);
  assert.match(wrongImport(rule, '../store/store.ts') ?? '', /leaves its room/);
  assert.equal(wrongImport({ path: 'call/admit.ts', room: 'call' }, '#rules/deed.ts'), null);
});

test('no circles among files', () => {
  const graph = new Map(files.map((file) => [file.path, targetsOf(file)]));
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) circles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
    else if (!done.has(path)) {
      for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
      done.add(path);
    }
  };
  for (const path of graph.keys()) visit(path, []);
  assert.deepEqual(circles, []);
});

function targetsOf(file: SourceFile): string[] {
  return file.imports.flatMap((specifier) => {
    if (specifier.startsWith('#')) return [specifier.slice(1)];
    if (specifier.startsWith('.')) return [relative(source, resolve(source, dirname(file.path), specifier))];
    return [];
  });
}

test('every file says in its first line what it decides or does', () => {
  const silent = files.filter((file) => !/^(#!.*\n)?\/\/ \S/.test(file.text)).map((file) => file.path);
  assert.deepEqual(silent, []);
});

test('no file is longer than one sitting, and none is a drawer', () => {
  const long = files.filter((file) => file.text.split('\n').length > MOST_LINES).map((file) => file.path);
  assert.deepEqual(long, []);
  assert.deepEqual(
    files.map((file) => file.path).filter((path) => FORBIDDEN_NAMES.test(path)),
    [],
  );
});

test('only main.ts reads the environment', () => {
  const readers = files.filter((file) => /process\.env\b/.test(file.text)).map((file) => file.path);
  assert.deepEqual(
    readers.filter((path) => path !== 'main.ts'),
    [],
  );
});

test('only the store room writes SQL to the store', () => {
  const verbs = /\btx\.(get|all|run)\s*[<(]/;
  const elsewhere = files.filter((file) => file.room !== 'store' && verbs.test(file.text));
  assert.deepEqual(
    elsewhere.map((file) => file.path),
    [],
  );
});

test('the pure floor neither reads a clock nor a file, nor rolls dice', () => {
  const impure = /\b(Date\.now|Math\.random|randomBytes|performance\.now|node:fs|node:net|node:http)\b/;
  const found = files.filter((file) => file.room === 'rules' && !file.path.endsWith('.test.ts'));
  assert.deepEqual(
    found.filter((file) => impure.test(file.text)).map((file) => file.path),
    [],
  );
});

test('contract and sdk stay light', () => {
  const allowed: Record<string, readonly string[]> = { contract: [], sdk: ['@countersign/contract'] };
  for (const [name, expected] of Object.entries(allowed)) {
    const manifest = JSON.parse(readFileSync(join(packages, name, 'package.json'), 'utf8')) as {
      dependencies?: Record<string, string>;
    };
    assert.deepEqual(Object.keys(manifest.dependencies ?? {}), expected);
  }
});

/** Where a call can come in. Adding a door means adding it here, and to the tests of doors. */
const DOORS = [
  'admin/undo.ts',
  'admin/verify-context.ts',
  'http/call-routes.ts',
  'jobs/resume-approved.ts',
  'mcp/perform.ts',
  'mcp/record-stopped.ts',
];

test('every door leads into the one walk', () => {
  const entering = files.filter((file) => /\bperformCall\(/.test(file.text) && file.room !== 'call');
  assert.deepEqual(entering.map((file) => file.path).sort(), DOORS);
});

test('nothing but the walk reaches a connector, and nothing but its own stage mints for a deed', () => {
  const reaching = files.filter((file) => /\.attempt\(/.test(file.text) && file.room !== 'connectors');
  assert.deepEqual(
    reaching.map((file) => file.path),
    ['call/attempt.ts'],
  );
  const minting = files.filter((file) => /\bmintFor\(/.test(file.text));
  assert.deepEqual(minting.map((file) => file.path).sort(), ['call/attempt.ts', 'call/mint.ts']);
});
