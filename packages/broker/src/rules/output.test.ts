// What of a reply goes on: redaction, labels of fields, projection.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labelsOfFields, redactFields } from './output.ts';

test('redacted fields are replaced in records and in every item of a list', () => {
  const value = {
    card: '4111',
    items: [
      { card: '1', id: 'a' },
      { card: '2', id: 'b' },
    ],
  };
  assert.deepEqual(redactFields(value, ['/card', '/items/*/card']), {
    card: '[redacted]',
    items: [
      { card: '[redacted]', id: 'a' },
      { card: '[redacted]', id: 'b' },
    ],
  });
  assert.equal(value.card, '4111', 'the reply itself is not changed');
});

test('a pointer to nothing redacts nothing', () => {
  assert.deepEqual(redactFields({ a: 1 }, ['/b/c', '/a/b']), { a: 1 });
  assert.deepEqual(redactFields({ a: 1 }, ['/constructor']), { a: 1 });
});

test('a field brings its labels only when it is there and says something', () => {
  const fields = [
    { pointer: '/tickets/*/body', labels: ['untrusted'] },
    { pointer: '/email', labels: ['private'] },
  ];
  assert.deepEqual(labelsOfFields({ tickets: [{ body: 'hello' }] }, fields), ['untrusted']);
  assert.deepEqual(labelsOfFields({ tickets: [{ body: '' }], email: null }, fields), []);
  assert.deepEqual(labelsOfFields({ tickets: [], email: 'a@b' }, fields), ['private']);
});
