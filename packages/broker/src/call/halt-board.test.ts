// The signal of a watched attempt behaves as far as connectors use one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ActiveHalt, type Haltable, HaltBoard } from './halt-board.ts';

const EVERYTHING: ActiveHalt = {
  id: 'halt_1',
  tenant: null,
  scope: 'everything',
  target: null,
  reason: 'a test',
};

const by = (agent: string): Haltable => ({
  tenant: 'default',
  agent,
  tool: 'a.tool',
  connector: 'a-system',
  run: 'run_1',
});

test('a halt tells every listener of an attempt once, and none that was taken away', () => {
  const board = new HaltBoard();
  const watched = board.watch(by('an-agent'));
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
  const over = board.watch(by('an-agent'));
  const other = board.watch(by('another-agent'));
  board.done(over);
  board.replace([{ ...EVERYTHING, tenant: 'default', scope: 'agent', target: 'an-agent' }]);
  assert.deepEqual([over.aborted, other.aborted], [false, false]);
});

test('a listener that throws keeps no other attempt from being ended, and its error comes up', (t) => {
  const board = new HaltBoard();
  const attempts = ['one', 'two', 'three'].map((agent) => board.watch(by(agent)));
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

test('a halt covers what it names, in its tenant, and nothing else', () => {
  const of = by('an-agent');
  const covers = (halt: Partial<ActiveHalt>): boolean => {
    const board = new HaltBoard();
    board.replace([{ ...EVERYTHING, tenant: 'default', ...halt }]);
    return board.matching(of) !== undefined;
  };
  for (const [scope, target] of [
    ['agent', of.agent],
    ['tool', of.tool],
    ['connector', of.connector],
    ['run', of.run],
  ] as const) {
    assert.equal(covers({ scope, target }), true, scope);
    assert.equal(covers({ scope, target, tenant: null }), true, `${scope} of every tenant`);
    assert.equal(covers({ scope, target, tenant: 'other' }), false, `${scope} of another tenant`);
    assert.equal(covers({ scope, target: 'another' }), false, `another ${scope}`);
  }
  assert.equal(covers({ scope: 'run', target: 'run_0', runs: ['run_0', 'run_1'] }), true, 'a run above');
  assert.equal(covers({ scope: 'tenant' }), true);
  assert.equal(covers({ scope: 'tenant', tenant: 'other' }), false);
  assert.equal(covers({ scope: 'agent', target: of.tool }), false, 'names of different kinds are different');
});

test('what was read of the store before does not undo what was read after it', () => {
  const board = new HaltBoard();
  const earlier = board.asking();
  board.replace([EVERYTHING], board.asking());
  board.replace([], earlier);
  assert.equal(board.quiet, false);
  board.replace([]);
  assert.equal(board.quiet, true, 'control: what is read later does');
});
