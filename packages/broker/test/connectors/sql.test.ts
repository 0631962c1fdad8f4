// The SQL connector on a real SQLite file: reads that cannot write, writes that happen once, parameters that stay values.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Attempt, Connector, Reply } from '#connectors/connector.ts';
import { createConnector } from '#connectors/create-connector.ts';
import { checkSqlOperation } from '#connectors/sql/check-sql-operation.ts';
import { attemptOf, responseOf, sqlSpec, testDeps, withConnector } from './fixture.ts';

const SCHEMA = `
  create table invoices (id text primary key, paid_minor integer not null, refunded_minor integer not null default 0);
  create table refunds (id text primary key, invoice text not null references invoices, amount_minor integer not null check (amount_minor > 0));
  create table odd (big integer, bytes blob, real_value real);
  insert into invoices (id, paid_minor) values ('INV-1', 1000), ('INV-2', 500);
  insert into odd values (9007199254740993, x'00ff', 9e999);
`;

/** One refund: the deed row and the guarded update, once per call id. */
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

async function withDatabase<T>(
  work: (connector: Connector, file: string) => Promise<T>,
  more: JsonObject = {},
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-sql-'));
  const file = join(folder, 'desk.db');
  const db = new DatabaseSync(file);
  db.exec(SCHEMA);
  db.close();
  try {
    return await withConnector(await createConnector(sqlSpec(file, more), testDeps()), (connector) =>
      work(connector, file),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function read(
  connector: Connector,
  statement: string,
  inputs: JsonObject = {},
  rows = 'one',
  more: Partial<Attempt> = {},
): Promise<Reply> {
  return connector.attempt(attemptOf({ statement, rows }, inputs, more));
}

function refund(connector: Connector, call_id: string, amount: number, invoice = 'INV-1'): Promise<Reply> {
  return connector.attempt(attemptOf(REFUND, { invoice, amount }, { call_id, mode: 'write' }));
}

function rejected(reply: Reply, reason: RegExp): void {
  assert.equal(reply.kind, 'rejected', JSON.stringify(reply));
  assert.match((reply as { reason: string }).reason, reason);
}

test('a read answers one row, an optional row or a bounded list', async () => {
  await withDatabase(
    async (connector) => {
      const one = await read(connector, 'select id, paid_minor from invoices where id = :id', {
        id: 'INV-2',
      });
      assert.deepEqual(responseOf(one), { id: 'INV-2', paid_minor: 500 });
      rejected(await read(connector, 'select id from invoices where id = :id', { id: 'no' }), /no row/);
      rejected(await read(connector, 'select id from invoices'), /more than one row/);
      assert.equal(
        responseOf(await read(connector, 'select id from invoices where id = :id', { id: 'no' }, 'optional')),
        null,
      );
      const many = await read(connector, 'select id from invoices order by id', {}, 'many');
      assert.deepEqual(responseOf(many), [{ id: 'INV-1' }, { id: 'INV-2' }]);
      const three = "select id from invoices union all select 'x' as id";
      rejected(await read(connector, three, {}, 'many'), /more than 2 rows/);
      assert.deepEqual(
        responseOf(await read(connector, 'select count(*) as n from json_each(:list)', { list: '[1,2]' })),
        { n: 2 },
      );
    },
    { rows_max: 2 },
  );
});

test('a write happens once, however often and however concurrently its call id comes', async () => {
  await withDatabase(async (connector, file) => {
    const first = responseOf(await refund(connector, 'call_a', 100));
    assert.deepEqual(first, { refund_id: 'call_a', refunded_minor: 100 });
    assert.deepEqual(responseOf(await refund(connector, 'call_a', 100)), first);
    const second = await createConnector(sqlSpec(file), testDeps());
    await withConnector(second, async () => {
      const replies = await Promise.all(
        Array.from({ length: 40 }, (_, index) =>
          refund(index % 2 === 0 ? connector : second, `call_${index % 4}`, 10),
        ),
      );
      for (const reply of replies) assert.equal(reply.kind, 'ok', JSON.stringify(reply));
    });
    const total = await read(
      connector,
      'select refunded_minor, (select count(*) from refunds) as n from invoices where id = :id',
      { id: 'INV-1' },
    );
    assert.deepEqual(responseOf(total), { refunded_minor: 140, n: 5 });
  });
});

test('control: the same statements without the call id run twice', async () => {
  await withDatabase(async (connector, file) => {
    const db = new DatabaseSync(file);
    for (const id of ['x', 'y']) {
      db.prepare('insert into refunds values (?, ?, ?)').run(id, 'INV-1', 10);
      db.prepare('update invoices set refunded_minor = refunded_minor + 10 where id = ?').run('INV-1');
    }
    db.close();
    assert.deepEqual(
      responseOf(await read(connector, "select refunded_minor as r from invoices where id = 'INV-1'")),
      { r: 20 },
    );
  });
});

test('a guard that does not hold rolls everything back, and a later call may try again', async () => {
  await withDatabase(async (connector) => {
    rejected(await refund(connector, 'call_b', 5000), /change 1 rows, it changed 0/);
    rejected(await refund(connector, 'call_c', -5), /CHECK constraint failed/);
    rejected(
      await refund(connector, 'call_d', 5, 'no such invoice'),
      /FOREIGN KEY constraint failed|changed 0/,
    );
    assert.deepEqual(responseOf(await read(connector, 'select count(*) as n from refunds')), { n: 0 });
    assert.equal((await refund(connector, 'call_b', 1000)).kind, 'ok');
  });
});

test('parameters are values: injection attempts find nothing and change nothing', async () => {
  const attempts = [
    "' or '1'='1",
    "INV-1'; drop table invoices; --",
    'INV-1" or 1=1 --',
    "x' union select sql from sqlite_master --",
    ':call',
    '\u0000',
  ];
  await withDatabase(async (connector) => {
    for (const id of attempts) {
      assert.equal(
        responseOf(await read(connector, 'select id from invoices where id = :id', { id }, 'optional')),
        null,
      );
      rejected(await refund(connector, `call_${id}`, 1, id), /constraint failed|changed 0/);
    }
    assert.deepEqual(responseOf(await read(connector, 'select count(*) as n from invoices')), { n: 2 });
  });
});

test('control: the same text pasted into the statement does find what it should not', async () => {
  await withDatabase(async (connector) => {
    const pasted = `select count(*) as n from invoices where id = '${"' or '1'='1"}'`;
    assert.deepEqual(responseOf(await read(connector, pasted)), { n: 2 });
  });
});

test('parameters must be complete, known and plain', async () => {
  await withDatabase(async (connector) => {
    const statement = 'select id from invoices where id = :id';
    rejected(await read(connector, statement, {}), /"id" has no value/);
    rejected(await read(connector, statement, { id: 'x', more: 1 }), /"more" does not occur/);
    rejected(await read(connector, statement, { id: ['x'] }), /must be a string/);
    rejected(
      await read(connector, 'select id from invoices where id = :call', { call: 'x' }),
      /always the call id/,
    );
    const types = 'select typeof(:whole) as a, typeof(:part) as b, typeof(:yes) as c, typeof(:none) as d';
    const values = { whole: 5, part: 1.5, yes: true, none: null };
    assert.deepEqual(responseOf(await read(connector, types, values)), {
      a: 'integer',
      b: 'real',
      c: 'integer',
      d: 'null',
    });
  });
});

test('what has no exact JSON form is refused, not rounded', async () => {
  await withDatabase(async (connector) => {
    rejected(await read(connector, 'select big from odd'), /beyond 2\^53/);
    rejected(await read(connector, 'select bytes from odd'), /blob/);
    rejected(await read(connector, 'select real_value from odd'), /no JSON form/);
    rejected(await read(connector, 'select :n as n', { n: 2 ** 60 }), /must be/);
  });
});

test('a read cannot write, whatever the text check overlooks', async () => {
  await withDatabase(async (connector) => {
    const asRead = attemptOf(REFUND, { invoice: 'INV-1', amount: 1 }, { mode: 'read' });
    assert.match(
      ((await connector.attempt(asRead)) as { reason: string }).reason,
      /read must not run a write/,
    );
    rejected(await read(connector, 'select response from "countersign_" || :x', { x: '' }), /syntax|near/);
  });
});

const REFUSED: readonly (readonly [string, JsonObject, RegExp])[] = [
  ['two statements', { statement: 'select 1; select 2', rows: 'one' }, /exactly one statement, got 2/],
  ['no statement', { statement: ' -- nothing', rows: 'one' }, /got 0/],
  ['a write as a read', { statement: 'delete from invoices', rows: 'one' }, /must begin with/],
  [
    'a write behind with',
    { statement: 'with x as (select 1) delete from invoices', rows: 'one' },
    /must not delete/,
  ],
  ['attach', { statement: "attach database '/etc/x' as x", rows: 'one' }, /must begin/],
  ['pragma', { statement: 'pragma table_info(invoices)', rows: 'many' }, /must begin/],
  [
    'a pragma function',
    { statement: "select * from pragma_table_info('invoices')", rows: 'many' },
    /pragma_table_info/,
  ],
  [
    'a quoted pragma function',
    { statement: 'select * from "pragma_database_list"', rows: 'many' },
    /pragma_database_list/,
  ],
  ['load_extension', { statement: "select load_extension('x')", rows: 'one' }, /load_extension/],
  ['the calls table', { write: ['delete from [Countersign_Calls]'] }, /countersign_calls/],
  ['schema changes', { write: ['drop table invoices'] }, /must begin/],
  ['transaction control', { write: ['commit'] }, /must begin/],
  ['positional parameters', { statement: 'select ?', rows: 'one' }, /named parameters/],
  ['other parameter signs', { statement: 'select @x, $y', rows: 'one' }, /named parameters/],
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

for (const [what, operation, expected] of REFUSED) {
  test(`an operation with ${what} is refused at check time and never runs`, async () => {
    assert.match(checkSqlOperation(operation).join('\n'), expected);
  });
}

test('operations of the plan have no mistakes', () => {
  assert.deepEqual(checkSqlOperation(REFUND), []);
  assert.deepEqual(
    checkSqlOperation({
      statement: "select ';drop' as \"a;b\", replace(x, 'a', 'b') from t -- ; \n",
      rows: 'many',
    }),
    [],
  );
});

test('an operation with mistakes is not sent', async () => {
  await withDatabase(async (connector) => {
    const reply = await read(connector, 'select 1; drop table invoices');
    assert.equal(reply.kind, 'not_sent');
  });
});

test('the authorizer stops what a hole in the text check would let through', async () => {
  const { SqlDatabase } = await import('#connectors/sql/sql-database.ts');
  await withDatabase(async (_connector, file) => {
    const database = new SqlDatabase({ file, rows_max: 10, response_bytes: 1_000 });
    const run = (operation: JsonObject): Reply =>
      database.run({ call_id: 'call_x', operation, inputs: {}, lock_until_ms: 0, at_ms: 0 });
    rejected(run({ statement: 'delete from invoices', rows: 'one' }), /not authorized/);
    rejected(run({ statement: "attach database ':memory:' as m", rows: 'one' }), /not authorized/);
    for (const sql of [
      'drop table invoices',
      'commit',
      'pragma user_version = 7',
      'delete from countersign_calls',
      "attach ':memory:' as m",
    ])
      rejected(run({ write: [sql] }), /not authorized/);
    database.close();
    const control = new DatabaseSync(file);
    control.exec('delete from countersign_calls');
    control.close();
  });
});

const SLOW =
  'with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000000) select count(*) as n from n';

test('a slow read times out, and those behind it that could not wait were not sent', async () => {
  await withDatabase(async (connector) => {
    const slow = read(connector, SLOW, {}, 'one', { timeout_ms: 30 });
    const behind = read(connector, 'select 1 as x', {}, 'one', { timeout_ms: 20 });
    const patient = read(connector, 'select 2 as x');
    assert.equal((await behind).kind, 'not_sent');
    assert.deepEqual(await slow, { kind: 'unknown', reason: 'no answer in time', timed_out: true });
    assert.deepEqual(responseOf(await patient), { x: 2 });
  });
});

test('a write that times out is unknown, and its lookup tells the truth afterwards', async () => {
  await withDatabase(async (connector) => {
    const operation = {
      write: ["insert into refunds (id, invoice, amount_minor) values (:call, 'INV-1', 1)"],
      returning: SLOW,
    };
    const attempt = attemptOf(operation, {}, { mode: 'write', timeout_ms: 30 });
    assert.equal((await connector.attempt(attempt)).kind, 'unknown');
    const lookup = { statement: 'select id from refunds where id = :call', rows: 'optional' };
    assert.equal(
      responseOf(await connector.attempt(attemptOf(lookup, {}, { call_id: attempt.call_id }))),
      null,
    );
  });
});

test('a database that another writer holds was not written, and reads go on', async () => {
  await withDatabase(async (connector, file) => {
    const other = new DatabaseSync(file);
    other.exec('pragma journal_mode = wal; begin immediate');
    const reply = await connector.attempt(
      attemptOf(REFUND, { invoice: 'INV-1', amount: 1 }, { mode: 'write', timeout_ms: 1_000 }),
    );
    assert.equal(reply.kind, 'not_sent', JSON.stringify(reply));
    assert.equal((await read(connector, 'select 1 as x')).kind, 'ok');
    other.exec('commit');
    other.close();
    assert.equal((await refund(connector, 'call_free', 1)).kind, 'ok');
  });
});

test('a missing file is never created', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-sql-'));
  const file = join(folder, 'gone.db');
  try {
    await withConnector(await createConnector(sqlSpec(file), testDeps()), async (connector) => {
      assert.equal((await read(connector, 'select 1 as x')).kind, 'not_sent');
      assert.equal((await refund(connector, 'call_x', 1)).kind, 'not_sent');
    });
    assert.throws(() => new DatabaseSync(file, { readOnly: true }));
    await assert.rejects(
      createConnector(sqlSpec(file), testDeps({ protect: [folder] })),
      /no tool may reach/,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('killed in the middle, every deed is done exactly once when its call is repeated', async () => {
  await withDatabase(async (_connector, file) => {
    const script = fileURLToPath(new URL('./fixture-sql-writer.ts', import.meta.url));
    for (let round = 0; round < 4; round++) {
      const child = spawn(process.execPath, [script, file], { stdio: ['ignore', 'pipe', 'inherit'] });
      const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      let seen = 0;
      for await (const chunk of child.stdout) {
        seen += String(chunk).split('\n').length - 1;
        if (seen >= 5 + round * 3) child.kill('SIGKILL');
      }
      await exited;
      const db = new DatabaseSync(file);
      const counts = db
        .prepare(
          'select (select count(*) from refunds) as deeds, (select count(*) from countersign_calls) as calls, (select sum(refunded_minor) from invoices) as total',
        )
        .get() as { deeds: number; calls: number; total: number };
      db.close();
      assert.equal(counts.deeds, counts.calls);
      assert.equal(counts.total, counts.deeds);
      assert.ok(counts.deeds > 0);
    }
  });
});
