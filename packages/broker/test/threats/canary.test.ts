// Threat: a secret leaves by what the broker writes or says. Each is planted or minted recognisable, every call is driven, and
// everything that the process wrote or answered is searched for it, in every spelling.
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { JsonObject } from '@countersign/contract/json.ts';
import { whyNoBwrap } from '#connectors/isolation/bwrap.ts';
import { backupStore } from '#store/backup-store.ts';
import { assertion } from '../harness.ts';
import { bundleFiles, type Cast, connectorsOf, HOWS, plantSecrets, toolOf } from './canary/cast.ts';
import { type Outside, startOutside, WAYS } from './canary/outside.ts';
import { leaksIn, type Planted, spellingsOf } from './canary/spellings.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/countersign.js', import.meta.url));
const PRELOAD = new URL('./canary/preload.mjs', import.meta.url).href;
const commands = (await whyNoBwrap()) === null;
if (!commands)
  console.error('*** NOT RUN: secrets in the environment of commands, for want of bubblewrap ***');

const root = mkdtempSync(join(tmpdir(), 'countersign-canary-'));
const keys = new Map<string, KeyObject>();
/** What the process wrote: standard output and error of every start. */
let written = '';
/** Every answer at every door, but those of the token endpoint, which is there to hand tokens out. */
const answers: string[] = [];
let outside: Outside;
let cast: Cast;
let broker: ChildProcess;
let base = '';

