// Docs, OpenAPI and the who-may-what matrix say what the code says. UPDATE_GOLDEN=1 rewrites them; the diff is the review.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { problems } from '@countersign/contract/problem.ts';
import { problemCodes } from '@countersign/sdk/problem';
import { inRepository, readRepository, writeReference } from './reference.ts';

const pages = await writeReference();

for (const [path, text] of Object.entries(pages)) {
  test(`${path} is up to date`, () => {
    if (process.env.UPDATE_GOLDEN === '1') {
      mkdirSync(dirname(inRepository(path)), { recursive: true });
      writeFileSync(inRepository(path), text);
    }
    assert.equal(readRepository(path), text);
  });
}

test('the SDK knows exactly the problems of the table', () => {
  assert.deepEqual([...problemCodes].sort(), Object.keys(problems).sort());
});

test('OpenAPI names every problem that a call can end with', () => {
  const openapi = pages['packages/broker/test/golden/openapi.json']!;
  const unnamed = Object.keys(problems).filter((code) => !openapi.includes(`"${code}"`));
  assert.deepEqual(unnamed, []);
});

test('what to do next fits whether trying again can help', () => {
  for (const [code, { retry, next }] of Object.entries(problems)) {
    const fits: readonly string[] = {
      never: ['change', 'hand_over'],
      same: ['retry', 'hand_over'],
      later: ['wait', 'hand_over'],
      after_approval: ['wait'],
    }[retry];
    assert.ok(fits.includes(next), `${code}: ${retry}, ${next}`);
  }
});
