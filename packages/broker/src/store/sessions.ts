// Sessions of people: found by the digest of what a browser or a command line holds, never by the secret itself.
import type { SqlValue, Tx } from './tx.ts';

/** `browser`: a cookie. `cli`: a token that `countersign login` keeps. Neither passes for the other. */
export type SessionKind = 'browser' | 'cli';
/** How the person was authenticated. */
export type LoginVia = 'provider' | 'passkey';

export interface StoredSession {
  readonly id: string;
  readonly kind: SessionKind;
  readonly tenant: string;
  readonly person: string;
  readonly via: LoginVia;
  /** Whose the name was when it was opened: empty for people of the bundle. */
  readonly identity: string;
  /** When the person was authenticated; a command line's session rests on the log-in of a browser. */
  readonly authenticated_at_ms: number;
  readonly created_at_ms: number;
  readonly last_used_at_ms: number;
  /** Ends when it was not used for so long. */
  readonly idle_ms: number;
  /** Ends then, however much it is used. */
  readonly expires_at_ms: number;
  readonly ended_at_ms: number | null;
}

const COLUMNS =
  'id, kind, tenant, person, via, identity, authenticated_at_ms, created_at_ms, last_used_at_ms, idle_ms, expires_at_ms, ended_at_ms';
/** Takes the time twice. */
const IN_USE = 'ended_at_ms is null and expires_at_ms > ? and last_used_at_ms + idle_ms > ?';

/** Opens a session; `digest` is of its secret. */
export async function insertSession(tx: Tx, session: StoredSession, digest: string): Promise<void> {
  const { id, kind, tenant, person, via } = session;
  await tx.run(
    `insert into sessions (id, digest, kind, tenant, person, via, identity, authenticated_at_ms, created_at_ms,
       last_used_at_ms, idle_ms, expires_at_ms) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ...[id, digest, kind, tenant, person, via, session.identity, session.authenticated_at_ms],
    ...[session.created_at_ms, session.last_used_at_ms],
    ...[session.idle_ms, session.expires_at_ms],
  );
}

/** The session of this kind with this secret's digest, if it can be used at `now_ms`. */
export async function findSession(
  tx: Tx,
  kind: SessionKind,
  digest: string,
  now_ms: number,
): Promise<StoredSession | undefined> {
  return tx.get<StoredSession>(
    `select ${COLUMNS} from sessions where digest = ? and kind = ? and ${IN_USE}`,
    ...[digest, kind, now_ms, now_ms],
  );
}

/** Puts off the end by idleness; never that of a session which has ended. */
export async function touchSession(tx: Tx, id: string, now_ms: number): Promise<void> {
  await tx.run(
    'update sessions set last_used_at_ms = ? where id = ? and ended_at_ms is null and last_used_at_ms < ?',
    ...[now_ms, id, now_ms],
  );
}

/** Sessions in use of a person, newest first. */
export async function listSessions(
  tx: Tx,
  tenant: string,
  person: string,
  now_ms: number,
): Promise<StoredSession[]> {
  return tx.all<StoredSession>(
    `select ${COLUMNS} from sessions where tenant = ? and person = ? and ${IN_USE} order by id desc`,
    ...[tenant, person, now_ms, now_ms],
  );
}

/** The session in use with this id. */
export async function getSession(
  tx: Tx,
  tenant: string,
  id: string,
  now_ms: number,
): Promise<StoredSession | undefined> {
  return tx.get<StoredSession>(
    `select ${COLUMNS} from sessions where tenant = ? and id = ? and ${IN_USE}`,
    ...[tenant, id, now_ms, now_ms],
  );
}

/** Ends one session; false when it had ended before. */
export async function endSession(tx: Tx, id: string, at_ms: number): Promise<boolean> {
  const { changes } = await tx.run(
    'update sessions set ended_at_ms = ? where id = ? and ended_at_ms is null',
    ...([at_ms, id] as SqlValue[]),
  );
  return changes === 1;
}

/** Ends every session of a person. Answers how many. */
export async function endSessionsOf(tx: Tx, tenant: string, person: string, at_ms: number): Promise<number> {
  const { changes } = await tx.run(
    'update sessions set ended_at_ms = ? where tenant = ? and person = ? and ended_at_ms is null',
    ...[at_ms, tenant, person],
  );
  return changes;
}

/** Forgets sessions that have been over since before `before_ms`. */
export async function purgeSessions(tx: Tx, before_ms: number): Promise<void> {
  await tx.run('delete from sessions where expires_at_ms < ? or ended_at_ms < ?', ...[before_ms, before_ms]);
}
