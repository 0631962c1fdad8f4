// A bundle with a handler, a command and a PostgreSQL connector, compiled and called through the whole walk.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { digestOfSource } from '#connectors/handler/handler-options.ts';
import { whyNoBwrap } from '#connectors/isolation/bwrap.ts';
import { readBundle } from '../../src/cli/read-bundle.ts';
import { startTestBroker, type TestBroker } from '../harness.ts';
import { listen } from './fixture.ts';
import { createPostgresDesk, LOGIN, LOGIN_PASSWORD, ROLE } from './sql-postgres-desk.ts';
import { type PostgresServer, startPostgres, whyNoPostgres } from './sql-postgres-server.ts';

const noBwrap = await whyNoBwrap();
const missing = noBwrap ?? whyNoPostgres();
if (missing !== null)
  console.error(`SKIPPED: the walk through handler, command and PostgreSQL did not run: ${missing}`);

const MODULE = `
interface Ctx { call_id: string; mode: string; fetch: typeof fetch }
export async function notify(args: { url: string; text: string }, ctx: Ctx) {
  const answer = await ctx.fetch(args.url, { method: 'POST', body: args.text, headers: { 'idempotency-key': ctx.call_id } });
  return await answer.json();
}
export async function find(args: { url: string; id: string }, ctx: Ctx) {
  return await (await ctx.fetch(args.url + '?id=' + args.id)).json();
}
`;

const input = (properties: string, required: string): string =>
  `{type: object, additionalProperties: false, required: [${required}], properties: {${properties}}}`;
const output = (properties: string, required: string): string =>
  `{schema: {type: object, additionalProperties: false, required: [${required}], properties: {${properties}}}}`;

function filesOf(port: number, database: string, vendor: string): Record<string, string> {
  const digest = digestOfSource(MODULE);
  const bound = `module: pager.ts, digest: "${digest}"`;
  const INVOICE = 'invoice: {type: string, pattern: "^INV-[0-9]{1,6}$"}';
  return {
    'countersign.yaml': 'data_dir: ../data\ntenants: [acme]\n',
    'agents/bot.yaml':
      'name: bot\ntenant: acme\nowner: ben\npurpose: Serves the desk.\nroles: [support]\nmode: act\nkeys: ["file:keys/bot.pub.jwk"]\n',
    'people/ben.yaml':
      'name: ben\ntenant: acme\ndisplay_name: Ben\nroles: [operator]\ngroups: []\nkeys: ["file:keys/ben.pub.jwk"]\n',
    'connectors/books.yaml': `{name: books, kind: sql, owner: ben, engine: postgres, host: 127.0.0.1, port: ${port}, database: ${database}, user: ${LOGIN}, tls: false,
      credential: {provider: static, env: PGPASSWORD, value: "env:COUNTERSIGN_TEST_PG"}}`,
    'connectors/pager.yaml': `{name: pager, kind: handler, owner: ben, modules: [pager.ts], hosts: ["${new URL(vendor).host}"], allow_private: true,
      credential: {provider: static, header: Authorization, prefix: "Bearer ", value: "env:COUNTERSIGN_TEST_PAGER"}}`,
    'connectors/texts.yaml':
      '{name: texts, kind: command, owner: ben, command: /usr/bin/wc, limits: {cpu_s: 2}}',
    'handlers/pager.ts': MODULE,
    'tools/read_invoice.yaml': `
name: read_invoice
version: 1.0.0
owner: ben
connector: books
description: Read one invoice.
effect: read
input: ${input(INVOICE, 'invoice')}
bind: {sql: {role: ${ROLE}, statement: "select id, paid_minor, current_setting('countersign.tenant') as tenant from invoices where id = :invoice", rows: one, params: {invoice: =args.invoice}}}
output: ${output('id: {type: string, maxLength: 20}, paid_minor: {type: integer}, tenant: {type: string, maxLength: 40}', 'id, paid_minor, tenant')}
`,
    'tools/refund_invoice.yaml': `
name: refund_invoice
version: 1.0.0
owner: ben
connector: books
description: Refund a part of one invoice.
effect: write
input: ${input(`${INVOICE}, amount_minor: {type: integer, minimum: 1, maximum: 100000}`, 'invoice, amount_minor')}
bind:
  sql:
    role: ${ROLE}
    write:
      - insert into refunds (id, invoice, amount_minor) values (:call, :invoice, :amount)
      - {sql: update invoices set refunded_minor = refunded_minor + :amount where id = :invoice, changes: 1}
    returning: select id, amount_minor from refunds where id = :call
    params: {invoice: =args.invoice, amount: =args.amount_minor}
idempotency: {strategy: upsert}
sideEffect: {id: response.id}
verify: {bind: {sql: {role: ${ROLE}, statement: select amount_minor from refunds where id = :call, rows: one}}, expect: [verify.amount_minor == args.amount_minor]}
summary: ["refund on ", =args.invoice]
output: ${output('id: {type: string, maxLength: 64}, amount_minor: {type: integer}', 'id, amount_minor')}
`,
    'tools/count_words.yaml': `
name: count_words
version: 1.0.0
owner: ben
connector: texts
description: Count the words of a text.
effect: read
input: ${input('text: {type: string, maxLength: 1000}', 'text')}
bind: {command: {argv: [-w], stdin: =args.text}}
output: {labels: [untrusted], project: {words: =response.stdout}, schema: {type: object, additionalProperties: false, required: [words], properties: {words: {type: string, maxLength: 20}}}}
`,
    'tools/page_oncall.yaml': `
name: page_oncall
version: 1.0.0
owner: ben
connector: pager
description: Page the person on call.
effect: write
input: ${input('text: {type: string, maxLength: 200}', 'text')}
egress: [text]
bind: {handler: {${bound}, export: notify, args: {url: "${vendor}", text: =args.text}}}
idempotency: {strategy: header}
sideEffect: {id: response.id}
verify: {bind: {handler: {${bound}, export: find, args: {url: "${vendor}", id: =response.id}}}, expect: [verify.id == response.id]}
summary: ["page with ", =args.text]
output: ${output('id: {type: string, maxLength: 40}', 'id')}
`,
    'policies/all.cedar': '@id("support") permit (principal in Role::"support", action, resource);\n',
  };
}

