// The command: what it asks before it acts, what it prints, and the code that it ends with.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { problem } from '@countersign/contract/problem.ts';
import type { ApprovalView } from '@countersign/contract/wire.ts';
import { StubBroker } from '../../../sdk/test/stub-broker.ts';
import { type Ran, type RunOptions, run } from './fixture.ts';

let folder: string;
let broker: StubBroker;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-cli-'));
  broker = await StubBroker.start();
  writeFileSync(join(folder, 'ana.jwk'), JSON.stringify(broker.key), { mode: 0o600 });
});
afterEach(async () => {
  await broker.stop();
  rmSync(folder, { recursive: true });
});

function asAna(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const environment = {
    COUNTERSIGN_URL: broker.url,
    COUNTERSIGN_AS: 'ana',
    COUNTERSIGN_KEY: join(folder, 'ana.jwk'),
  };
  return run(argv, { environment, ...options });
}

const approval: ApprovalView = {
  approval_id: 'apr_1',
  call_id: 'call_1',
  run_id: 'run_1',
  agent: 'refunds',
  tool: 'refund_invoice',
  status: 'open',
  created_at_ms: 0,
  expires_at_ms: 3_600_000,
  summary: 'refunds wants to refund 120.00 EUR.',
  args: { invoice: 'INV-1', note: '\u001b[1A\u001b[2Kharmless' },
  claimed: { why: 'late' },
  bound: { ticket: 'ZD-991' },
  prepared: { invoice: { customer: 'C-17' } },
  labels: ['untrusted'],
  cost: { minor: 12_000, currency: 'EUR' },
  resources: ['desk:invoice/INV-1'],
  asks: [{ rule: 'big', quorum: 1, group: 'finance', excluding: ['owner'], because: 'Much.', approved: 0 }],
  deed_digest: 'sha256:deed',
  votes: [],
};

function votesCast(): unknown[] {
  return broker.asked.filter(({ method }) => method === 'POST').map(({ body }) => body);
}

test('approve shows the whole deed, asks, and votes with the digest that it showed', async () => {
  broker.answer = ({ method }) => ({
    body: method === 'GET' ? approval : { ...approval, status: 'approved', deed_digest: 'sha256:other' },
  });
  const { code, out, asked } = await asAna(['approvals', 'approve', 'apr_1'], { answer: 'y' });
  assert.equal(code, 0);
  for (const part of [
    '120.00 EUR',
    'INV-1',
    'ZD-991',
    'C-17',
    'desk:invoice/INV-1',
    'untrusted',
    'sha256:deed',
  ]) {
    assert.ok(out.includes(part), part);
  }
  assert.ok(out.includes('big: 1 of finance except the owner, 0 so far. Much.'));
  assert.ok(!out.includes('\u001b'), 'nothing in the arguments moves the cursor');
  assert.equal(asked.length, 1);
  assert.deepEqual(votesCast(), [{ verdict: 'approve', deed_digest: 'sha256:deed' }]);
});

test('no vote is cast when the person says no, says nothing, or is not there', async () => {
  broker.answer = () => ({ body: approval });
  for (const answer of ['n', '', 'yess', null]) {
    const { code } = await asAna(['approvals', 'approve', 'apr_1'], { answer });
    assert.equal(code, 1);
  }
  assert.deepEqual(votesCast(), []);
});

test('--yes votes without a question, and reject carries the reason', async () => {
  broker.answer = () => ({ body: approval });
  const { code, asked } = await asAna(['approvals', 'reject', 'apr_1', '--yes', '--reason', 'no']);
  assert.equal(code, 0);
  assert.equal(asked.length, 0);
  assert.deepEqual(votesCast(), [{ verdict: 'reject', deed_digest: 'sha256:deed', reason: 'no' }]);
});

test('a refusal by the broker ends with 3 and its words, a missing broker with 4', async () => {
  broker.answer = () => ({ status: 404, body: problem('not_found', 'There is nothing here for you.') });
  const refused = await asAna(['calls', 'show', 'call_1']);
  assert.deepEqual([refused.code, refused.err], [3, 'Refused (not_found): There is nothing here for you.']);
  const gone = await asAna(['halts', '--url', 'http://127.0.0.1:9']);
  assert.equal(gone.code, 4);
});

