// A real PostgreSQL server with accounts and their entries, behind the proxy that cuts connections.
import { startPostgres } from '../connectors/sql-postgres-server.ts';
import { throwFaults } from './faults.ts';
import { POSTGRES_FAULTS, startPostgresFaultProxy } from './postgres-fault-proxy.ts';
import type { Upstream } from './upstream.ts';

export const POSTGRES_PASSWORD = 'of-the-chaos-login';
const OPENING_MINOR = 1_000_000_000;

/** `entries` has no key on purpose: a deed done twice leaves two rows, and takes the amount twice. */
const SCHEMA = `
  create table accounts (id text primary key, balance_minor bigint not null);
  create table entries (call_id text not null, note text not null, account text not null, amount_minor bigint not null);
  insert into accounts values ('AC-1', ${OPENING_MINOR}), ('AC-2', ${OPENING_MINOR});
  create table countersign_calls (call_id text primary key, response text not null, at_ms bigint not null);
  create role tool_chaos;
  create role chaos_login login noinherit password '${POSTGRES_PASSWORD}';
  grant tool_chaos to chaos_login;
  grant select, insert, update on countersign_calls to chaos_login;
  grant select on accounts, entries to tool_chaos;
  grant insert on entries to tool_chaos;
  grant update (balance_minor) on accounts to tool_chaos;
`;

export interface PostgresUpstream extends Upstream {
  readonly port: number;
  /** What the balances say was taken beside what the entries say, in minor units. */
  taken(): Promise<{ readonly balances: number; readonly entries: number }>;
}

export async function startLedgerDatabase(
  seed: number,
  rate: number,
  late_ms: number,
): Promise<PostgresUpstream> {
  const server = await startPostgres();
  await server.admin(SCHEMA);
  const faults = throwFaults(seed, rate, POSTGRES_FAULTS);
  const proxy = await startPostgresFaultProxy({ upstream: server.port, faults, late_ms });
  const quiet = async (): Promise<void> => {
    await proxy.idle();
    // The server may still be committing for a connection that is gone.
    const busy = `select 1 from pg_stat_activity where usename = 'chaos_login'`;
    while ((await server.admin(busy)).length > 0);
  };
  return {
    name: 'postgres',
    port: proxy.port,
    faults,
    async deeds() {
      await quiet();
      const rows = await server.admin('select call_id, note from entries');
      return rows.map((row) => ({
        upstream: 'postgres',
        call_id: String(row['call_id']),
        note: String(row['note']),
      }));
    },
    async taken() {
      await quiet();
      const [row] = await server.admin(
        `select ${2 * OPENING_MINOR} - sum(balance_minor) as balances,
           (select coalesce(sum(amount_minor), 0) from entries) as entries from accounts`,
      );
      return { balances: Number(row?.['balances']), entries: Number(row?.['entries']) };
    },
    async stop() {
      await proxy.stop();
      await server.stop();
    },
  };
}
