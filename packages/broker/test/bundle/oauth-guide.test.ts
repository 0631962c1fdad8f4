// The connector files that the guide to OAuth shows can be used as they stand.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { oauthOptions } from '#credentials/oauth/options.ts';
import { edited, fixtureTexts, loadTexts, toldBy } from './edit-bundle.ts';

const guide = readFileSync(
  join(import.meta.dirname, '../../../../docs/how-to/authorise-an-mcp-server.md'),
  'utf8',
);
const files = [...guide.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1]!);
const texts = await fixtureTexts();
const grants: string[] = [];

for (const file of files)
  test(`a connector file of the guide is good: ${/grant: (\w+)/.exec(file)?.[1] ?? 'a person'}`, () => {
    const loaded = loadTexts(edited(texts, { 'connectors/wiki.yaml': file }));
    assert.ok(loaded.ok, toldBy(loaded).join('\n'));
    const { credential } = loaded.bundle.connectors.get('wiki')!;
    grants.push(oauthOptions(credential!.options).grant);
  });

test('the guide shows every grant', () => {
  assert.deepEqual(grants, [
    'authorization_code',
    'client_credentials',
    'enterprise_managed',
    'workload_identity',
  ]);
});
