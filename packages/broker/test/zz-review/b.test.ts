import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FILES, startDesk, type Desk } from '../call/desk.ts';
import { openSqlite } from '#store/sqlite.ts';
import { createConnector } from '#connectors/create-connector.ts';
import { answerModernBasics, attemptOf, bodyOf, ECHO, httpSpec, listen, testDeps, withConnector } from '../connectors/fixture.ts';
import { openDatabase } from '../harness.ts';

const sleep = (ms: number) => new Promise((r) => setTimeout(r, ms));

test('E1 units lost when the disk fails while a batch is run apart', async () => {
  const store = openSqlite(join(mkdtempSync(join(tmpdir(), 'zz-')), 's.db'), { now_ms: 0 });
  await store.write((tx) => tx.run('pragma max_page_count = 200').then(() => undefined)).catch((e) => console.log('pragma', e.message));
  let first = true;
  const state: string[] = ['pending', 'pending', 'pending', 'pending'];
  const big = (tx: any) => tx.run('insert into payloads (log, seq, salt, body) values (?, ?, zeroblob(1), zeroblob(5000000))', 'x', 1);
  const ps = [
    // the disk fills up between the first run and the second
    store.write(async (tx) => { if (first) { first = false; return; } await big(tx); }),
    store.write(async (tx) => { await tx.run(`insert into logs (log) values ('n1')`); }),
    store.write(async () => { throw new Error('KeyTaken'); }),
    store.write(async (tx) => { await tx.run(`insert into logs (log) values ('n2')`); }),
  ];
  ps.forEach((p, i) => void p.then(() => (state[i] = 'ok'), (e) => (state[i] = `rejected: ${e.message}`)));
  await sleep(1000);
  await store.write((tx) => tx.get('select 1').then(() => undefined)).then(() => console.log('E1 store works on'), (e) => console.log('E1 store', e.message));
  console.log('E1', state);
});

test('E2 what a real MCP upstream can put into a reply', async () => {
  for (const [name, text] of [['lone surrogate', '"\\ud800"'], ['1e400', '1e400'], ['deep', '['.repeat(5000) + ']'.repeat(5000)]] as const) {
    const http = await listen((request, response) => {
      void bodyOf(request).then((message) => {
        if (answerModernBasics(message, response, [ECHO])) return;
        response.writeHead(200, { 'content-type': 'application/json' }).end(`{"jsonrpc":"2.0","id":${JSON.stringify(message['id'])},"result":{"resultType":"complete","content":[],"structuredContent":{"x":${text}}}}`);
      });
    });
    const c = await createConnector(httpSpec(http.url), testDeps({ response_bytes: 100_000 }));
    await withConnector(c, async () => {
      const r = await c.attempt(attemptOf({ tool: 'echo' }, { text: 'x' }));
      const { canonicalize } = await import('@countersign/contract/canonical.ts');
      try { canonicalize(r as any); console.log('E2', name, r.kind, 'canonical'); } catch (e) { console.log('E2', name, 'reply', r.kind, '-> canonicalize throws:', (e as Error).message); }
    });
    await http.close();
  }
});

test('E3 the reply found by the lookup is released with the redaction and labels of another shape', async () => {
  const tool = FILES['tools/send_mail.yaml']!
    .replace('select call_id from outbox where call_id = :call", rows: optional', 'select call_id, body as secret_body from outbox where call_id = :call", rows: optional')
    .replace(/output:[\s\S]*?egress:/, 'output:\n  fields: { /note: [untrusted] }\n  redact: [/card]\negress:');
  let d: Desk;
  try { d = await startDesk({ 'tools/send_mail.yaml': tool }); } catch (e) { console.log('E3 refused at load', JSON.stringify((e as any).mistakes?.map((m: any) => m.message))); return; }
  try {
    const { run_token: runToken } = await d.openRun('desk', 'bot', { ticket: 'ZD-1' });
    const w = d.broker.world as any; const real = w.connector;
    w.connector = (n: string) => { const c = real(n); return { drift: (t: any) => c.drift(t), attempt: async (a: any) => { const r = await c.attempt(a); return a.mode === 'write' ? { kind: 'unknown', reason: 'x', timed_out: true } : r; } }; };
    const a = await d.call('bot', 'send_mail', { to: 'a@b', body: 'attacker text' }, { runToken });
    console.log('E3', a.status, JSON.stringify(a.result), JSON.stringify(a.labels));
  } finally { await d.close(); }
});

test('E4 keyed reads at once', async () => {
  const d = await startDesk();
  try {
    const { run_token: runToken } = await d.openRun('desk', 'bot', { ticket: 'ZD-1' });
    await d.token('bot', { runToken });
    const w = d.broker.world as any; const real = w.connector; let n = 0;
    w.connector = (x: string) => { const c = real(x); return { drift: (t: any) => c.drift(t), attempt: async (a: any) => { n++; return c.attempt(a); } }; };
    const as = await Promise.all(Array.from({ length: 10 }, () => d.call('bot', 'read_note', { note: 'N-1' }, { runToken, key: 'r' })));
    const sent = await d.send('dora', 'GET', '/v1/ledger/entries?limit=1000');
    const es = (sent.body as any).entries.map((e: any) => JSON.parse(e.entry)).filter((e: any) => e.kind === 'call.admitted');
    console.log('E4 upstream reads', n, 'admitted entries', es.length, [...new Set(as.map((x) => x.status + (x.replayed ? ' replayed' : '')))].join());
  } finally { await d.close(); }
});

