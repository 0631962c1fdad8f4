// Decides whether a PostgreSQL login is fit to serve tools: it must have no rights but those of the roles it takes on.
import type { ClientBase } from 'pg';

const QUESTION = `
  select r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolreplication as mighty,
    (select string_agg(o.rolname, ', ') from pg_roles o
      where o.oid <> r.oid and pg_has_role(session_user, o.oid, 'usage')) as inherited,
    (select string_agg(o.rolname, ', ') from pg_roles o
      where (o.rolsuper or o.rolbypassrls or o.rolcreaterole or o.rolreplication)
        and pg_has_role(session_user, o.oid, 'member')) as reachable
  from pg_roles r where r.rolname = session_user`;

/** Null when it is fit, else what to change. A superuser could otherwise pass by every role of a manifest. */
export async function checkLogin(client: ClientBase, user: string): Promise<string | null> {
  const { rows } = await client.query<{
    mighty: boolean;
    inherited: string | null;
    reachable: string | null;
  }>(QUESTION);
  const row = rows[0];
  if (row === undefined) return `the login ${user} does not exist`;
  if (row.mighty)
    return `the login ${user} is a superuser, passes by row security, or makes roles or replicas; use one made with "create role ... login noinherit"`;
  if (row.reachable !== null)
    return `the login ${user} is a member of ${row.reachable}, which may do everything; revoke that`;
  if (row.inherited !== null)
    return `the login ${user} has the rights of ${row.inherited} without asking; "alter role ${user} noinherit" (from PostgreSQL 16 on also: grant ... with inherit false)`;
  return null;
}