test('a command that is given wrongly ends with 2 and says what was expected', async () => {
  const missing = await run(['approvals', 'list']);
  assert.deepEqual([missing.code, missing.err], [2, 'expected --url or COUNTERSIGN_URL in the environment']);
  assert.equal((await run(['aprovals'])).code, 2);
  assert.equal((await asAna(['halt', 'agent', '--reason', 'x'])).code, 2);
  assert.equal((await asAna(['halt', 'planet', '--reason', 'x'])).code, 2);
  assert.equal((await asAna(['halt', '--reason', 'x'])).code, 2);
  assert.equal((await asAna(['halt', 'tenant', '--run', 'run_1', '--reason', 'x'])).code, 2);
  assert.equal((await asAna(['halt', 'tenant', 'acme', '--reason', 'x'])).code, 2);
  assert.equal((await asAna(['halt', '--run', 'run_1', '--tool', 'refund', '--reason', 'x'])).code, 2);
  assert.equal((await run(['serve', '--bundle', '.', '--port', '65536'])).code, 2);
  assert.equal((await run(['--help'])).code, 0);
});

test('a key file that others can read is refused', async () => {
  writeFileSync(join(folder, 'open.jwk'), JSON.stringify(broker.key), { mode: 0o644 });
  const { code, err } = await asAna(['halts', '--key', join(folder, 'open.jwk')]);
  assert.equal(code, 2);
  assert.match(err, /chmod 0600/);
  assert.equal(broker.tokenRequests.length, 0);
});

test('--json prints what the broker answered', async () => {
  broker.answer = () => ({
    body: { halts: [{ halt_id: 'hlt_1', scope: 'tenant', reason: 'r', by: 'b', at_ms: 1 }] },
  });
  const { out } = await asAna(['halts', '--json']);
  assert.equal(JSON.parse(out)[0].halt_id, 'hlt_1');
});

test('quotas say whose count it is, how far it is used up, and until when', async () => {
  const holder = { quota: 'mails', of: 'writes', per: 'agent', subject: 'bot' };
  const count = { limit: 5, used: 3, reserved: 1, window: 'day', window_ends_at_ms: 86_400_000 };
  broker.answer = () => ({ body: { quotas: [{ ...holder, ...count }] } });
  const { out } = await asAna(['quotas']);
  assert.match(out, /^mails +agent bot +3 +1 +5 writes a day +1970-01-02/m);
  broker.answer = () => ({ body: { quotas: [] } });
  assert.equal((await asAna(['quotas'])).out, 'No quota has been used in its present window.');
});

test('a halt names its scope, target and reason', async () => {
  broker.answer = ({ body }) => ({
    status: 201,
    body: { ...(body as object), halt_id: 'hlt_1', by: 'ana', at_ms: 1 },
  });
  const { out } = await asAna(['halt', 'agent', 'refunds', '--reason', 'drill']);
  assert.deepEqual(votesCast(), [{ scope: 'agent', target: 'refunds', reason: 'drill' }]);
  assert.equal(out, 'Stopped: agent refunds. To let it go on: countersign lift hlt_1');
  for (const [option, target] of [
    ['connector', 'stripe'],
    ['run', 'run_1'],
  ] as const) {
    const stopped = await asAna(['halt', `--${option}`, target, '--reason', 'drill']);
    assert.deepEqual(votesCast().at(-1), { scope: option, target, reason: 'drill' });
    assert.match(stopped.out, new RegExp(`^Stopped: ${option} ${target}\\.`));
  }
});

test('connectors in use are told with what runs, what waits and what is left alone', async () => {
  const limits = { kind: 'openapi', concurrency: 100, queue: 1000, rate_per_s: 2.5 };
  const open = { operation: 'PostCharges', state: 'open', failures: 0, retry_at_ms: 1_767_225_600_000 };
  const failing = { operation: 'GetCharges', state: 'closed', failures: 2, retry_at_ms: null };
  const stripe = { name: 'stripe', ...limits, running: 3, waiting: 1, paused_until_ms: null };
  broker.answer = () => ({ body: { connectors: [{ ...stripe, breakers: [open, failing] }] } });
  const { out } = await asAna(['connectors', 'use']);
  assert.match(out, /stripe +3 of 100 +1 of 1000 +2\.5\/s +PostCharges until 2026-01-01 00:00/);
  assert.doesNotMatch(out, /GetCharges/, 'one that is closed is not left alone');
});