describe('a handler, a command and PostgreSQL behind the walk', { skip: missing ?? false }, () => {
  let server: PostgresServer;
  let broker: TestBroker;
  let database: string;
  let files: Record<string, string>;
  const vendorSaw: {
    readonly method: string;
    readonly authorization: string | undefined;
    readonly key: unknown;
  }[] = [];
  let closeVendor: () => Promise<void>;

  before(async () => {
    server = await startPostgres();
    database = await createPostgresDesk(server);
    const vendor = await listen((request, response) => {
      const { authorization } = request.headers;
      vendorSaw.push({
        method: request.method ?? '',
        authorization,
        key: request.headers['idempotency-key'],
      });
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"id":"page-1"}');
    });
    closeVendor = vendor.close;
    process.env['COUNTERSIGN_TEST_PG'] = LOGIN_PASSWORD;
    process.env['COUNTERSIGN_TEST_PAGER'] = 'secret-of-the-pager';
    files = filesOf(server.port, database, vendor.url);
    broker = await startTestBroker(files, ['bot', 'ben']);
  });
  after(async () => {
    await broker?.close();
    await closeVendor?.();
    await server?.stop();
    delete process.env['COUNTERSIGN_TEST_PG'];
    delete process.env['COUNTERSIGN_TEST_PAGER'];
  });

  test('PostgreSQL answers a read with the tenant of the agent, and a write once', async () => {
    const read = await broker.call('bot', 'read_invoice', { invoice: 'INV-1' });
    assert.deepEqual(read.result, { id: 'INV-1', paid_minor: 1000, tenant: 'acme' }, JSON.stringify(read));
    for (let time = 0; time < 2; time++) {
      const deed = await broker.call(
        'bot',
        'refund_invoice',
        { invoice: 'INV-1', amount_minor: 25 },
        { key: 'once' },
      );
      assert.equal(deed.status, 'succeeded', JSON.stringify(deed));
    }
    const [row] = await server.admin('select count(*)::int as n from refunds', database);
    assert.deepEqual(row, { n: 1 });
  });

  test('a command answers through its projection', async () => {
    const answer = await broker.call('bot', 'count_words', { text: 'three small words' });
    assert.deepEqual(answer.result, { words: '3\n' }, JSON.stringify(answer));
    assert.deepEqual(answer.labels, ['untrusted']);
  });

  test('a handler acts with the credential and the call id, and is read back', async () => {
    const answer = await broker.call('bot', 'page_oncall', { text: 'the till is on fire' });
    assert.equal(answer.status, 'succeeded', JSON.stringify(answer));
    const authorization = 'Bearer secret-of-the-pager';
    assert.deepEqual(vendorSaw, [
      { method: 'POST', authorization, key: answer.call_id },
      { method: 'GET', authorization, key: undefined },
    ]);
  });

  test('mistakes in such a bundle are said with what was expected, and a changed module pauses its tools', async () => {
    const judge = async (path: string, from: string | RegExp, to: string): Promise<string> => {
      const file = join(broker.root, 'bundle', path);
      const changed = (files[path] ?? '').replace(from, to);
      assert.notEqual(changed, files[path], `${path} has ${String(from)}`);
      writeFileSync(file, changed);
      const loaded = await readBundle(join(broker.root, 'bundle'), Date.now());
      writeFileSync(file, files[path] ?? '');
      return (loaded.ok ? loaded.warnings : loaded.mistakes)
        .map((each) => `${each.severity} ${each.message}`)
        .join('\n');
    };
    assert.match(await judge('tools/read_invoice.yaml', `role: ${ROLE}, `, ''), /error .*role must name/);
    assert.match(
      await judge('tools/read_invoice.yaml', ':invoice"', ':inv"'),
      /error .*:inv, which params does not give/,
    );
    assert.match(
      await judge('connectors/books.yaml', 'postgres', 'sqlite'),
      /error .*belongs to engine postgres/,
    );
    assert.match(await judge('connectors/books.yaml', '127.0.0.1', 'db.example'), /warning .*plain text/);
    assert.match(
      await judge('connectors/pager.yaml', 'pager.ts', 'other.ts'),
      /error .*no file "handlers\/other.ts"/,
    );
    assert.match(
      await judge('connectors/texts.yaml', 'limits', 'hosts: [a], limits'),
      /error .*does not belong to a command/,
    );
    assert.match(
      await judge('connectors/texts.yaml', '/usr/bin/wc', '../data/x'),
      /error .*the path reaches/,
    );
    assert.match(
      await judge('handlers/pager.ts', 'POST', 'PUT'),
      /warning paused: module "pager.ts" is not the reviewed one; its digest is now sha256:/,
    );
  });
});
