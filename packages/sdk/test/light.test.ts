// What the SDK brings along: the contract, and of each framework only what its own adapter asks for.
import assert from 'node:assert/strict';
import { globSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly dependencies: Record<string, string>;
  readonly peerDependencies: Record<string, string>;
  readonly peerDependenciesMeta: Record<string, { readonly optional?: boolean }>;
  readonly exports: Record<string, string>;
};
const peers = Object.keys(manifest.peerDependencies).sort();

/** The packages that a source text imports, types included, and without Node's own. */
function packagesIn(source: string): string[] {
  const specifiers = [...source.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'([^']+)'/g)].map(([, name]) => name!);
  const foreign = specifiers.filter((name) => !name.startsWith('.') && !name.startsWith('node:'));
  return foreign.map((name) =>
    name
      .split('/')
      .slice(0, name.startsWith('@') ? 2 : 1)
      .join('/'),
  );
}

const files = globSync('src/**/*.ts', { cwd: root }).map((path) => {
  const code = readFileSync(join(root, path), 'utf8').replaceAll(/^\s*(\*|\/\/|\/\*).*$/gm, '');
  return {
    path,
    frameworks: new Set(packagesIn(code).filter((name) => name !== '@countersign/contract')),
  };
});
const adapters = files.filter(({ frameworks }) => frameworks.size > 0);

test('the SDK depends on the contract alone, and every framework is an optional peer', () => {
  assert.deepEqual(Object.keys(manifest.dependencies), ['@countersign/contract']);
  for (const peer of peers) assert.equal(manifest.peerDependenciesMeta[peer]?.optional, true, peer);
  assert.deepEqual(Object.keys(manifest.peerDependenciesMeta).sort(), peers);
});

test('only adapters import a framework, each one of its own, and all of these are peers', () => {
  for (const { path, frameworks } of adapters) {
    assert.match(path, /^src\/adapters\//);
    assert.equal(frameworks.size, 1, `${path}: ${[...frameworks]}`);
    for (const name of frameworks) assert.ok(peers.includes(name), `${path}: ${name} is no peer`);
  }
});

test('control: an import is noticed, of a type and at run time too', () => {
  const source =
    "import type { A } from '@scope/a/deep';\nexport { b } from 'b';\nawait import('c');\nimport 'd';";
  assert.deepEqual(packagesIn(source), ['@scope/a', 'b', 'c', 'd']);
});

test('every adapter is a subpath, has a test of its own, and is on a page', () => {
  const pages = join(root, '../../docs/frameworks');
  const said = readdirSync(pages)
    .map((name) => readFileSync(join(pages, name), 'utf8'))
    .join('\n');
  assert.equal(adapters.length, 8);
  for (const { path } of adapters) {
    const name = /([\w-]+)\.ts$/.exec(path)![1]!;
    assert.equal(manifest.exports[`./${name}`], `./${path}`);
    assert.ok(said.includes(`'@countersign/sdk/${name}'`), `no page shows ${name}`);
    readFileSync(join(root, `test/adapters/${name}.test.ts`));
  }
});
