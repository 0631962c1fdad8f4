// Secrets are found in what comes back by value and in every usual spelling, and nothing else is touched.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '@countersign/contract/json.ts';
import fc from 'fast-check';
import { createRedactor, REDACTED } from './redact-secrets.ts';

const secrets = fc.string({ minLength: 8, maxLength: 40, unit: 'grapheme-ascii' });
const around = fc.string({ maxLength: 20, unit: 'grapheme-ascii' });

test('a secret does not come back as it is, encoded, or inside a longer base64 text', () => {
  fc.assert(
    fc.property(secrets, around, around, (secret, before, after) => {
      const redactor = createRedactor([secret]);
      const hex = Buffer.from(secret).toString('hex');
      assert.ok(!redactor.text(before + secret + after).includes(secret));
      assert.ok(
        !redactor.text(before + encodeURIComponent(secret) + after).includes(encodeURIComponent(secret)),
      );
      assert.ok(!redactor.text(`${before} ${hex}`).includes(hex));
      for (const encoding of ['base64', 'base64url'] as const) {
        const text = Buffer.from(before + secret + after).toString(encoding);
        assert.ok(redactor.text(text).includes(REDACTED), text);
      }
    }),
  );
});

test('keys, list items and nested values are covered', () => {
  const redactor = createRedactor(['hunter22']);
  const value: Json = { list: ['x hunter22', 1, null, true], hunter22: { deep: 'hunter22' } };
  assert.deepEqual(redactor.json(value), {
    list: ['x [redacted]', 1, null, true],
    [REDACTED]: { deep: REDACTED },
  });
});

test('without secrets everything stays as it is', () => {
  const value: Json = { a: ['b'] };
  assert.equal(createRedactor([]).json(value), value);
  assert.equal(createRedactor(['abc']).text('abcdef'), 'abcdef', 'too short to be told from chance');
});

test('a line of a secret of several lines does not come back alone, in text or in JSON; its frame may', () => {
  const key =
    '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49\nAwEHBG0wawIBAQQg\n-----END PRIVATE KEY-----\n';
  for (const secret of [key, JSON.stringify({ type: 'service_account', private_key: key })]) {
    const { text } = createRedactor([secret]);
    assert.equal(text('it is MIGHAgEAMBMGByqGSM49AgEGCCqGSM49!'), `it is ${REDACTED}!`);
    assert.equal(text('-----BEGIN PRIVATE KEY-----'), '-----BEGIN PRIVATE KEY-----');
  }
});