before(async () => {
  outside = await startOutside();
  cast = plantSecrets();
  const secrets = join(root, 'secrets');
  for (const folder of ['cwd', 'tmp', 'secrets']) mkdirSync(join(root, folder), { mode: 0o700 });
  for (const [name, text] of Object.entries(cast.files)) {
    writeFileSync(join(secrets, name), text);
    chmodSync(join(secrets, name), 0o600);
  }
  const jwks = { bot: {}, olga: {} };
  for (const name of ['bot', 'olga'] as const) {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    keys.set(name, createPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs8' })));
    jwks[name] = publicKey.export({ format: 'jwk' });
    cast.planted.push({ name: `key of ${name}`, secret: privateKey.export({ format: 'jwk' }).d! });
  }
  for (const [path, text] of Object.entries(bundleFiles(outside.url, secrets, jwks, commands))) {
    const file = join(root, 'bundle', path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  await start();
  for (const [name, value] of Object.entries(cast.sealed)) await setSecret(name, value);
});

after(async () => {
  broker.kill('SIGKILL');
  await outside.close();
  rmSync(root, { recursive: true, force: true });
});

test('control: each spelling of each secret would be found, also in the middle of something', () => {
  const bot = { name: 'x', secret: 'CaNaRy-x+/"y~=' };
  for (const [how, text] of Object.entries(spellingsOf(bot.secret)))
    assert.ok(leaksIn(Buffer.from(`before ${text} after`), [bot]).includes(`x, ${how}`), how);
  assert.deepEqual(leaksIn(Buffer.from('CaNaRy'), [bot]), []);
});

test('calls that succeed with an echo in every spelling tell no secret', async () => {
  for (const name of names()) {
    for (const how of HOWS) {
      const told = await call(name, how);
      assert.match(told, /"status":"succeeded"/, `${name}, ${how}: ${told}`);
      if (!isCommand(name)) assert.match(told, /a .*\[redacted\].* z/, `${name}, ${how}`);
    }
  }
  clean('after calls that succeed');
});

test('control: every provider was asked, and what it minted reached the upstream', async () => {
  const minted = new Set(outside.minted.map(({ name }) => name));
  const expected = names().filter(
    (name) => !name.startsWith('static') && name !== 'vault-env' && name !== 'aws-sts',
  );
  for (const name of expected) assert.ok(outside.shown.has(`${name} (minted)`), name);
  if (commands) assert.ok(minted.has('aws-sts token (minted)'));
});

test('calls that fail, are refused, or get no answer tell no secret', async () => {
  for (const name of names()) {
    for (const how of WAYS) await call(name, how);
    await call(name, 'forbidden');
    await call(name, 'x'.repeat(50));
  }
  await send('bot', 'POST', '/v1/calls', { tool: 'read_nothing', args: {} });
  clean('after calls that fail');
});

test('issuers that refuse with everything they were sent, talk nonsense, or hang up tell no secret', async () => {
  for (const issuers of ['echo', 'garbage', 'vanish'] as const) {
    outside.issuers = issuers;
    // What was kept from before is not used again.
    await restart('SIGTERM');
    for (const name of names()) await call(name, 'plain');
  }
  outside.issuers = 'grant';
  assert.match(answers.join(), /credential_unavailable/, 'control: something could not be minted');
  clean('after issuers that echo');
});

test('every door that tells of what happened tells no secret', async () => {
  for (const path of [
    '/v1/calls?limit=200',
    '/v1/runs',
    '/v1/ledger/entries?log=tenant/default&limit=1000',
    '/v1/ledger/entries?log=installation&limit=1000',
    '/v1/alerts',
    '/v1/connectors',
    '/v1/secrets',
    '/v1/bundle',
    '/v1/quotas',
    '/readyz',
    '/openapi.json',
  ])
    await send('olga', 'GET', path);
  for (const how of HOWS.slice(0, 2)) await callMcp(how);
  await send('olga', 'POST', '/v1/sealing-key/rotation');
  await send('olga', 'POST', '/v1/secrets/Wrong Name', { value: cast.sealed['leased']! });
  await send('bot', 'POST', '/v1/secrets/leased', { value: cast.sealed['leased']! });
  await send('olga', 'POST', '/v1/secrets/leased', {
    value: cast.sealed['leased']!,
    [cast.sealed['leased']!.slice(0, 4)]: 1,
  });
  clean('after looking at everything');
});

test('a backup of the store holds no secret', async () => {
  await backupStore(join(root, 'data/countersign.db'), join(root, 'tmp/backup.db'));
  clean('with a backup');
});

test('a report that Node writes of the running process holds no secret', async () => {
  const before = reports();
  broker.kill('SIGUSR2');
  while (reports().length === before.length) await new Promise((resolve) => setImmediate(resolve));
  await call('static', 'plain');
  clean('with a report');
});

for (const [what, signal] of [
  ['an exception that nobody catches', 'SIGHUP'],
  ['a rejection that nobody handles', 'SIGWINCH'],
] as const) {
  test(`${what}, with every secret in it, is written without them`, async () => {
    if (broker.exitCode === null) await restart('SIGTERM');
    else await start();
    const since = outside.minted.length;
    for (const name of names()) await call(name, 'plain');
    writeFileSync(join(root, 'secrets/all.json'), JSON.stringify(live(since).map(({ secret }) => secret)));
    const from = written.length;
    broker.kill(signal);
    assert.equal(await ended(), 1);
    assert.match(written.slice(from), /it broke over .*\[redacted\]/s, 'control: that it broke is said');
    clean(what);
  });
}

test('control: without the broker’s care Node writes both, on standard error and in its report', async () => {
  writeFileSync(join(root, 'secrets/all.json'), JSON.stringify([cast.environment['CANARY_STATIC']]));
  const folder = mkdtempSync(join(root, 'secrets/control-'));
  const options = { ...environment(), NODE_OPTIONS: nodeOptions(folder), CANARY_BREAKS: 'at once' };
  const args = ['-e', 'setTimeout(() => undefined, 60_000)'];
  const broken = promisify(execFile)(process.execPath, args, { env: options });
  const { stderr } = await broken.then(
    () => ({ stderr: '' }),
    (error: { stderr: string }) => error,
  );
  const planted = cast.planted.filter(({ name }) => name === 'static');
  assert.ok(leaksIn(Buffer.from(stderr), planted).length > 0);
  const [report] = readdirSync(folder);
  assert.ok(leaksIn(readFileSync(join(folder, report!)), planted).length > 0);
});

test('a process that is killed in the middle of calls leaves no secret behind', async () => {
  await start();
  const calls = names().map((name) => call(name, 'late').catch(() => ''));
  await call('static', 'plain');
  broker.kill('SIGKILL');
  await ended();
  await Promise.all(calls);
  clean('after a kill');
  await start();
  clean('after the start that follows');
});

test('options of Node that write memory into files keep the broker from starting', async () => {
  for (const option of ['--heapsnapshot-near-heap-limit=2', '--heapsnapshot-signal=SIGUSR2']) {
    const args = [PROGRAM, 'serve', '--bundle', join(root, 'bundle')];
    const env = { ...environment(), NODE_OPTIONS: option };
    const told = await promisify(execFile)(process.execPath, args, { env }).then(
      () => ({ code: 0, stderr: '' }),
      (error: { code: number; stderr: string }) => error,
    );
    assert.equal(told.code, 2, option);
    assert.match(told.stderr, /writes every secret in memory/);
  }
});

function names(): string[] {
  return Object.entries(connectorsOf('', ''))
    .filter(([, { command }]) => commands || command !== true)
    .map(([name]) => name);
}

function isCommand(name: string): boolean {
  return connectorsOf('', '')[name]!.command === true;
}

/** Everything that must be found nowhere: what was planted, what was minted, and what the broker made for itself. */
function all(): Planted[] {
  const own = ['tokens.pem', 'ledger.pem', 'sealing.keys', 'leases.key'].flatMap((file) => {
    const lines = readFileSync(join(root, 'data/keys', file), 'latin1').split('\n');
    return lines
      .filter((line) => line.length >= 20 && !line.startsWith('-----'))
      .map((secret) => ({ name: file, secret: secret.slice(0, 64) }));
  });
  return [...cast.planted, ...outside.minted, ...own];
}

/** What the broker has read or minted since it started: what it does not know it cannot take out. */
function live(since: number): Planted[] {
  const known = cast.planted.filter(({ name }) => name !== 'first refresh token');
  return [...known, ...outside.minted.slice(since)].filter(({ secret }) => secret.startsWith('CaNaRy'));
}

function clean(when: string): void {
  const planted = all();
  const found = (where: string, bytes: Uint8Array): string[] =>
    leaksIn(bytes, planted).map((leak) => `${where}: ${leak}`);
  const leaks = [
    ...found('written', Buffer.from(written)),
    ...answers.flatMap((answer, at) => found(`answer ${at}`, Buffer.from(answer))),
    ...filesBelow(root).flatMap((path) => found(relative(root, path), readFileSync(path))),
  ];
  assert.deepEqual(leaks, [], when);
  assert.match(written, /serving/, 'control: it wrote something');
  assert.ok(
    filesBelow(root).some((path) => path.endsWith('countersign.db')),
    'control: the store was looked at',
  );
}

/** All but what is there to hold secrets: those planted, and the keys of the broker. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .map((each) => join(each.parentPath, each.name))
    .filter((path) => !path.startsWith(join(root, 'secrets')) && !path.startsWith(join(root, 'data/keys')));
}

function reports(): string[] {
  return readdirSync(join(root, 'cwd')).filter((name) => name.startsWith('report'));
}

function nodeOptions(folder: string): string {
  return `--import ${PRELOAD} --report-uncaught-exception --report-on-fatalerror --report-on-signal --report-directory=${folder}`;
}

function environment(): NodeJS.ProcessEnv {
  const { PATH, HOME } = process.env;
  return {
    ...{ PATH, HOME, TMPDIR: join(root, 'tmp'), CANARY_LIST: join(root, 'secrets/all.json') },
    ...cast.environment,
  };
}

async function start(): Promise<void> {
  const args = [PROGRAM, 'serve', '--bundle', join(root, 'bundle'), '--log-level', 'debug'];
  const env = { ...environment(), NODE_OPTIONS: nodeOptions(join(root, 'cwd')) };
  broker = spawn(process.execPath, args, { cwd: join(root, 'cwd'), env });
  const { promise, resolve } = Promise.withResolvers<string>();
  const from = written.length;
  for (const stream of [broker.stdout!, broker.stderr!])
    stream.on('data', (chunk: Buffer) => {
      written += chunk;
      const serving = /serves at (\S+)/.exec(written.slice(from));
      if (serving !== null) resolve(serving[1]!);
    });
  broker.once('exit', () => resolve(''));
  base = await promise;
  assert.notEqual(base, '', written);
}

async function restart(signal: NodeJS.Signals): Promise<void> {
  broker.kill(signal);
  await ended();
  await start();
}

async function ended(): Promise<number | null> {
  if (broker.exitCode !== null || broker.signalCode !== null) return broker.exitCode;
  const [code] = (await once(broker, 'close')) as [number | null];
  return code;
}

async function tokenOf(name: string, resource = 'v1'): Promise<string> {
  const client_assertion = await assertion(name, keys.get(name)!, base);
  cast.planted.push({ name: `assertion of ${name}`, secret: client_assertion.split('.')[2]! });
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion,
    resource: `${base}/${resource}`,
  });
  const answer = await fetch(`${base}/oauth/token`, { method: 'POST', body: form });
  const { access_token } = (await answer.json()) as { access_token: string };
  cast.planted.push({ name: `token of ${name}`, secret: access_token.split('.')[2]! });
  return access_token;
}

const tokens = new Map<string, Promise<string>>();

async function send(
  as: string,
  method: string,
  path: string,
  body?: JsonObject,
  headers: Record<string, string> = {},
  resource = 'v1',
): Promise<string> {
  const key = `${base} ${as} ${resource}`;
  const token = tokens.get(key) ?? tokenOf(as, resource);
  tokens.set(key, token);
  const answer = await fetch(`${base}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${await token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = JSON.stringify([...answer.headers]) + (await answer.text());
  answers.push(text);
  return text;
}

function call(connector: string, how: string): Promise<string> {
  return send('bot', 'POST', '/v1/calls', { tool: toolOf(connector), args: { how } });
}

function callMcp(how: string): Promise<string> {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const name = toolOf('static');
  const params = { name, arguments: { how }, _meta };
  const headers = {
    ...{ accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2026-07-28' },
    ...{ 'mcp-method': 'tools/call', 'mcp-name': name },
  };
  return send('bot', 'POST', '/mcp', { jsonrpc: '2.0', id: 1, method: 'tools/call', params }, headers, 'mcp');
}

/** By the command, as a person does it. */
async function setSecret(name: string, value: string): Promise<void> {
  const key = join(root, 'secrets/olga.jwk');
  writeFileSync(key, JSON.stringify(keys.get('olga')!.export({ format: 'jwk' })), { mode: 0o600 });
  const args = [PROGRAM, 'secrets', 'set', name, '--url', base, '--as', 'olga', '--key', key];
  const setting = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  for (const stream of [setting.stdout!, setting.stderr!])
    stream.on('data', (chunk: Buffer) => {
      written += chunk;
    });
  setting.stdin!.end(`${value}\n`);
  const [code] = (await once(setting, 'close')) as [number];
  assert.equal(code, 0, written);
}