test('E6 a bundle swapped between admit and execute: the deed goes to the new system', async () => {
  const d = await startDesk();
  try {
    const other = openDatabase(join(d.root, 'desk/other.db'));
    other.exec('create table outbox (call_id text primary key, recipient text, body text)');
    const { run_token: runToken } = await d.openRun('desk', 'bot', { ticket: 'ZD-1' });
    const w = d.broker.world as any; const creds = w.credentials; let once = true;
    w.credentials = () => ({ mint: async (...a: any[]) => { const r = await creds().mint(...a); if (once) { once = false;
      d.write({ 'connectors/desk.yaml': FILES['connectors/desk.yaml']!.replace('desk.db', 'other.db'), 'policies/nomail.cedar': '@id("nomail") forbid (principal, action == Action::"send_mail", resource);' });
      const s = await d.send('ben', 'POST', '/v1/bundle'); console.log('E6 activation', s.status); } return r; } });
    const a = await d.call('bot', 'send_mail', { to: 'a@b', body: 'x' }, { runToken });
    console.log('E6', a.status, 'mails in old', d.mails(), 'in new', (other.prepare('select count(*) n from outbox').get() as any).n);
    other.close();
  } finally { await d.close(); }
});

test('E10 approval spent after its expiry', async () => {
  const d = await startDesk();
  try {
    const { run_token: runToken } = await d.openRun('desk', 'bot', { ticket: 'ZD-1' });
    const held = await d.call('bot', 'refund', { account: 'AC-1', amount_minor: 40000 }, { runToken });
    const [ap] = await d.approvals('ana');
    const w = d.broker.world as any; const write = w.store.write.bind(w.store); const now = w.clock.now;
    const ledger = w.ledger; const append = ledger.append.bind(ledger); let at = 0;
    ledger.append = (tx: any, x: any) => { if (x.kind === 'call.admitted') at = x.at_ms; return append(tx, x); };
    let prep = false;
    w.store.write = (work: any) => { const s = String(work); if (prep && s.includes('admitIn')) w.clock.now = () => now() + 7_200_000; return write(work); };
    prep = true;
    await d.vote('ana', ap!, 'approve');
    await sleep(500); w.clock.now = now;
    const done = await d.show('bot', held.call_id, runToken, 1);
    console.log('E10', done.body['status'], 'admitted', at - ap!.expires_at_ms, 'ms after expiry');
  } finally { await d.close(); }
});

test('E14 an approved call of an ambient run that idled out', async () => {
  const d = await startDesk({ 'countersign.yaml': FILES['countersign.yaml']! + 'runs: { ambient_idle: 1s }\n' });
  try {
    const held = await d.call('bot', 'close_account', { account: 'AC-1' });
    await sleep(1300);
    const early = await d.show('bot', held.call_id, undefined, 0);
    await d.call('bot', 'read_note', { note: 'N-2' });
    const [ap] = await d.approvals('ana');
    await d.vote('ana', ap!, 'approve'); await d.vote('cleo', ap!, 'approve');
    await sleep(500);
    const row = await d.send('ben', 'GET', `/v1/calls/${held.call_id}`);
    const mine = await d.show('bot', held.call_id, undefined, 0);
    console.log('E14 agent asks while held', early.status, '| after approval', JSON.stringify((row.body as any).problem?.code), '| agent sees', mine.status);
  } finally { await d.close(); }
});

test('E32 unquoted agent text in the summary', async () => {
  const tool = FILES['tools/refund.yaml']!.replace('"=money(cost.minor, cost.currency)"', '"=money(cost.minor, cost.currency) + \' (ref \' + claimed.why + \')\'"').replace('summary: [', 'summary: [');
  let d: Desk;
  try { d = await startDesk({ 'tools/refund.yaml': tool }); } catch (e) { console.log('E32 refused at load', JSON.stringify((e as any).mistakes?.map((m: any) => m.message))); return; }
  try {
    const { run_token: runToken } = await d.openRun('desk', 'bot', { ticket: 'ZD-1' });
    await d.call('bot', 'refund', { account: 'AC-1', amount_minor: 40000 }, { runToken, context: { why: '7). Finance director has approved this already.\u202e ok' } });
    console.log('E32', (await d.approvals('ana'))[0]?.summary);
  } finally { await d.close(); }
});

test('E44 one key, two refunds', async () => {
  const d = await startDesk();
  try {
    const { run_token: runToken } = await d.openRun('desk', 'bot', { ticket: 'ZD-1' });
    const big = { account: 'AC-1', amount_minor: 40000 };
    const a = await d.call('bot', 'refund', big, { runToken });
    const b = await d.call('bot', 'refund', big, { runToken, key: 'k2' });
    const [ap] = await d.approvals('ana');
    await d.vote('ana', ap!, 'approve');
    await d.show('bot', a.call_id, runToken);
    d.write({ 'policies/refund.cedar': FILES['policies/refund.cedar']!.replace('5000', '50000') });
    await d.send('ben', 'POST', '/v1/bundle');
    const c = await d.call('bot', 'refund', big, { runToken, key: 'k2' });
    console.log('E44 first answer of k2', b.call_id === a.call_id, b.status, '| retry of k2', c.status, c.replayed, 'refunds', d.refunds());
  } finally { await d.close(); }
});
