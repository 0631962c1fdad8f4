// `check`, `test` and `pin` on the bundle of the demo, as it is and broken.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { type Desk, setUpDesk } from '../../../../demo/set-up-desk.ts';
import { run } from './fixture.ts';

let desk: Desk;
beforeEach(() => {
  desk = setUpDesk();
});
afterEach(() => desk.remove());

function change(file: string, from: string, to: string): void {
  const path = join(desk.bundle, file);
  const text = readFileSync(path, 'utf8');
  assert.ok(text.includes(from), `${file} holds ${from}`);
  writeFileSync(path, text.replace(from, to));
}

test("the demo's bundle is good, and its cases pass", async () => {
  const checked = await run(['check', desk.bundle]);
  assert.deepEqual([checked.code, checked.err], [0, '']);
  assert.match(checked.out, /^Good: 7 tools, 1 agent, 2 people, 0 warnings\.\nsha256:[0-9a-f]{64}$/);
  const tested = await run(['test', desk.bundle]);
  assert.equal(tested.code, 0);
  assert.match(tested.out, /\n10 cases, 0 failed\.$/);
});

test('all mistakes are told at once, each with its place', async () => {
  change('policies/refunds.cedar', 'context.cost.minor > 5000', 'context.cost.mino > 5000');
  change('agents/support-refunds.yaml', 'owner: ben', 'owner: bem');
  const { code, err } = await run(['check', desk.bundle]);
  assert.equal(code, 1);
  assert.match(err, /^agents\/support-refunds\.yaml:2:8: error: no person "bem"/m);
  assert.match(err, /^policies\/refunds\.cedar:\d+:\d+: error: /m);
  assert.match(err, /2 mistakes: this bundle cannot be served\.$/);
});

test('SQL that reads a parameter which nobody gives is a mistake of the bundle', async () => {
  change('tools/read_ticket.yaml', 'params: { ticket: =args.ticket }', 'params: { tickt: =args.ticket }');
  const { code, err } = await run(['check', desk.bundle]);
  assert.equal(code, 1);
  assert.match(err, /the SQL reads :ticket, which params does not give/);
  assert.match(err, /params gives "tickt", which the SQL does not read/);
});

test('a weakened policy makes a case fail', async () => {
  change('policies/refunds.cedar', '> 5000', '> 50000');
  const { code, out } = await run(['test', desk.bundle]);
  assert.equal(code, 1);
  assert.match(out, /^FAIL {2}one cent more waits for finance \(tests\/refunds\.yaml:\d+\): expected hold/m);
});

test('pin prints the digest that the bundle pins, from the server as it is installed', async () => {
  const { code, out } = await run(['pin', 'runbooks', desk.bundle]);
  assert.equal(code, 0);
  const pinned = /digest: "(sha256:[0-9a-f]{64})"/.exec(
    readFileSync(join(desk.bundle, 'tools/read_runbook.yaml'), 'utf8'),
  );
  assert.match(out, new RegExp(`^read_text_file +${pinned?.[1]}$`, 'm'));
});
