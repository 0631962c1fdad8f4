// Narrowing: it only ever takes away, whatever is asked for and however often.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  carriesResources,
  carriesTool,
  isResourcePattern,
  type Narrowing,
  type NarrowingAsked,
  narrow,
} from './narrowing.ts';

const nothing = { tools: null, resources: null, args_digest: null };
const whole = (more: Partial<Narrowing>): Narrowing => ({
  act: [],
  tools: null,
  resources: null,
  call: null,
  ...more,
});

test('what is asked for beyond the whole is refused', () => {
  const rows: readonly (readonly [Partial<Narrowing>, Partial<NarrowingAsked>, boolean])[] = [
    [{}, {}, true],
    [{}, { tools: ['a'] }, true],
    [{ tools: ['a', 'b'] }, {}, true],
    [{ tools: ['a', 'b'] }, { tools: ['b'] }, true],
    [{ tools: ['a', 'b'] }, { tools: [] }, true],
    [{ tools: ['a'] }, { tools: ['a', 'b'] }, false],
    [{ tools: [] }, { tools: ['a'] }, false],
    [{ resources: ['desk:invoice/*'] }, { resources: ['desk:invoice/7'] }, true],
    [{ resources: ['desk:invoice/*'] }, { resources: ['desk:invoice/7*'] }, true],
    [{ resources: ['desk:invoice/7'] }, { resources: ['desk:invoice/7'] }, true],
    [{ resources: ['desk:invoice/7'] }, { resources: ['desk:invoice/7*'] }, false],
    [{ resources: ['desk:invoice/7*'] }, { resources: ['desk:invoice/*'] }, false],
    [{ resources: ['desk:invoice/*'] }, { resources: ['desk:customer/7'] }, false],
    [{ call: { args_digest: 'd', token_id: 't', expires_at_ms: 1 } }, {}, false],
  ];
  for (const [mine, asked, given] of rows) {
    const got = narrow(whole(mine), { ...nothing, ...asked });
    assert.equal(got !== null, given, JSON.stringify([mine, asked]));
  }
});

test('a narrower token carries no tool and no resource that the wider one does not', () => {
  const names = ['a', 'b', 'c'];
  const ids = ['s:k/1', 's:k/12', 's:k/2', 's:l/1', 't:k/1'];
  const lists = [null, [], ['a'], ['a', 'b']];
  const patterns = [null, [], ['s:*'], ['s:k/*'], ['s:k/1'], ['s:k/1*', 't:k/1']];
  let given = 0;
  for (const tools of lists)
    for (const resources of patterns)
      for (const wanted of lists)
        for (const touched of patterns) {
          const mine = whole({ tools, resources });
          const got = narrow(mine, { tools: wanted, resources: touched, args_digest: null });
          if (got === null) continue;
          given++;
          const theirs = whole(got);
          for (const name of names) assert.ok(!carriesTool(theirs, name) || carriesTool(mine, name));
          for (const id of ids) assert.ok(!carriesResources(theirs, [id]) || carriesResources(mine, [id]));
        }
  assert.ok(given > 50);
});

test('all that a call touches must be carried, and a call that touches nothing by name is not', () => {
  const narrowed = whole({ resources: ['desk:invoice/*'] });
  assert.ok(carriesResources(narrowed, ['desk:invoice/1', 'desk:invoice/2']));
  assert.ok(!carriesResources(narrowed, ['desk:invoice/1', 'desk:customer/2']));
  assert.ok(!carriesResources(narrowed, []));
  assert.ok(carriesResources(whole({}), []));
  assert.ok(carriesResources(undefined, []));
});

test('a pattern names its system and has its star at the end', () => {
  for (const good of ['desk:invoice/1', 'desk:*', 'desk:invoice/*', 'desk:invoice/ü 1'])
    assert.ok(isResourcePattern(good), good);
  for (const bad of ['*', '', 'desk', ':x', 'desk:*/1', 'de*:x', 'desk:a\n', 'desk:**'])
    assert.ok(!isResourcePattern(bad), bad);
});
