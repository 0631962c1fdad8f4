// The how-to about foreign issuers says what `countersign check` accepts, and issuers are dialled only where allowed.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { parse } from 'yaml';
import { judgeTexts } from '../../src/cli/read-bundle.ts';
import { presetNames } from '../../src/rules/issuer-presets.ts';
import { toldBy } from './edit-bundle.ts';

const HOW_TO = new URL('../../../../docs/how-to/let-agents-hold-no-secret.md', import.meta.url);
const page = await readFile(HOW_TO, 'utf8');

/** Each block of YAML that says which file it belongs to. */
const blocks = [...page.matchAll(/```yaml\n# (\S+)\n([\s\S]*?)```/g)].map((match) => ({
  path: match[1]!,
  text: match[2]!,
}));

const OLGA = 'name: olga\nroles: [operator]\n';

function told(settings: object, files: Readonly<Record<string, string>> = {}): string[] {
  const texts = new Map(
    Object.entries({
      ...{ 'countersign.yaml': JSON.stringify(settings), 'people/olga.yaml': OLGA },
      ...files,
    }),
  );
  return toldBy(judgeTexts('/nowhere/countersign', texts, 0));
}

test('the examples of all presets make one bundle without a mistake', () => {
  const settings = blocks.filter(({ path }) => path === 'countersign.yaml').map(({ text }) => parse(text));
  const issuers = settings.flatMap((each) => each.issuers as { preset: string }[]);
  const files = Object.fromEntries(
    blocks.filter(({ path }) => path !== 'countersign.yaml').map(({ path, text }) => [path, text]),
  );
  const context = Object.assign({}, ...settings.map((each) => each.context ?? {}));
  assert.deepEqual(told({ issuers, context }, files), []);
  assert.deepEqual(issuers.map(({ preset }) => preset).sort(), [...presetNames].sort());
});

test('addresses of issuers are judged as those of upstreams, where they stand', () => {
  const issuer = { name: 'idp', issuer: 'https://idp.example' };
  assert.deepEqual(told({ issuers: [issuer] }), []);
  for (const [change, sentence] of [
    [{ issuer: 'http://idp.example' }, /countersign\.yaml:1:\d+ error: url must be https/],
    [{ issuer: 'https://10.0.0.1' }, /10\.0\.0\.1 is private/],
    [{ issuer: 'https://169.254.169.254' }, /link-local/],
    [{ jwks_uri: 'http://127.0.0.1:1/keys' }, /url must be https/],
    [{ jwks_uri: 'http://keys.example/keys', allow_private: true }, /url must be https/],
    [{ jwks_uri: 'https://user@idp.example/keys' }, /must not carry a user or password/],
    [{ allow_private: ['everywhere'] }, /allow_private must be/],
  ] as const) {
    const lines = told({ issuers: [{ ...issuer, ...change }] });
    assert.equal(lines.length, 1, lines.join('\n'));
    assert.match(lines[0]!, sentence);
    assert.ok(!lines[0]!.includes('user@'));
  }
  // Control: what is meant may be said.
  assert.deepEqual(told({ issuers: [{ ...issuer, issuer: 'http://127.0.0.1:1', allow_private: true }] }), []);
});
