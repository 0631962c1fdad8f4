// A connector file that would send a credential in the clear, dial inside unasked or hold a secret in its address.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import { judgeTexts } from '#cli/read-bundle.ts';
import { readMcpOptions } from '#connectors/mcp/options.ts';
import { FIXTURE, fixtureTexts, toldBy } from '../bundle/edit-bundle.ts';

const texts = await fixtureTexts();

/** What `check` tells of a connector with this address. */
function told(http: JsonObject): string[] {
  const file = `name: remote\nkind: mcp\nowner: platform\ntransport:\n  http:\n${Object.entries(http)
    .map(([key, value]) => `    ${key}: ${JSON.stringify(value)}\n`)
    .join('')}`;
  return toldBy(judgeTexts(FIXTURE, new Map([...texts, ['connectors/remote.yaml', file]]), 0));
}

/** What a broker that starts with it does. */
function start(http: JsonObject): void {
  readMcpOptions({
    name: 'remote',
    kind: 'mcp',
    owner: 'platform',
    options: { transport: { http } },
    credential: null,
  });
}

const refused: readonly (readonly [what: string, http: JsonObject, why: RegExp])[] = [
  [
    'loopback without allow_private',
    { url: 'http://127.0.0.1:9000/mcp' },
    /must be https.*loopback with allow_private/,
  ],
  ['loopback over TLS without allow_private', { url: 'https://127.0.0.1:9000/mcp' }, /say allow_private/],
  [
    'plain http to a public name',
    { url: 'http://mcp.example.com/mcp', allow_private: true },
    /only where allow_private lists/,
  ],
  ['plain http to a public address', { url: 'http://93.184.215.14/mcp', allow_private: true }, /is public/],
  [
    'plain http to a listed public address',
    { url: 'http://8.8.8.8/mcp', allow_private: ['8.8.8.8'] },
    /is public/,
  ],
  [
    'plain http to a private address that is not listed',
    { url: 'http://10.0.0.7/mcp', allow_private: true },
    /lists it/,
  ],
  [
    'the metadata service of a cloud',
    { url: 'http://169.254.169.254/mcp', allow_private: true },
    /link-local/,
  ],
  [
    'a key in the query',
    { url: 'https://mcp.example.com/mcp?api_key=hunter2' },
    /looks like a secret; put it in credential/,
  ],
  ['a token in the query', { url: 'https://mcp.example.com/mcp?accessToken=hunter2' }, /looks like a secret/],
  [
    'a secret by its form',
    { url: 'https://mcp.example.com/sk_live_hunter2hunter2/mcp' },
    /looks like a secret/,
  ],
  [
    'a user and password',
    { url: 'https://maya:hunter2@mcp.example.com/mcp' },
    /must not carry a user or password; use credential/,
  ],
  [
    'a user alone',
    { url: 'https://hunter2@mcp.example.com/mcp' },
    /must not carry a user or password; use credential/,
  ],
  [
    'a list with what is no address',
    { url: 'http://10.0.0.7/mcp', allow_private: ['10.0.0.7/99'] },
    /addresses or CIDR ranges/,
  ],
];

for (const [what, http, why] of refused) {
  test(`${what} is refused at load with its place, and by a broker that starts`, () => {
    const lines = told(http);
    const line = what.startsWith('a list') ? 7 : 6;
    assert.ok(lines.length > 0);
    for (const each of lines)
      assert.match(each, new RegExp(`^connectors/remote\\.yaml:${line}:\\d+ error: `));
    assert.match(lines.join('\n'), why);
    assert.throws(() => start(http), why);
    assert.doesNotMatch(lines.join('\n'), /hunter2/, 'a secret is not quoted');
  });
}

test('control: addresses that show nothing on the way, and carry nothing, load and start', () => {
  const good: readonly JsonObject[] = [
    { url: 'https://mcp.example.com/mcp?team=desk&sort=key' },
    { url: 'http://127.0.0.1:9000/mcp', allow_private: true },
    { url: 'http://localhost:9000/mcp', allow_private: true },
    { url: 'http://[::1]:9000/mcp', allow_private: ['::1'] },
    { url: 'http://10.0.0.7/mcp', allow_private: ['10.0.0.0/24'] },
    { url: 'http://mcp.internal/mcp', allow_private: ['10.0.0.7'] },
  ];
  for (const http of good) {
    assert.deepEqual(told(http), [], String(http['url']));
    start(http);
  }
});

test('the address of a webhook for alerts is judged in the same way', () => {
  const webhook = (fields: JsonObject): string[] => {
    const text = `alerts: ${JSON.stringify({ webhooks: [{ secret: 'env:ALERTS', ...fields }] })}\n`;
    const settings = `${texts.get('countersign.yaml')}${text}`;
    return toldBy(judgeTexts(FIXTURE, new Map([...texts, ['countersign.yaml', settings]]), 0));
  };
  for (const [what, http, why] of refused) {
    const told = webhook(http).join('\n');
    assert.match(told, why, what);
    assert.doesNotMatch(told, /hunter2/, what);
  }
  assert.deepEqual(webhook({ url: 'https://alerts.example.com/x' }), [], 'control');
  assert.deepEqual(webhook({ url: 'http://127.0.0.1:9/x', allow_private: true }), [], 'control');
});
