// The invoice desk on each SQL engine: the same tables, the same operations, one connector to try them through.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { ConnectorSpec } from '#bundle/bundle.ts';
import type { Connector } from '#connectors/connector.ts';
import type { ConnectorDeps } from '#connectors/connector-deps.ts';
import { createConnector } from '#connectors/create-connector.ts';
import { sqlSpec, testDeps, withConnector } from './fixture.ts';
import type { PostgresServer } from './sql-postgres-server.ts';

const TABLES = `
  create table invoices (id text primary key, paid_minor integer not null, refunded_minor integer not null default 0);
  create table refunds (id text primary key, invoice text not null references invoices, amount_minor integer not null check (amount_minor > 0));
  insert into invoices (id, paid_minor) values ('INV-1', 1000), ('INV-2', 500);
`;

/** One desk: an operation as a manifest of this engine says it, and a fresh database for each test. */
export interface Desk {
  readonly engine: 'sqlite' | 'postgres';
  operation(operation: JsonObject): JsonObject;
  with(
    work: (connector: Connector, again: () => Promise<Connector>) => Promise<void>,
    more?: JsonObject,
  ): Promise<void>;
}

export const sqliteDesk: Desk = {
  engine: 'sqlite',
  operation: (operation) => operation,
  async with(work, more = {}) {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-sql-'));
    const file = join(folder, 'desk.db');
    const db = new DatabaseSync(file);
    db.exec(TABLES);
    db.close();
    const again = (): Promise<Connector> => createConnector(sqlSpec(file, more), testDeps());
    try {
      await withConnector(await again(), (connector) => work(connector, again));
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

export const LOGIN = 'desk_login';
export const LOGIN_PASSWORD = 'of-the-desk-login';
export const ROLE = 'tool_desk';

/** The login may touch nothing but the table of calls; the role may read and refund. */
const ROLES = `
  do $$ begin
    if not exists (select from pg_roles where rolname = '${LOGIN}') then
      create role ${ROLE};
      create role tool_reader;
      create role tool_stranger;
      create role ${LOGIN} login noinherit password '${LOGIN_PASSWORD}';
      grant ${ROLE}, tool_reader to ${LOGIN};
    end if;
  end $$`;
const GRANTS = `
  create table countersign_calls (call_id text primary key, response text not null, at_ms bigint not null);
  grant select, insert, update on countersign_calls to ${LOGIN};
  grant select on invoices, refunds to ${ROLE};
  grant insert on refunds to ${ROLE};
  grant update (refunded_minor) on invoices to ${ROLE};
`;

let databases = 0;

/** A database of its own with the desk in it; answers its name. */
export async function createPostgresDesk(server: PostgresServer, extra = ''): Promise<string> {
  const database = `desk_${++databases}`;
  await server.admin(ROLES);
  await server.admin(`create database ${database}`);
  await server.admin(TABLES + GRANTS + extra, database);
  return database;
}

export function postgresSpec(port: number, database: string, more: JsonObject = {}): ConnectorSpec {
  const options = { engine: 'postgres', host: '127.0.0.1', port, database, user: LOGIN, tls: false, ...more };
  const credential = { provider: 'static', options: { env: 'PGPASSWORD', value: 'env:DESK_PASSWORD' } };
  return { name: 'desk', kind: 'sql', owner: 'ops', options, credential };
}

export function postgresDeps(password = LOGIN_PASSWORD, more: Partial<ConnectorDeps> = {}) {
  const credential = { id: 'static:desk', expires_at_ms: null, scope: null, secrets: [password] };
  return testDeps({
    connectionCredential: () => Promise.resolve({ ...credential, inject: { env: { PGPASSWORD: password } } }),
    ...more,
  });
}

export function postgresDesk(server: () => PostgresServer): Desk {
  return {
    engine: 'postgres',
    operation: (operation) => ({ role: ROLE, ...operation }),
    async with(work, more = {}) {
      const database = await createPostgresDesk(server());
      const again = (): Promise<Connector> =>
        createConnector(postgresSpec(server().port, database, more), postgresDeps());
      await withConnector(await again(), (connector) => work(connector, again));
    },
  };
}
