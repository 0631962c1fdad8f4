// Fuzzed requests at every door of one real broker: no 500, no crash, bounded memory. `npm run fuzz` throws 100,000.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diceOf } from '../fuzz/dice.ts';
import { type Answer, readAnswers } from '../fuzz/exchange.ts';
import { fuzz } from '../fuzz/fuzz.ts';
import { judge } from '../fuzz/judge.ts';
import { writeBroken, writeWell } from '../fuzz/mutate-json.ts';
import type { Fuzzed } from '../fuzz/mutate-wire.ts';

const SEED = 20_260_728;

test(`three thousand fuzzed requests of both eras and HTTP are answered as they must be (seed ${SEED})`, async (t) => {
  const report = await fuzz({ seed: SEED, requests: 3_000 });
  t.diagnostic(
    `answers ${JSON.stringify(report.statuses)}, held to an outcome ${JSON.stringify(report.held)}`,
  );
  assert.deepEqual(report.failures, []);
  // It is no noise alone: what was left whole worked, and what had to be refused was thrown too.
  assert.ok(report.held.works > 600 && report.held.refused > 200 && report.held.strangers > 80);
  assert.ok(report.statuses[200]! > 400 && report.entries > 200);
});

test('a seed throws the same bytes again', () => {
  const tree = { jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} };
  const bytes = (seed: number) =>
    Array.from({ length: 50 }, (_, i) => writeBroken(diceOf(seed, i), tree).bytes.toString('hex'));
  assert.deepEqual(bytes(7), bytes(7));
  assert.notDeepEqual(bytes(7), bytes(8));
});

const ID = 7;

function asked(more: Partial<Fuzzed> = {}): Fuzzed {
  const body = { jsonrpc: '2.0', id: ID, method: 'ping', params: {} };
  return {
    plain: {
      era: 'session',
      method: 'POST',
      path: '/mcp',
      headers: [],
      body,
      as: 'bot',
      works: /"result":\{\}/,
    },
    ...{
      bytes: Buffer.alloc(0),
      cuts: [],
      end: 'keep',
      expects: 'works',
      stranger: false,
      framed: true,
      did: [],
    },
    tree: writeWell(body).tree,
    ...more,
  };
}

function answered(
  status: number,
  body: string,
  type = 'application/json',
  more: readonly [string, string][] = [],
): Answer {
  const headers = new Map([['content-type', type], ['cache-control', 'no-store'], ...more]);
  return { status, headers, body: Buffer.from(body) };
}

const RIGHT = `{"jsonrpc":"2.0","id":${ID},"result":{}}`;

test('control: the judge sees what must not be answered', () => {
  const problem = JSON.stringify({
    type: 'urn:countersign:problem:invalid_request',
    code: 'invalid_request',
    title: 'x',
    status: 400,
    detail: 'x',
  });
  assert.equal(judge(asked(), answered(200, RIGHT)), null);
  assert.equal(judge(asked({ expects: 'any' }), answered(400, problem, 'application/problem+json')), null);
  const wrong: readonly [RegExp, Fuzzed, Answer][] = [
    [/status 500/, asked(), answered(500, '{"jsonrpc":"2.0","error":{"code":-32603,"message":"x"}}')],
    [/not asked with/, asked(), answered(200, '{"jsonrpc":"2.0","id":8,"result":{}}')],
    [/without an id/, asked(), answered(200, '{"jsonrpc":"2.0","result":{}}')],
    [/not JSON/, asked(), answered(200, '{"jsonrpc":')],
    [
      /not a JSON-RPC message/,
      asked(),
      answered(200, `{"jsonrpc":"2.0","id":${ID},"result":{},"error":{"code":1,"message":"x"}}`),
    ],
    [/expected a refusal/, asked({ expects: 'refused', tree: undefined }), answered(200, RIGHT)],
    [/expected 401/, asked({ stranger: true }), answered(200, RIGHT)],
    [/expected it to work/, asked(), answered(400, problem, 'application/problem+json')],
    [
      /not a problem of the table/,
      asked(),
      answered(400, problem.replace('"status":400', '"status":401'), 'application/problem+json'),
    ],
    [/content-type text\/html/, asked(), answered(404, '<html>', 'text/html')],
    [
      /no cache-control/,
      asked(),
      { ...answered(200, RIGHT), headers: new Map([['content-type', 'application/json']]) },
    ],
    [
      /401 without a challenge/,
      asked({ stranger: true }),
      answered(401, problem, 'application/problem+json'),
    ],
  ];
  for (const [why, fuzzed, answer] of wrong) assert.match(judge(fuzzed, answer) ?? 'nothing', why);
});

test('control: half an answer, and bytes behind one, are seen', () => {
  const whole = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}';
  assert.equal(readAnswers(Buffer.from(`${whole}${whole}`), ['GET', 'GET']).answers.length, 2);
  assert.equal(readAnswers(Buffer.from(whole.slice(0, -1)), ['GET']).answers.length, 0);
  assert.equal(readAnswers(Buffer.from(`${whole}x`), ['GET']).left.toString(), 'x');
  const chunked = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n';
  assert.equal(readAnswers(Buffer.from(chunked), ['POST']).answers[0]!.body.toString(), '{}');
});
