// What a call holds: found again by its scope, never by another call, and never shortly before its end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '@countersign/contract/json.ts';
import type { Credential } from '#rules/credential.ts';
import { LeaseBook } from './lease-book.ts';

function credential(id: string, scope: Json, expires_at_ms: number | null = 100_000): Credential {
  return { id, scope, expires_at_ms, inject: {}, secrets: [], handle: {} };
}

test('a call finds what it holds by connector and scope, whatever the order of keys', () => {
  const book = new LeaseBook();
  const one = credential('one', { a: 1, b: 2 });
  book.hold('call_1', { connector: 'github', credential: one });
  assert.equal(book.find('call_1', 'github', { b: 2, a: 1 }, 0), one);
  assert.equal(book.find('call_1', 'github', { a: 1 }, 0), undefined, 'another scope');
  assert.equal(book.find('call_1', 'gitlab', { a: 1, b: 2 }, 0), undefined, 'another connector');
  assert.equal(book.find('call_2', 'github', { a: 1, b: 2 }, 0), undefined, 'another call');
});

test('what is about to end is not used for another attempt', () => {
  const book = new LeaseBook();
  book.hold('call_1', { connector: 'c', credential: credential('one', null) });
  assert.ok(book.find('call_1', 'c', null, 80_000));
  assert.equal(book.find('call_1', 'c', null, 90_000), undefined);
  book.hold('call_2', { connector: 'c', credential: credential('two', null, null) });
  assert.ok(book.find('call_2', 'c', null, 1e15), 'what says nothing of its end');
});

test('a credential is in use until its call is over', () => {
  const book = new LeaseBook();
  book.hold('call_1', { connector: 'c', credential: credential('one', null) });
  assert.ok(book.isInUse('one'));
  assert.equal(book.release('call_1'), true, 'there is something to revoke');
  assert.ok(!book.isInUse('one'));
  assert.equal(book.release('call_1'), false);
  const { handle, ...endless } = credential('two', null);
  book.hold('call_2', { connector: 'c', credential: endless });
  assert.equal(book.release('call_2'), false, 'nothing revokes it');
  assert.equal(book.size, 0);
});
