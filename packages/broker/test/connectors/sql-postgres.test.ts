// What only PostgreSQL has: roles per tool, row security by tenant, read-only transactions, lost connections.
import assert from 'node:assert/strict';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Attempt, Connector, Reply } from '#connectors/connector.ts';
import { createConnector } from '#connectors/create-connector.ts';
import { checkSqlOperation } from '#connectors/sql/check-sql-operation.ts';
import { attemptOf, responseOf, until, withConnector } from './fixture.ts';
import {
  createPostgresDesk,
  LOGIN,
  LOGIN_PASSWORD,
  postgresDeps,
  postgresSpec,
  ROLE,
} from './sql-postgres-desk.ts';
import { type PostgresServer, startPostgres, whyNoPostgres } from './sql-postgres-server.ts';

const REFUND: JsonObject = {
  role: ROLE,
  write: [
    'insert into refunds (id, invoice, amount_minor) values (:call, :invoice, :amount)',
    { sql: 'update invoices set refunded_minor = refunded_minor + :amount where id = :invoice', changes: 1 },
  ],
  returning: 'select refunded_minor from invoices where id = :invoice',
};

function read(
  connector: Connector,
  statement: string,
  more: Partial<Attempt> & { role?: string; rows?: string } = {},
) {
  const { role = ROLE, rows = 'one', ...rest } = more;
  return connector.attempt(attemptOf({ role, statement, rows }, {}, rest));
}

const refund = (connector: Connector, call_id: string, more: Partial<Attempt> = {}): Promise<Reply> =>
  connector.attempt(attemptOf(REFUND, { invoice: 'INV-1', amount: 10 }, { call_id, mode: 'write', ...more }));

function says(reply: Reply, kind: Reply['kind'], reason: RegExp): void {
  assert.equal(reply.kind, kind, JSON.stringify(reply));
  assert.match((reply as { reason: string }).reason, reason);
}

const noPostgres = whyNoPostgres();
if (noPostgres !== null) console.error(`SKIPPED: the PostgreSQL tests did not run: ${noPostgres}`);

