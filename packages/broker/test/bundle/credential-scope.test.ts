// What a tool says of its credential is held against what its connector's provider mints by.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Json } from '@countersign/contract/json.ts';
import { judgeTexts } from '#cli/read-bundle.ts';
import { packFiles } from '../connectors/openapi-pack.ts';

const vendor = new URL(import.meta.resolve('@octokit/openapi/generated/api.github.com.json'));
const description = JSON.parse(readFileSync(vendor, 'utf8')) as Json;
const files = packFiles({
  ...{ pack: 'github', description, server: 'http://127.0.0.1:1', role: 'bot', group: 'people' },
});
const provider =
  'credential: { provider: github-app, app_id: 1, installation_id: 2, key: env:KEY, allow_private: true }\n';

/** Mistakes of the tools when all of them carry this block, each once. */
function mistakesWith(block: string): string[] {
  const texts = Object.entries(files).map(([path, text]): [string, string] => {
    if (path.startsWith('connectors/')) return [path, text.replace(/^credential:[\s\S]*/m, provider)];
    return [path, path.startsWith('tools/') ? `${text}\n${block}\n` : text];
  });
  const judged = judgeTexts('/nowhere', new Map(texts), 0);
  const found = (judged.ok ? [] : judged.mistakes).filter(({ file }) => file.startsWith('tools/'));
  return [
    ...new Set(found.map(({ message, hint }) => (hint === undefined ? message : `${message}; ${hint}`))),
  ];
}

const GOOD = 'repositories: [=args.repo], permissions: { issues: read }';

test('a scope that says what the provider mints by has no mistake', () => {
  assert.deepEqual(mistakesWith(`credential: { scope: { ${GOOD} } }`), []);
});

test('a tool without a scope is told what is missing', () => {
  assert.deepEqual(mistakesWith('# nothing'), [
    'provider github-app mints by credential.scope.permissions, which is missing',
    'provider github-app mints by credential.scope.repositories, which is missing',
  ]);
});

test('a key that the provider does not know is told with the nearest that it does', () => {
  assert.deepEqual(mistakesWith(`credential: { scope: { ${GOOD}, repository: a } }`), [
    'provider github-app knows no scope "repository"; did you mean "repositories"?',
  ]);
  assert.deepEqual(mistakesWith(`credential: { scope: { ${GOOD} }, read_scope: { scopes: [a], ${GOOD} } }`), [
    'provider github-app knows no scope "scopes"; known: permissions, repositories',
  ]);
});

test('what fresh reads may do cannot hang on what they find', () => {
  const wants =
    'repositories: ["=prepared.issue.number > 0 ? args.repo : args.repo"], permissions: { a: read }';
  const found = mistakesWith(`credential: { scope: { ${wants} } }`);
  assert.ok(
    found.includes(
      'the scope reads prepared values, which the fresh reads do not have yet; say in credential.read_scope what the reads may do',
    ),
  );
  const reads = mistakesWith(`credential: { scope: { ${GOOD} }, read_scope: { ${wants} } }`);
  assert.ok(
    reads.some((each) => each.includes('prepared')),
    JSON.stringify(reads),
  );
});
