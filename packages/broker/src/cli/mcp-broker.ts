// Finds the broker that serves a bundle on this machine, or starts one that ends with this process.
import { spawn } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Settings } from '#bundle/bundle.ts';
import { openKeyFile } from '#identity/key-file.ts';
import { CliFailure, EXIT } from './exit.ts';
import { mistakeLine } from './mistakes.ts';
import { readBundle } from './read-bundle.ts';

export interface NearBroker {
  readonly url: string;
  /** Ends the broker if it was started here; one that was found goes on. */
  stop(): Promise<void>;
}

const COMMAND = fileURLToPath(new URL('../../bin/countersign.js', import.meta.url));
const ASK_TIMEOUT_MS = 2_000;
/** Two programs that start at once: one wins the store, the other waits for it to serve. */
const TRIES = 60;
const TRY_EVERY_MS = 250;

/** `dir`: the bundle. Throws CliFailure when it is broken or no broker can be had. */
export async function nearBroker(dir: string): Promise<NearBroker> {
  const loaded = await readBundle(dir, Date.now());
  if (!loaded.ok) {
    const lines = loaded.mistakes.map(mistakeLine).join('\n');
    throw new CliFailure(EXIT.no, `${lines}\nThe bundle has mistakes, so no broker serves it.`);
  }
  const { settings } = loaded.bundle;
  let said = '';
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const running = await findRunning(settings);
    if (running !== null) return { url: running, stop: () => Promise.resolve() };
    const started = await start(dir, settings, [settings.listen.port, 0][Math.min(attempt, 1)]!);
    if (typeof started !== 'string') return started;
    said = started;
    if (!/another broker is running|is taken/.test(said)) break;
    await pause(TRY_EVERY_MS);
  }
  throw new CliFailure(
    EXIT.unreachable,
    `no broker serves ${dir}, and none could be started:\n${said.trim()}`,
  );
}

function addressFile({ data_dir }: Settings): string {
  return join(data_dir, 'address');
}

/** The URL at which this bundle's own broker answers, or null. */
async function findRunning(settings: Settings): Promise<string | null> {
  const { host, port } = settings.listen;
  const noted = existsSync(addressFile(settings)) ? [readFileSync(addressFile(settings), 'utf8').trim()] : [];
  const known = settings.public_url === null ? [] : [settings.public_url];
  for (const url of [...noted, ...known, `http://${host.includes(':') ? `[${host}]` : host}:${port}`])
    if (await isOurs(url, settings)) return url;
  return null;
}

/**
 * Whoever took the port first would be told what the agent does: a broker is ours only when it shows the public half
 * of the signing key in this bundle's own data folder.
 */
async function isOurs(url: string, { data_dir }: Settings): Promise<boolean> {
  const file = join(data_dir, 'keys', 'tokens.pem');
  if (!existsSync(file)) return false;
  const { x } = createPublicKey(openKeyFile(file)).export({ format: 'jwk' });
  try {
    const response = await fetch(`${url}/.well-known/jwks.json`, {
      redirect: 'error',
      signal: AbortSignal.timeout(ASK_TIMEOUT_MS),
    });
    const { keys } = (await response.json()) as { keys?: readonly { x?: unknown }[] };
    return Array.isArray(keys) && keys.some((key) => key.x === x);
  } catch {
    return false;
  }
}

/** The broker once it serves, or what it said instead. */
async function start(dir: string, settings: Settings, port: number): Promise<NearBroker | string> {
  const args = [
    'serve',
    '--bundle',
    dir,
    '--port',
    String(port),
    '--log-level',
    'error',
    '--until-input-ends',
  ];
  const child = spawn(process.execPath, [COMMAND, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  child.stdin.on('error', () => undefined);
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4_000);
  });
  const ended = once(child, 'close');
  const url = await Promise.race([servingAt(child.stdout), ended.then(() => null)]);
  if (url === null) return said === '' ? 'it ended without a word' : said;
  // Standard output of this process belongs to the protocol; what the broker has to say goes to the log.
  child.stderr.pipe(process.stderr, { end: false });
  writeFileSync(addressFile(settings), `${url}\n`, { mode: 0o600 });
  return {
    url,
    async stop() {
      rmSync(addressFile(settings), { force: true });
      child.stdin.end();
      await ended;
    },
  };
}

async function servingAt(output: NodeJS.ReadableStream): Promise<string | null> {
  for await (const line of createInterface({ input: output })) {
    const url = /^countersign serves at (\S+)$/.exec(line)?.[1];
    if (url !== undefined) return url;
  }
  return null;
}