describe('PostgreSQL', { skip: noPostgres ?? false }, () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
    console.error(`the PostgreSQL tests run against PostgreSQL ${server.version}`);
  });
  after(() => server.stop());

  async function withDesk(
    work: (connector: Connector, database: string) => Promise<void>,
    extra = '',
    more: JsonObject = {},
  ): Promise<void> {
    const database = await createPostgresDesk(server, extra);
    const connector = await createConnector(postgresSpec(server.port, database, more), postgresDeps());
    await withConnector(connector, () => work(connector, database));
  }

  test('a statement has the rights of the role of its tool and no others', async () => {
    await withDesk(async (connector, database) => {
      assert.equal((await read(connector, 'select count(*) as n from invoices')).kind, 'ok');
      says(
        await read(connector, 'select count(*) as n from invoices', { role: 'tool_reader' }),
        'rejected',
        /permission denied/,
      );
      says(
        await read(connector, 'select 1 as x', { role: 'tool_stranger' }),
        'rejected',
        /permission denied to set role/,
      );
      says(
        await read(connector, 'select 1 as x', { role: 'admin' }),
        'rejected',
        /permission denied to set role/,
      );
      const price = { role: ROLE, write: ['update invoices set paid_minor = 0'] };
      says(await connector.attempt(attemptOf(price, {}, { mode: 'write' })), 'rejected', /permission denied/);
      // Control: with the administrator's rights the very same statement works.
      await server.admin('update invoices set paid_minor = 0', database);
    });
  });

  test('the role and the tenant end with the transaction, also after errors', async () => {
    await withDesk(
      async (connector) => {
        const who = "select current_user::text as u, current_setting('countersign.tenant') as t";
        says(await read(connector, 'select 1/0 as x', { tenant: 'a' }), 'rejected', /division by zero/);
        for (const tenant of ['b', "o'brien"])
          assert.deepEqual(responseOf(await read(connector, who, { tenant })), { u: ROLE, t: tenant });
      },
      '',
      { connections: 1 },
    );
  });

  test('row security sees the tenant of the call', async () => {
    const rows = `
      create table notes (tenant text not null, note text not null);
      insert into notes values ('a', 'of a'), ('b', 'of b');
      grant select on notes to ${ROLE};`;
    const secured = `${rows}
      alter table notes enable row level security;
      create policy own on notes using (tenant = current_setting('countersign.tenant', true));`;
    const notes = 'select note from notes order by note';
    await withDesk(async (connector) => {
      for (const tenant of ['a', 'b'])
        assert.deepEqual(responseOf(await read(connector, notes, { tenant, rows: 'many' })), [
          { note: `of ${tenant}` },
        ]);
      assert.deepEqual(responseOf(await read(connector, notes, { tenant: '', rows: 'many' })), []);
    }, secured);
    // Control: without the policy the same read shows both.
    await withDesk(async (connector) => {
      assert.equal((responseOf(await read(connector, notes, { rows: 'many' })) as unknown[]).length, 2);
    }, rows);
  });

  test('a read cannot change anything, not even through a function', async () => {
    const trap = `
      create function trap() returns integer language sql security definer as $$
        update invoices set paid_minor = 1 returning paid_minor $$;`;
    await withDesk(async (connector, database) => {
      says(
        await read(connector, 'select trap() as x', { rows: 'many' }),
        'rejected',
        /read-only transaction/,
      );
      says(
        await read(connector, 'select id from invoices for update', { rows: 'many' }),
        'rejected',
        /read-only transaction|permission denied/,
      );
      assert.deepEqual(
        await server.admin('select count(*)::int as n from invoices where paid_minor = 1', database),
        [{ n: 0 }],
      );
      // Control: outside of a read-only transaction the function does its harm.
      await server.admin('select trap()', database);
    }, trap);
  });

  test('a login with rights of its own is refused with what to change', async () => {
    const database = await createPostgresDesk(server);
    const refused = async (user: string, make: string, expected: RegExp): Promise<void> => {
      await server.admin(make);
      const spec = postgresSpec(server.port, database, { user });
      await assert.rejects(createConnector(spec, postgresDeps('x')), expected);
    };
    await refused('l_super', "create role l_super login superuser noinherit password 'x'", /superuser/);
    await refused('l_rls', "create role l_rls login bypassrls noinherit password 'x'", /row security/);
    await refused(
      'l_heir',
      `create role l_heir login inherit password 'x'; grant ${ROLE} to l_heir`,
      /noinherit/,
    );
    await refused(
      'l_up',
      "create role l_up login noinherit password 'x'; grant admin to l_up",
      /member of admin/,
    );
  });

  test('a wrong password, a missing server and a missing table are said and never half done', async () => {
    const database = await createPostgresDesk(server);
    const wrong = await createConnector(postgresSpec(server.port, database), postgresDeps('wrong-password'));
    await withConnector(wrong, async () => {
      const reply = await read(wrong, 'select 1 as x');
      says(reply, 'not_sent', /not reachable: password authentication failed/);
      assert.ok(!JSON.stringify(reply).includes('wrong-password'));
    });
    const gone = await createConnector(postgresSpec(1, database), postgresDeps());
    await withConnector(gone, async () => says(await refund(gone, 'c'), 'not_sent', /not reachable/));
    await server.admin('drop table countersign_calls', database);
    const bare = await createConnector(postgresSpec(server.port, database), postgresDeps());
    await withConnector(bare, async () =>
      says(await refund(bare, 'c'), 'not_sent', /create table public.countersign_calls/),
    );
    assert.deepEqual(await server.admin('select count(*)::int as n from refunds', database), [{ n: 0 }]);
  });

  test('a slow statement is cancelled by the server, and nothing of it stays', async () => {
    await withDesk(async (connector, database) => {
      says(
        await read(connector, 'select pg_sleep(30)::text as x', { timeout_ms: 1_000 }),
        'not_sent',
        /statement timeout|no answer in time/,
      );
      const slow = { ...REFUND, returning: 'select pg_sleep(30)::text as x' };
      const attempt = attemptOf(slow, { invoice: 'INV-1', amount: 1 }, { mode: 'write', timeout_ms: 1_000 });
      says(await connector.attempt(attempt), 'not_sent', /statement timeout|no answer in time/);
      assert.deepEqual(await server.admin('select count(*)::int as n from refunds', database), [{ n: 0 }]);
      assert.equal((await refund(connector, attempt.call_id)).kind, 'ok');
    });
  });

  test('what has no exact JSON form is refused, and an answer is bounded before it is held', async () => {
    await withDesk(async (connector) => {
      says(await read(connector, 'select 9007199254740993 as x'), 'rejected', /beyond 2\^53/);
      says(await read(connector, "select 'nan'::float8 as x"), 'rejected', /no JSON form/);
      says(await read(connector, "select decode('00ff', 'hex') as x"), 'rejected', /bytes/);
      says(await read(connector, 'select 1 as x, 2 as x'), 'rejected', /two columns/);
      says(await read(connector, "select repeat('x', 5000000) as x"), 'rejected', /larger than/);
      says(await read(connector, "select repeat('x', 200000000) as x"), 'rejected', /larger than/);
      const types = `select true as b, 5::bigint as i, 1.5::float8 as f, 12.30::numeric as n, null as z,
        '{"a": [1]}'::jsonb as j, date '2026-01-02' as d`;
      const expected = { b: true, i: 5, f: 1.5, n: '12.30', z: null, j: { a: [1] }, d: '2026-01-02' };
      assert.deepEqual(responseOf(await read(connector, types)), expected);
    });
  });

  const CUTS: readonly (readonly [string, 'before' | 'after', RegExp, Reply['kind'], number])[] = [
    ['before the deed was written', 'before', /insert into refunds/, 'not_sent', 0],
    ['when the commit left, which never arrives', 'before', /Q[\s\S]{4}commit\0/, 'unknown', 0],
    ['after the commit, before its answer', 'after', /Q[\s\S]{4}commit\0/, 'unknown', 1],
  ];
  for (const [what, when, pattern, kind, done] of CUTS) {
    test(`a connection lost ${what}: ${kind}, and the repeat does the deed exactly once`, async (t) => {
      const database = await createPostgresDesk(server);
      const proxy = await cuttingProxy(server.port, pattern, when);
      t.after(proxy.close);
      const cut = await createConnector(postgresSpec(proxy.port, database), postgresDeps());
      await withConnector(cut, async () => {
        const reply = await refund(cut, 'call_cut');
        assert.equal(reply.kind, kind, JSON.stringify(reply));
        await until(() => proxy.drained());
        const count = 'select count(*)::int as n from refunds';
        assert.deepEqual(await server.admin(count, database), [{ n: done }]);
        proxy.heal();
        assert.deepEqual(responseOf(await refund(cut, 'call_cut')), { refunded_minor: 10 });
        assert.deepEqual(await server.admin(count, database), [{ n: 1 }]);
      });
    });
  }

  test('the login that the tests use holds nothing but the table of calls', async () => {
    await withDesk(async (_connector, database) => {
      const rights = await server.admin(
        `select table_name from information_schema.role_table_grants where grantee = '${LOGIN}' group by 1`,
        database,
      );
      assert.deepEqual(rights, [{ table_name: 'countersign_calls' }]);
      assert.notEqual(LOGIN_PASSWORD, '');
    });
  });
});

