// The pages on frameworks: their code is the examples, which the adapters' tests run.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '../../../..');
const folder = join(root, 'docs/frameworks');
const pages = readdirSync(folder).filter((name) => name.endsWith('.md'));
const copied = /<!-- (examples\/frameworks\/\S+) -->\n```\w+\n(.*?)```\n/gs;

const copies = pages.flatMap((page) =>
  [...readFileSync(join(folder, page), 'utf8').matchAll(copied)].map(([, path, code]) => ({
    page,
    path: path!,
    code: code!,
  })),
);

test('the code of the pages is the code of the examples', () => {
  for (const { page, path, code } of copies) {
    assert.equal(code, readFileSync(join(root, path), 'utf8'), `${page}: ${path}`);
  }
});

test('every example is on a page and in a test', () => {
  const examples = readdirSync(join(root, 'examples/frameworks')).map(
    (name) => `examples/frameworks/${name}`,
  );
  assert.deepEqual(copies.map(({ path }) => path).sort(), examples.sort());
  const tests = readdirSync(import.meta.dirname)
    .map((name) => readFileSync(join(import.meta.dirname, name), 'utf8'))
    .join('\n');
  // The Python ones are run by scripts/check-python-clients.ts.
  for (const path of examples.filter((each) => each.endsWith('.ts')))
    assert.ok(tests.includes(`/${path}'`), path);
});

test('the versions on the pages are those that the tests run', () => {
  for (const page of pages) {
    for (const [, name, version] of readFileSync(join(folder, page), 'utf8').matchAll(
      /`((?:@[\w-]+\/)?[\w-]+)` (\d+\.\d+\.\d+)/g,
    )) {
      const { version: installed } = JSON.parse(
        readFileSync(join(root, 'node_modules', name!, 'package.json'), 'utf8'),
      ) as { version: string };
      assert.equal(version, installed, `${page}: ${name}`);
    }
  }
});

test('the versions on the page on Python are those that the check installs', () => {
  const page = readFileSync(join(folder, 'python.md'), 'utf8');
  const check = readFileSync(join(root, 'scripts/check-python-clients.ts'), 'utf8');
  const installed = [...check.matchAll(/requirement: '([\w-]+)==([\d.]+)'/g)];
  assert.equal(installed.length, 2);
  for (const [, name, version] of installed)
    assert.ok(page.includes(`Tested with ${name} ${version}.`), name);
});