test('an erasure names log, entry and reason, and says what is gone and where it is recorded', async () => {
  const erased = { log: 'tenant/acme', seq: 7, kind: 'halt.set', by: 'ana', at_ms: 0, recorded_as: 9 };
  broker.answer = () => ({ status: 200, body: { ...erased, gone_from_files: true } });
  const ran = await asAna(['ledger', 'erase', 'tenant/acme', '7', '--reason', 'a customer asked']);
  assert.equal(ran.code, 0, ran.err);
  assert.match(
    ran.out,
    /entry 7 of tenant\/acme \(halt\.set\); recorded as entry 9\. It is gone from the files/,
  );
  const [asked] = broker.asked.filter(({ method }) => method === 'POST');
  assert.equal(asked?.path, '/v1/ledger/entries/tenant%2Facme/7/erase');
  assert.deepEqual(asked?.body, { reason: 'a customer asked' });

  broker.answer = () => ({ status: 200, body: { ...erased, gone_from_files: false } });
  const later = await asAna(['ledger', 'erase', 'tenant/acme', '7', '--reason', 'a customer asked']);
  assert.match(later.out, /the next checkpoint removes it/);
  assert.equal((await asAna(['ledger', 'erase', 'tenant/acme', '7'])).code, 2, 'a reason must be given');
});

const credited = {
  ...{
    call_id: 'call_2',
    tool: 'credit',
    status: 'succeeded',
    state: 'ready',
    what: '"void_credit" would undo it.',
  },
  by: { tool: 'void_credit', args: { credit: 'call_2' } },
};
const refunded = {
  ...{ call_id: 'call_1', tool: 'refund', status: 'succeeded', state: 'manual' },
  ...{ what: 'A person undoes it, by the runbook.', runbook: 'Charge the \u001b[2Kaccount again.' },
};
const undone = { ...credited, status: 'compensated', state: 'undone', what: 'Undone by call_3.' };

function answerUndo(plan: readonly object[], after: readonly object[], left: number): void {
  broker.answer = ({ body }) => {
    const { dry_run } = body as { dry_run: boolean };
    return { body: { run_id: 'run_1', dry_run, steps: dry_run ? plan : after, left: dry_run ? 2 : left } };
  };
}

test('run undo --dry-run prints what can be undone and what a person does, and asks for nothing else', async () => {
  answerUndo([refunded, credited], [], 0);
  const { code, out, asked } = await asAna(['run', 'undo', 'run_1', '--dry-run']);
  assert.equal(code, 0);
  assert.deepEqual(asked, []);
  assert.deepEqual(votesCast(), [{ dry_run: true, keep_going: false }]);
  assert.match(out, /call_1\s+refund\s+manual/);
  assert.match(out, /call_2\s+credit\s+ready\s+"void_credit" would undo it/);
  assert.match(out, /Runbook of call_1:\n {2}Charge the/);
  assert.match(out, /1 can be undone, 1 for a person\./);
  assert.ok(!out.includes('\u001b'));
});

test('run undo shows the plan, asks, undoes, and ends with 1 while something is left', async () => {
  answerUndo([refunded, credited], [refunded, undone], 1);
  const { code, out, asked } = await asAna(['runs', 'undo', 'run_1', '--keep-going'], { answer: 'y' });
  assert.equal(code, 1);
  assert.equal(asked[0], '\nUndo this call? [y/N] ');
  assert.deepEqual(votesCast(), [
    { dry_run: true, keep_going: true },
    { dry_run: false, keep_going: true },
  ]);
  assert.match(out, /call_2\s+credit\s+undone/);
  answerUndo([credited], [undone], 0);
  const all = await asAna(['run', 'undo', 'run_1', '--yes']);
  assert.equal(all.code, 0);
  assert.match(all.out, /1 undone\. Nothing is left\./);
});

