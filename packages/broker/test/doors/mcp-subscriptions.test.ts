// What a session hears of changes is judged each time anew: its token, its resources, the halts in force.

import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { systemClock } from '#call/clock.ts';
import { HaltBoard } from '#call/halt-board.ts';
import { RunCache } from '#call/run-cache.ts';
import { bearer, type Presented } from '#identity/identity.ts';
import type { EventStream } from '#mcp/event-stream.ts';
import { type Judging, Subscriptions } from '#mcp/subscriptions.ts';

const URI = 'test://one';
const READ = {
  kind: 'resources',
  tool: 'resources_of_desk',
  connector: 'desk',
  lists: ({ resource }: { resource: string }) => resource === URI,
};
const AGENT = { kind: 'agent', tenant: 'default', name: 'ada' };
let said: string[];
let token: 'good' | 'ended';
let passed: (typeof READ)[];
let halts: HaltBoard;
let stopped: number;
let subscriptions: Subscriptions;

const judging = (): Judging =>
  ({
    world: {
      halts,
      runs: new RunCache(),
      clock: systemClock,
      bundle: () => ({ settings: { runs: { ambient_idle_ms: 60_000 } } }),
      identity: {
        authenticate: ({ token: shown }: Presented) =>
          shown === token ? { ok: true, caller: { principal: AGENT, run_id: 'run_1' } } : { ok: false },
      },
    },
    catalogue: { passed: () => passed },
  }) as unknown as Judging;

const stream = (): EventStream =>
  ({
    send: (text: string) => void said.push(text),
    close: () => void said.push('closed'),
  }) as unknown as EventStream;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout'] });
  [said, token, passed, stopped] = [[], 'good', [READ], 0];
  halts = new HaltBoard();
  subscriptions = new Subscriptions();
});

function subscribed(): () => void {
  const begun = subscriptions.begin(URI, judging());
  begun.watch.watched(() => void stopped++);
  assert.ok(begun.keep());
  return begun.watch.updated;
}

const UPDATED = '{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"test://one"}}';

test('many changes at once are told as one', () => {
  const updated = subscribed();
  subscriptions.attach(stream(), bearer('good'), judging());
  for (let times = 0; times < 1_000; times++) updated();
  mock.timers.tick(50);
  assert.deepEqual(said, [UPDATED]);
});

test('a change while there is no stream is told when there is one', () => {
  subscribed()();
  mock.timers.tick(50);
  assert.deepEqual(said, []);
  subscriptions.attach(stream(), bearer('good'), judging());
  assert.deepEqual(said, [UPDATED]);
});

test('a token that ended closes the stream, and what it missed waits for a good one', () => {
  const updated = subscribed();
  subscriptions.attach(stream(), bearer('good'), judging());
  token = 'ended';
  updated();
  mock.timers.tick(50);
  assert.deepEqual(said, ['closed']);
  token = 'good';
  subscriptions.attach(stream(), bearer('good'), judging());
  assert.deepEqual(said, ['closed', UPDATED]);
});

test('a halt and a resource that is not listed any more silence a subscription', () => {
  const updated = subscribed();
  subscriptions.attach(stream(), bearer('good'), judging());
  for (const [scope, target] of [
    ['tool', READ.tool],
    ['connector', READ.connector],
    ['run', 'run_1'],
  ] as const) {
    halts.replace([{ id: 'hlt_1', tenant: null, scope, target, reason: 'test' }]);
    updated();
    mock.timers.tick(50);
  }
  halts.replace([]);
  passed = [];
  updated();
  mock.timers.tick(50);
  assert.deepEqual(said, []);
  passed = [READ];
  updated();
  mock.timers.tick(50);
  assert.deepEqual(said, [UPDATED], 'control: with neither it is told');
});

test('a watch that was ended, replaced or never kept says nothing, and is stopped upstream', () => {
  subscriptions.attach(stream(), bearer('good'), judging());
  const first = subscribed();
  const second = subscribed();
  assert.equal(stopped, 1);
  first();
  const dropped = subscriptions.begin('test://two', judging());
  assert.equal(dropped.keep(), false, 'nobody watches it');
  dropped.watch.watched(() => void stopped++);
  dropped.watch.updated();
  dropped.drop();
  subscriptions.end(URI);
  second();
  mock.timers.tick(50);
  assert.deepEqual(said, []);
  assert.equal(stopped, 3);
});
