// The memory of loops: one count for a call that is judged again, and never more than it may keep.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { problem } from '@countersign/contract/problem.ts';
import type { CallAnswer } from '@countersign/contract/wire.ts';
import { LoopWatch } from './loop-watch.ts';

const limits = { identical: 3, identical_reads: 3, failing: 2, window_ms: 1_000 };
const base = { call_id: 'c', run_id: 'run_1', tool: 'refund', labels: [] } as const;
const done: CallAnswer = { ...base, status: 'succeeded' };
const failed: CallAnswer = { ...base, status: 'failed', problem: problem('tool_rejected', 'No.') };

test('a call that is judged again counts once, and its repeat counts twice', () => {
  const watch = new LoopWatch();
  assert.equal(watch.enter('a', 'run_1', 'x', 0, limits), 1);
  assert.equal(watch.enter('a', 'run_1', 'x', 0, limits), 1);
  watch.leave('a', done, 0, limits);
  assert.equal(watch.enter('b', 'run_1', 'x', 0, limits), 2);
});

test('what waits for people and what was answered before is taken out of the count', () => {
  const watch = new LoopWatch();
  watch.enter('a', 'run_1', 'x', 0, limits);
  watch.leave('a', { ...base, status: 'held' }, 0, limits);
  watch.enter('b', 'run_1', 'x', 0, limits);
  watch.leave('b', { ...done, replayed: true }, 0, limits);
  assert.equal(watch.enter('c', 'run_1', 'x', 0, limits), 1);
});

test('a row of failures ends with a success, and not with a call that waits', () => {
  const watch = new LoopWatch();
  watch.leave('a', failed, 0, limits);
  watch.leave('b', { ...base, status: 'held' }, 0, limits);
  watch.leave('c', failed, 0, limits);
  assert.deepEqual(watch.failing('run_1', 'refund', 0, limits), { count: 2, last: 'tool_rejected' });
  watch.leave('d', done, 0, limits);
  assert.equal(watch.failing('run_1', 'refund', 0, limits).count, 0);
});

test('of very many runs the ones that were longest left alone are forgotten', () => {
  const watch = new LoopWatch();
  for (let n = 0; n < 50_000; n++) {
    watch.enter(`c${n}`, `run_${n}`, 'x', 0, limits);
    watch.leave(`c${n}`, { ...failed, run_id: `run_${n}` }, 0, limits);
    if (n % 1_000 === 0) watch.enter(`kept${n}`, 'kept', 'x', 0, limits);
  }
  assert.equal(watch.size, 40_000);
  assert.equal(watch.enter('last', 'kept', 'x', 0, limits), 51, 'one that is used stays');
  assert.equal(watch.enter('first', 'run_0', 'x', 0, limits), 1);
});