test('nothing is undone when the person says no, or is not there', async () => {
  broker.answer = () => ({ body: credited });
  for (const answer of ['n', '', null]) {
    const { code } = await asAna(['calls', 'undo', 'call_2'], { answer });
    assert.equal(code, 1);
  }
  assert.deepEqual(votesCast(), [{ dry_run: true }, { dry_run: true }, { dry_run: true }]);
});

test('calls undo undoes one call, and ends with 1 when it could not', async () => {
  broker.answer = () => ({ body: undone });
  assert.equal((await asAna(['calls', 'undo', 'call_2', '--yes'])).code, 0);
  broker.answer = () => ({ body: { ...credited, state: 'waiting', what: 'Its undo waits.' } });
  assert.equal((await asAna(['calls', 'undo', 'call_2', '--yes'])).code, 1);
  assert.deepEqual(votesCast(), [{ dry_run: false }, { dry_run: false }]);
});

test('a new key is private, never overwrites one, and prints only the public half', async () => {
  const file = join(folder, 'new.jwk');
  const { code, out } = await run(['keys', 'new', '--out', file]);
  assert.equal(code, 0);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const made = JSON.parse(readFileSync(file, 'utf8'));
  const shown = JSON.parse(out);
  assert.equal(shown.d, undefined);
  assert.deepEqual({ ...shown, d: made.d }, made);
  assert.equal((await run(['keys', 'new', '--out', file])).code, 2);
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), made);
});

test('a link that lies where the key shall go is not followed', async () => {
  const victim = join(folder, 'victim');
  symlinkSync(victim, join(folder, 'link.jwk'));
  assert.equal((await run(['keys', 'new', '--out', join(folder, 'link.jwk')])).code, 2);
  assert.throws(() => statSync(victim), /ENOENT/);
});

test('serve hands its options to main, and prints the mistakes of a broken bundle', async () => {
  const { served } = await run(['serve', '--bundle', 'desk', '--port', '0']);
  assert.deepEqual(served, [{ bundle: 'desk', port: 0, log_level: 'info', checkpoints: [] }]);
  const mistake = { file: 'a.yaml', line: 2, column: 3, message: 'no', hint: 'yes?', severity: 'error' };
  const serve = () => Promise.reject(Object.assign(new Error('broken'), { mistakes: [mistake] }));
  const broken = await run(['serve', '--bundle', 'desk'], { serve });
  assert.equal(broken.code, 1);
  assert.equal(broken.err, 'a.yaml:2:3: error: no (yes?)\n1 mistake: not started.');
});

test('alerts shows what went wrong, who was told of it, and takes the word that it was seen', async () => {
  broker.answer = ({ method }) => ({
    body:
      method === 'GET'
        ? {
            alerts: [
              {
                ...{
                  alert_id: 'alr_1',
                  kind: 'upstream_failed',
                  call_id: 'call_1',
                  run_id: 'run_1',
                  agent: 'bot',
                },
                ...{
                  tool: 'refund_invoice',
                  status: 'failed',
                  status_now: 'failed',
                  link: 'https://b/v1/calls/call_1',
                },
                ...{ at_ms: 0, repeats: 3, state: 'failed' },
                deliveries: [
                  { webhook: 'https://pager.example', state: 'failed', tries: 20, last_error: 'HTTP 503' },
                ],
              },
            ],
          }
        : { alert_id: 'alr_1' },
  });
  const { code, out } = await asAna(['alerts']);
  assert.equal(code, 0);
  assert.match(out, /alr_1 +1970-01-01 00:00:00 +upstream_failed \(and 3 more\) +refund_invoice +call_1/);
  assert.match(out, /https:\/\/pager\.example failed after 20 tries: HTTP 503/);
  assert.equal(broker.asked.at(-1)?.query.get('acknowledged'), 'no');
  await asAna(['alerts', 'list', '--all', '--state', 'failed']);
  const { query } = broker.asked.at(-1)!;
  assert.deepEqual([query.get('acknowledged'), query.get('state')], [null, 'failed']);
  const acked = await asAna(['alerts', 'ack', 'alr_1']);
  assert.equal(acked.out, 'alr_1 is acknowledged.');
  assert.equal(broker.asked.at(-1)?.path, '/v1/alerts/alr_1/ack');
});
