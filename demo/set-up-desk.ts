// Makes a fresh support desk in a scratch folder: bundle, keys, database and runbooks.
import { createHash, generateKeyPairSync } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';

export interface Desk {
  /** Scratch folder of everything below. */
  readonly folder: string;
  /** What the broker serves. */
  readonly bundle: string;
  /** Where the broker keeps its ledger and its own keys. */
  readonly dataDir: string;
  readonly database: string;
  /** Private key file of a principal. */
  readonly keyFile: (name: string) => string;
  /** Private JWK of a principal. */
  readonly key: (name: string) => { readonly kty: string; readonly [member: string]: string };
  /** Removes the scratch folder. */
  readonly remove: () => void;
}

const PRINCIPALS = ['support-refunds', 'support-desk', 'ana', 'ben'];
const HERE = fileURLToPath(new URL('.', import.meta.url));

/** `under`: an existing folder for the scratch folder; the system's temporary one by default. */
export function setUpDesk(under: string = tmpdir()): Desk {
  const folder = mkdtempSync(join(under, 'countersign-demo-'));
  const bundle = join(folder, 'bundle');
  const database = join(folder, 'data', 'desk.db');
  const keys = join(folder, 'keys');
  cpSync(join(HERE, 'bundle'), bundle, { recursive: true });
  cpSync(join(HERE, 'runbooks'), join(folder, 'runbooks'), { recursive: true });
  for (const made of [join(folder, 'data'), join(folder, 'servers'), keys, join(bundle, 'keys')])
    mkdirSync(made, { mode: 0o700 });
  const keyFile = (name: string): string => join(keys, `${name}.jwk`);
  for (const name of PRINCIPALS) makeKey(keyFile(name), join(bundle, 'keys', `${name}.pub.jwk`));
  linkServer(join(folder, 'servers', 'filesystem.js'));
  fillDatabase(database);
  return {
    folder,
    bundle,
    dataDir: join(folder, '.countersign'),
    database,
    keyFile,
    key: (name) => JSON.parse(readFileSync(keyFile(name), 'utf8')),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** What `countersign keys new` does: the private key stays with its owner, the bundle gets the public half. */
function makeKey(privateFile: string, publicFile: string): void {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const { crv, kty, x } = publicKey.export({ format: 'jwk' });
  const kid = createHash('sha256').update(JSON.stringify({ crv, kty, x })).digest('base64url');
  writeFileSync(privateFile, JSON.stringify({ ...privateKey.export({ format: 'jwk' }), kid }), {
    mode: 0o600,
  });
  writeFileSync(publicFile, JSON.stringify({ kty, crv, x, kid }));
}

/** The bundle names the server by a path of its own; where it is installed is this machine's affair. */
function linkServer(link: string): void {
  const installed = createRequire(import.meta.url).resolve(
    '@modelcontextprotocol/server-filesystem/dist/index.js',
  );
  symlinkSync(installed, link);
}

function fillDatabase(file: string): void {
  const db = new DatabaseSync(file);
  db.exec(readFileSync(join(HERE, 'desk.sql'), 'utf8'));
  db.close();
}
