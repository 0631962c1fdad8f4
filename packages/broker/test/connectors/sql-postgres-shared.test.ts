// What holds on every SQL engine: one suite, run on a real SQLite file and on a real PostgreSQL server.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Attempt, Connector, Reply } from '#connectors/connector.ts';
import { checkSqlOperation } from '#connectors/sql/check-sql-operation.ts';
import { attemptOf, responseOf, toolOf } from './fixture.ts';
import { type Desk, postgresDesk, sqliteDesk } from './sql-postgres-desk.ts';
import { type PostgresServer, startPostgres, whyNoPostgres } from './sql-postgres-server.ts';

const REFUND: JsonObject = {
  write: [
    'insert into refunds (id, invoice, amount_minor) values (:call, :invoice, :amount)',
    {
      sql: 'update invoices set refunded_minor = refunded_minor + :amount where id = :invoice and refunded_minor + :amount <= paid_minor',
      changes: 1,
    },
  ],
  returning:
    'select r.id as refund_id, i.refunded_minor from refunds r join invoices i on i.id = r.invoice where r.id = :call',
};

const REFUSED: readonly (readonly [string, JsonObject, RegExp])[] = [
  ['two statements', { statement: 'select 1; select 2', rows: 'one' }, /exactly one statement, got 2/],
  ['no statement', { statement: ' -- nothing', rows: 'one' }, /got 0/],
  ['a write as a read', { statement: 'delete from invoices', rows: 'one' }, /must begin with/],
  [
    'a write behind with',
    { statement: 'with x as (select 1) delete from invoices', rows: 'one' },
    /must not delete/,
  ],
  ['the calls table', { write: ['delete from "Countersign_Calls"'] }, /countersign_calls/],
  ['schema changes', { write: ['drop table invoices'] }, /must begin/],
  ['transaction control', { write: ['commit'] }, /must begin/],
  ['numbered parameters', { statement: 'select $1', rows: 'one' }, /named parameters/],
  ['rows missing', { statement: 'select 1' }, /rows must be/],
  ['both shapes', { statement: 'select 1', rows: 'one', write: [] }, /either/],
  ['neither shape', {}, /either/],
  ['an empty write', { write: [] }, /1 to 20/],
  ['a guard without number', { write: [{ sql: 'delete from invoices', changes: '1' }] }, /whole number/],
  [
    'a returning that writes',
    { write: ['delete from invoices'], returning: 'delete from refunds' },
    /returning: must begin/,
  ],
  ['an unknown key', { statement: 'select 1', rows: 'one', limit: 5 }, /unknown key "limit"/],
  ['an open literal', { statement: "select 'x", rows: 'one' }, /not closed/],
  ['an open comment', { statement: 'select 1 /* x', rows: 'one' }, /comment is not closed/],
];

const noPostgres = whyNoPostgres();
if (noPostgres !== null) console.error(`SKIPPED: the SQL suite did not run on PostgreSQL: ${noPostgres}`);

let server: PostgresServer | undefined;
before(async () => {
  if (noPostgres === null) server = await startPostgres();
});
after(() => server?.stop());

suite(sqliteDesk, false);
suite(
  postgresDesk(() => server as PostgresServer),
  noPostgres ?? false,
);

