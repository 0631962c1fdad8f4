// The signal of a watched attempt behaves as far as connectors use one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ActiveHalt, HaltBoard } from './halt-board.ts';

const EVERYTHING: ActiveHalt = {
  id: 'halt_1',
  tenant: null,
  scope: 'everything',
  target: null,
  reason: 'a test',
};

test('a halt tells every listener of an attempt once, and none that was taken away', () => {
  const board = new HaltBoard();
  const watched = board.watch('default', 'an-agent', 'a.tool');
  const told: string[] = [];
  const first = (): void => void told.push('first');
  const gone = (): void => void told.push('gone');
  const object = { handleEvent: () => void told.push('object') };
  for (const listener of [first, first, gone, object]) watched.addEventListener('abort', listener);
  watched.removeEventListener('abort', gone);
  assert.equal(watched.aborted, false);
  board.replace([EVERYTHING]);
  board.replace([EVERYTHING]);
  assert.deepEqual(told, ['first', 'object']);
  assert.equal(watched.aborted, true);
});

test('an attempt that is over, or that no halt covers, is not told', () => {
  const board = new HaltBoard();
  const over = board.watch('default', 'an-agent', 'a.tool');
  const other = board.watch('default', 'another-agent', 'a.tool');
  board.done(over);
  board.replace([{ ...EVERYTHING, tenant: 'default', scope: 'agent', target: 'an-agent' }]);
  assert.deepEqual([over.aborted, other.aborted], [false, false]);
});

test('a listener that throws keeps no other attempt from being ended, and its error comes up', (t) => {
  const board = new HaltBoard();
  const attempts = ['one', 'two', 'three'].map((agent) => board.watch('default', agent, 'a.tool'));
  const told: number[] = [];
  attempts.forEach((attempt, index) => {
    attempt.addEventListener('abort', () => {
      if (index === 1) throw new Error('a fault of ours');
      told.push(index);
    });
  });
  const later = t.mock.method(globalThis, 'queueMicrotask', () => undefined);
  board.replace([EVERYTHING]);
  assert.deepEqual(told, [2, 0], 'newest first');
  const raise = later.mock.calls[0]?.arguments[0] as () => void;
  assert.throws(raise, /a fault of ours/);
});
