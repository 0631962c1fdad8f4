// Schemas that were compiled one after the other must not answer for each other.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileSchema } from './json-schema.ts';

function fits(pattern: string, text: string): boolean {
  const compiled = compileSchema({ type: 'string', pattern });
  assert.ok(compiled.ok);
  return compiled.check(text).length === 0;
}

test('each pattern is checked by itself, however many were compiled before it', () => {
  assert.ok(fits('^[A-Z]+$', 'ABC'));
  assert.ok(!fits('^[a-z]+$', 'ABC'));
  assert.ok(!fits('^[a-z][a-z0-9-]{0,62}$', '../keys/ana.jwk'));
  const both = compileSchema({
    type: 'object',
    properties: { a: { type: 'string', pattern: '^x$' }, b: { type: 'string', pattern: '^y$' } },
  });
  assert.ok(both.ok);
  assert.deepEqual(
    both.check({ a: 'x', b: 'x' }).map((issue) => issue.pointer),
    ['/b'],
  );
});

test('a pattern answers as the same regular expression of the language does', () => {
  const patterns = ['^[a-z]+$', '^INV-[0-9]{1,9}$', '^[^/]*$', 'b', '^$'];
  fc.assert(
    fc.property(fc.constantFrom(...patterns), fc.string(), (pattern, text) => {
      assert.equal(fits(pattern, text), new RegExp(pattern, 'u').test(text));
    }),
    { numRuns: 200 },
  );
});