function suite(desk: Desk, skip: string | false): void {
  const read = (
    connector: Connector,
    statement: string,
    inputs: JsonObject = {},
    rows = 'one',
    more: Partial<Attempt> = {},
  ): Promise<Reply> => connector.attempt(attemptOf(desk.operation({ statement, rows }), inputs, more));
  const refund = (connector: Connector, call_id: string, amount: number, invoice = 'INV-1'): Promise<Reply> =>
    connector.attempt(attemptOf(desk.operation(REFUND), { invoice, amount }, { call_id, mode: 'write' }));

  describe(`on ${desk.engine}`, { skip }, () => {
    test('a read answers one row, an optional row or a bounded list', async () => {
      await desk.with(
        async (connector) => {
          const byId = 'select id, paid_minor from invoices where id = :id';
          assert.deepEqual(responseOf(await read(connector, byId, { id: 'INV-2' })), {
            id: 'INV-2',
            paid_minor: 500,
          });
          rejected(await read(connector, byId, { id: 'no' }), /no row/);
          rejected(await read(connector, 'select id from invoices'), /more than one row/);
          assert.equal(responseOf(await read(connector, byId, { id: 'no' }, 'optional')), null);
          const many = await read(connector, 'select id from invoices order by id -- all', {}, 'many');
          assert.deepEqual(responseOf(many), [{ id: 'INV-1' }, { id: 'INV-2' }]);
          const three = "select id from invoices union all select 'x' as id";
          rejected(await read(connector, three, {}, 'many'), /more than 2 rows/);
        },
        { rows_max: 2 },
      );
    });

    test('a write happens once, however often and however concurrently its call id comes', async () => {
      await desk.with(async (connector, again) => {
        const first = responseOf(await refund(connector, 'call_a', 100));
        assert.deepEqual(first, { refund_id: 'call_a', refunded_minor: 100 });
        assert.deepEqual(responseOf(await refund(connector, 'call_a', 100)), first);
        const second = await again();
        const replies = await Promise.all(
          Array.from({ length: 40 }, (_, index) =>
            refund(index % 2 === 0 ? connector : second, `call_${index % 4}`, 10),
          ),
        );
        for (const reply of replies) assert.equal(reply.kind, 'ok', JSON.stringify(reply));
        await second.close();
        const total =
          'select refunded_minor, (select count(*) from refunds) as n from invoices where id = :id';
        assert.deepEqual(responseOf(await read(connector, total, { id: 'INV-1' })), {
          refunded_minor: 140,
          n: 5,
        });
      });
    });

    test('a guard that does not hold rolls everything back, and a later call may try again', async () => {
      await desk.with(async (connector) => {
        rejected(await refund(connector, 'call_b', 5000), /change 1 rows, it changed 0/);
        rejected(await refund(connector, 'call_c', -5), /constraint/i);
        rejected(await refund(connector, 'call_d', 5, 'no such invoice'), /constraint|changed 0/i);
        assert.deepEqual(responseOf(await read(connector, 'select count(*) as n from refunds')), { n: 0 });
        assert.equal((await refund(connector, 'call_b', 1000)).kind, 'ok');
      });
    });

    test('parameters are values: injection attempts find nothing and change nothing', async () => {
      const attempts = [
        "' or '1'='1",
        "INV-1'; drop table invoices; --",
        'INV-1" or 1=1 --',
        "x' union select tableowner from pg_tables --",
        "\\' or 1=1 --",
        '$1',
        ':call',
      ];
      await desk.with(async (connector) => {
        const byId = 'select id from invoices where id = :id';
        for (const id of attempts) {
          assert.equal(responseOf(await read(connector, byId, { id }, 'optional')), null);
          rejected(await refund(connector, `call_${id}`, 1, id), /constraint|changed 0/i);
        }
        assert.deepEqual(responseOf(await read(connector, 'select count(*) as n from invoices')), { n: 2 });
        // Control: the same text pasted into the statement does find what it should not.
        const pasted = `select count(*) as n from invoices where id = '${"' or '1'='1"}'`;
        assert.deepEqual(responseOf(await read(connector, pasted)), { n: 2 });
      });
    });

    test('parameters must be complete, known and plain', async () => {
      await desk.with(async (connector) => {
        const statement = 'select id from invoices where id = :id';
        rejected(await read(connector, statement, {}), /"id" has no value/);
        rejected(await read(connector, statement, { id: 'x', more: 1 }), /"more" does not occur/);
        rejected(await read(connector, statement, { id: ['x'] }), /must be a string/);
        rejected(await read(connector, statement, { id: 2 ** 60 }), /must be a string/);
        const own = 'select id from invoices where id = :call';
        rejected(await read(connector, own, { call: 'x' }), /always the call id/);
      });
    });

    test('a read cannot run a write, and what has mistakes is neither sent nor callable', async () => {
      await desk.with(async (connector) => {
        const asRead = attemptOf(desk.operation(REFUND), { invoice: 'INV-1', amount: 1 }, { mode: 'read' });
        const reply = await connector.attempt(asRead);
        assert.deepEqual(reply, {
          kind: 'not_sent',
          held_back: 'broker',
          reason: 'a read must not run a write operation',
        });
        assert.equal((await read(connector, 'select 1; drop table invoices')).kind, 'not_sent');
        const drift = connector.drift(
          toolOf(desk.operation({ statement: 'drop table invoices', rows: 'one' })),
        );
        assert.match(drift?.reason ?? '', /must begin with/);
        assert.equal(connector.drift(toolOf(desk.operation(REFUND))), null);
      });
    });

    for (const [what, operation, expected] of REFUSED) {
      test(`an operation with ${what} is refused at check time`, () => {
        assert.match(checkSqlOperation(desk.operation(operation), desk.engine).join('\n'), expected);
      });
    }

    test('the operations of a desk have no mistakes', () => {
      const quoted = "select ';drop' as \"a;b\", replace(id, 'a', 'b') as c from invoices -- ; \n";
      for (const operation of [REFUND, { statement: quoted, rows: 'many' }])
        assert.deepEqual(checkSqlOperation(desk.operation(operation), desk.engine), []);
    });
  });
}

function rejected(reply: Reply, reason: RegExp): void {
  assert.equal(reply.kind, 'rejected', JSON.stringify(reply));
  assert.match((reply as { reason: string }).reason, reason);
}
