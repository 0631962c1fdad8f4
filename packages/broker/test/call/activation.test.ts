// Changing the rules while serving: an explicit, recorded act that a broken bundle does not survive.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Desk, FILES, startDesk } from './desk.ts';

let desk: Desk;
before(async () => {
  desk = await startDesk();
});
after(() => desk.close());

const read = () => desk.call('bot', 'read_note', { note: 'N-2' });

test('a broken bundle is refused with all its mistakes, and the old one goes on serving', async () => {
  const before = desk.broker.world.bundle().revision;
  desk.write({
    'policies/desk.cedar': `${FILES['policies/desk.cedar']}\npermit (principal, action, resource`,
  });
  const sent = await desk.send('ben', 'POST', '/v1/bundle');
  assert.equal(sent.status, 422);
  assert.equal(sent.body['code'], 'bundle_invalid');
  assert.match(JSON.stringify(sent.body['issues']), /policies\/desk\.cedar:\d+:\d+/);
  assert.equal(desk.broker.world.bundle().revision, before);
  assert.equal((await read()).status, 'succeeded');
});

test('changed files change nothing until somebody activates them', async () => {
  desk.write({ 'policies/desk.cedar': FILES['policies/desk.cedar']!.replace(/@id\("reads"\)[^;]*;/, '') });
  assert.equal((await read()).status, 'succeeded');
  const sent = await desk.send('ben', 'POST', '/v1/bundle');
  assert.equal(sent.status, 200);
  assert.equal((await read()).problem?.code, 'tool_not_found');
});

test('calls under way while bundles are swapped are judged by one of them, whole', async () => {
  const permissive = FILES['policies/desk.cedar']!;
  const strict = permissive.replace(/@id\("reads"\)[^;]*;/, '');
  let swapping = true;
  const outcomes = new Set<string>();
  const callers = Array.from({ length: 8 }, async () => {
    while (swapping) {
      const answer = await read();
      outcomes.add(answer.problem?.code ?? answer.status);
    }
  });
  for (let round = 0; round < 6; round++) {
    desk.write({ 'policies/desk.cedar': round % 2 === 0 ? permissive : strict });
    assert.equal((await desk.send('ben', 'POST', '/v1/bundle')).status, 200);
  }
  swapping = false;
  await Promise.all(callers);
  assert.deepEqual([...outcomes].sort(), ['succeeded', 'tool_not_found']);
});

test('only an admin activates, and each activation is in the installation log', async () => {
  for (const name of ['bot', 'desk', 'ana', 'dora']) {
    assert.ok([403, 404].includes((await desk.send(name, 'POST', '/v1/bundle')).status), name);
  }
  const sent = await desk.send('dora', 'GET', '/v1/ledger/entries?log=installation&limit=100');
  const { entries } = sent.body as unknown as { entries: { entry: string }[] };
  const kinds = entries.map((each) => (JSON.parse(each.entry) as { kind: string }).kind);
  assert.ok(
    kinds.includes('bundle.refused') && kinds.filter((kind) => kind === 'bundle.activated').length >= 6,
  );
});