const REFUSED: readonly (readonly [string, JsonObject, RegExp])[] = [
  ['no role', { statement: 'select 1', rows: 'one' }, /role must name/],
  ['a role that quotes out', { role: 'x"; drop', statement: 'select 1', rows: 'one' }, /role must name/],
  [
    'a built-in role',
    { role: 'pg_read_all_data', statement: 'select 1', rows: 'one' },
    /not a role of a tool/,
  ],
  ['settings', { role: 'r', statement: "select set_config('role', 'x', true)", rows: 'one' }, /set_config/],
  ['files', { role: 'r', statement: "select pg_read_file('/etc/passwd')", rows: 'one' }, /pg_read_file/],
  ['other servers', { role: 'r', statement: "select dblink_connect('x')", rows: 'one' }, /dblink_connect/],
  [
    'text as SQL',
    { role: 'r', statement: "select query_to_xml('select 1', true, true, '')", rows: 'one' },
    /query_to_xml/,
  ],
  ['copy', { role: 'r', write: ["copy invoices to program 'id'"] }, /must begin/],
  ['an escape literal', { role: 'r', statement: "select E'\\' or 1=1 --'", rows: 'one' }, /plain/],
  ['a unicode literal', { role: 'r', statement: "select U&'\\0027'", rows: 'one' }, /plain/],
  ['a dollar literal', { role: 'r', statement: 'select $$ ; drop table x; $$', rows: 'one' }, /plain/],
  ['nested comments', { role: 'r', statement: 'select /* /* */ 1 */ 2', rows: 'one' }, /comment inside/],
  [
    'a carriage return that ends a comment',
    { role: 'r', statement: 'select 1 -- \r; delete from x', rows: 'one' },
    /got 2/,
  ],
];
for (const [what, operation, expected] of REFUSED) {
  test(`on PostgreSQL an operation with ${what} is refused at check time`, () => {
    assert.match(checkSqlOperation(operation, 'postgres').join('\n'), expected);
  });
}

test('casts, quoted text and comments are no parameters', () => {
  const statement = 'select :a::text as x, \':b\' as y, ":c" as z, a[1] /* :d */ from t -- :e';
  assert.deepEqual(checkSqlOperation({ role: 'r', statement, rows: 'one' }, 'postgres'), []);
});

/** A wire to the server that is cut once, when a message of the client matches: before or after it was answered. */
async function cuttingProxy(to: number, pattern: RegExp, when: 'before' | 'after') {
  let armed = true;
  let answered = false;
  const sockets = new Set<Socket>();
  const proxy = createServer((near) => {
    const far = connect(to, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    }
    let cutting = false;
    near.on('data', (chunk) => {
      const hit = armed && pattern.test(chunk.toString('latin1'));
      if (hit) armed = false;
      cutting ||= hit;
      if (hit && when === 'before') near.destroy();
      else far.write(chunk);
    });
    far.on('data', (chunk) => {
      answered ||= cutting;
      if (!cutting) near.write(chunk);
      else for (const socket of [near, far]) socket.destroy();
    });
    near.on('close', () => far.end());
    far.on('close', () => near.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  return {
    port: (proxy.address() as AddressInfo).port,
    drained: () => (when === 'after' ? answered : !armed && sockets.size === 0),
    heal: () => {
      armed = false;
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => proxy.close(resolve));
    },
  };
}
