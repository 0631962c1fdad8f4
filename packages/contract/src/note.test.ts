// Signed notes and checkpoints against the specification's example and against forgers.
import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { sha256 } from './digest.ts';
import {
  formatCheckpoint,
  noteSigner,
  openCheckpoint,
  openNote,
  originOf,
  parseCheckpoint,
  parseVkey,
  signNote,
} from './note.ts';

// The published example of the note format (Go checksum database).
const EXAMPLE_VKEY = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const EXAMPLE_SEED = 'AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz';
const EXAMPLE_TEXT =
  'If you think cryptography is the answer to your problem,\nthen you don\u0027t know what your problem is.\n';
const EXAMPLE_SIGNATURE =
  '\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n';
const EXAMPLE_NOTE = `${EXAMPLE_TEXT}\n${EXAMPLE_SIGNATURE}`;

const newSigner = (name = 'broker.example') => noteSigner(name, generateKeyPairSync('ed25519').privateKey);
const verifierOf = (vkey: string) => parseVkey(vkey) ?? assert.fail('a good verifier key was refused');

test('the published example opens with its published key', () => {
  assert.deepEqual(openNote(EXAMPLE_NOTE, verifierOf(EXAMPLE_VKEY)), { ok: true, text: EXAMPLE_TEXT });
});

test('signing the published example gives the published bytes', () => {
  const seed = Buffer.from(EXAMPLE_SEED, 'base64').subarray(1);
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const signer = noteSigner('PeterNeumann', createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  assert.equal(signer.vkey, EXAMPLE_VKEY);
  assert.equal(signNote(EXAMPLE_TEXT, signer), EXAMPLE_NOTE);
});

test('a note opens for its signer and for nobody else', () => {
  const signer = newSigner();
  const note = signNote('hello\n', signer);
  assert.deepEqual(openNote(note, verifierOf(signer.vkey)), { ok: true, text: 'hello\n' });
  assert.equal(openNote(note, verifierOf(newSigner().vkey)).ok, false);
  assert.equal(openNote(note, verifierOf(newSigner('other.example').vkey)).ok, false);
});

test('any changed character of a note refuses it', () => {
  const signer = newSigner();
  const note = signNote('origin/log\n17\nroot\n', signer);
  const verifier = verifierOf(signer.vkey);
  fc.assert(
    fc.property(fc.nat(note.length - 1), fc.constantFrom('x', '0', '\n', ' ', '='), (at, char) => {
      fc.pre(note[at] !== char);
      assert.equal(openNote(note.slice(0, at) + char + note.slice(at + 1), verifier).ok, false);
    }),
  );
});

test('a second signature by an unknown key does not matter, a bad one by ours does', () => {
  const signer = newSigner();
  const verifier = verifierOf(signer.vkey);
  const note = signNote('text\n', signer);
  const foreign = signNote('text\n', newSigner('witness.example')).split('\n\n')[1] as string;
  assert.equal(openNote(note + foreign, verifier).ok, true);
  const bad = signNote('other\n', signer).split('\n\n')[1] as string;
  assert.equal(openNote(note + bad, verifier).ok, false);
});

test('malformed notes are refused', () => {
  const signer = newSigner();
  const note = signNote('text\n', signer);
  const line = note.split('\n\n')[1] as string;
  const cases = {
    'no signature': 'text\n\n',
    'no blank line': `text\n${line}`,
    'no newline at the end': note.slice(0, -1),
    'hyphen for dash': note.replace('\u2014', '-'),
    'carriage return': note.replace('text\n', 'text\r\n'),
    'tab in the text': note.replace('text', 'te\txt'),
    'two spaces': note.replace('\u2014 ', '\u2014  '),
    'base64 with spare bits': note.replace(/(.)\n$/, 'B\n'),
    'an unreadable extra line': `${note}\u2014 nobody\n`,
    'text after the signatures': `${note}more\n`,
    empty: '',
  };
  for (const [name, bad] of Object.entries(cases)) {
    assert.equal(openNote(bad, verifierOf(signer.vkey)).ok, false, name);
  }
});

test('texts and names that a note cannot carry are refused when signing', () => {
  const signer = newSigner();
  for (const text of ['no newline', 'tab\t\n', 'cr\r\n', '\ud800\n', '']) {
    assert.throws(() => signNote(text, signer), TypeError);
  }
  for (const name of ['', 'a b', 'a+b', 'a\nb', 'a\u00a0b']) {
    assert.throws(() => newSigner(name), TypeError, JSON.stringify(name));
  }
  assert.throws(() => noteSigner('a', generateKeyPairSync('x25519').privateKey), TypeError);
});

test('a verifier key with a wrong hash, type or length is refused', () => {
  const [name, hash, key] = EXAMPLE_VKEY.split('+') as [string, string, string];
  assert.notEqual(parseVkey(EXAMPLE_VKEY), null);
  for (const bad of [
    `${name}+c74f20a4+${key}`,
    `Other+${hash}+${key}`,
    `${name}+${hash}`,
    `${name}+${hash}+AAAA`,
    '',
  ]) {
    assert.equal(parseVkey(bad), null, bad);
  }
});

test('a checkpoint survives writing and reading', () => {
  fc.assert(
    fc.property(fc.nat(), (size) => {
      const checkpoint = { origin: 'broker.example/tenant/default', size, root: sha256(`${size}`) };
      assert.deepEqual(parseCheckpoint(formatCheckpoint(checkpoint)), checkpoint);
    }),
  );
});

test('malformed checkpoints are refused, extension lines are not', () => {
  const root = sha256('').toString('base64');
  assert.notEqual(parseCheckpoint(`o\n1\n${root}\nextension\n`), null);
  const cases = [
    `o\n01\n${root}\n`,
    `o\n-1\n${root}\n`,
    `o\n1e3\n${root}\n`,
    `\n1\n${root}\n`,
    `o\n1\n${root}`,
  ];
  for (const bad of [
    ...cases,
    `o\n1\n${root}\n\nx\n`,
    'o\n1\nAAAA\n',
    `o\n9007199254740992\n${root}\n`,
    'o\n1\n',
    '',
  ]) {
    assert.equal(parseCheckpoint(bad), null, JSON.stringify(bad));
  }
});

test('the checkpoint of one log does not pass for that of another', () => {
  const signer = newSigner();
  const text = formatCheckpoint({ origin: originOf(signer.name, 'tenant/a'), size: 3, root: sha256('r') });
  const note = signNote(text, signer);
  assert.equal(openCheckpoint(note, verifierOf(signer.vkey), 'tenant/a').ok, true);
  assert.equal(openCheckpoint(note, verifierOf(signer.vkey), 'tenant/b').ok, false);
});
