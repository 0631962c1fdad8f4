// Signatures of proofs: each form that RFC 7518 allows is read, whatever its numbers look like, and no other.
import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import { ProofReader } from '../../src/identity/dpop/proof.ts';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const NOW_MS = 1_800_000_000_000;
const REQUEST = { method: 'POST', url: 'https://broker.example/v1/calls', ath: null };
const segment = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const header = segment({ typ: 'dpop+jwt', alg: 'ES256', jwk: publicKey.export({ format: 'jwk' }) });

function inputOf(n: number): string {
  const claims = { jti: `proof-${n}`, htm: REQUEST.method, htu: REQUEST.url, iat: NOW_MS / 1000 };
  return `${header}.${segment(claims)}`;
}

const signed = (input: string, dsaEncoding: 'ieee-p1363' | 'der' = 'ieee-p1363'): Buffer =>
  sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding });

function isRead(input: string, signature: Buffer): boolean {
  const text = `${input}.${signature.toString('base64url')}`;
  return 'jkt' in new ProofReader().read(text, REQUEST, NOW_MS);
}

test('a number of the signature may begin with zeros, or with its highest bit', () => {
  const seen = { zero: 0, high: 0, low: 0 };
  for (let n = 0; seen.zero < 3 || n < 200; n++) {
    const signature = signed(inputOf(n));
    assert.ok(isRead(inputOf(n), signature), signature.toString('hex'));
    for (const first of [signature[0]!, signature[32]!])
      seen[first === 0 ? 'zero' : first >= 0x80 ? 'high' : 'low']++;
  }
  assert.ok(Math.min(seen.high, seen.low) > 0);
});

test('a signature in another form, cut, longer, empty of numbers or changed in any byte opens nothing', () => {
  const input = inputOf(0);
  const good = signed(input);
  assert.ok(isRead(input, good), 'control');
  assert.ok(!isRead(input, signed(input, 'der')));
  assert.ok(!isRead(input, good.subarray(0, 63)));
  assert.ok(!isRead(input, Buffer.concat([good, Buffer.from([0])])));
  assert.ok(!isRead(input, Buffer.alloc(64)));
  for (let at = 0; at < good.length; at++) {
    const changed = Buffer.from(good);
    changed[at]! ^= 1;
    assert.ok(!isRead(input, changed), String(at));
  }
});
