// The command connector with real programs under real bubblewrap: arguments stay values, answers are classified.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { JsonObject } from '@countersign/contract/json.ts';
import fc from 'fast-check';
import type { ConnectorSpec } from '#bundle/bundle.ts';
import { splitCommand } from '#bundle/program-connectors.ts';
import { fillArguments } from '#connectors/command/fill-arguments.ts';
import type { Attempt, Connector, Reply } from '#connectors/connector.ts';
import { createConnector } from '#connectors/create-connector.ts';
import { findBwrap, whyNoBwrap } from '#connectors/isolation/bwrap.ts';
import { attemptOf, responseOf, testDeps, toolOf, withConnector } from './fixture.ts';

const noBwrap = await whyNoBwrap();
if (noBwrap !== null) console.error(`SKIPPED: commands did not run: ${noBwrap}`);
const skip = noBwrap ?? false;

function commandSpec(command: string, more: JsonObject = {}): ConnectorSpec {
  return { name: 'tools', kind: 'command', owner: 'ops', options: { command, ...more }, credential: null };
}

/** As the walk does it: the template is parted, then filled; here the leaves are filled already. */
function attemptWith(bind: JsonObject, filled: JsonObject, more: Partial<Attempt> = {}): Attempt {
  const { operation, inputs } = splitCommand(bind);
  return attemptOf(operation, { ...inputs, ...filled }, more);
}

async function run(
  command: string,
  bind: JsonObject,
  filled: JsonObject = {},
  more: Partial<Attempt> = {},
  options: JsonObject = {},
): Promise<Reply> {
  const connector = await createConnector(commandSpec(command, options), testDeps());
  return withConnector(connector, (each: Connector) => each.attempt(attemptWith(bind, filled, more)));
}

test('a command answers its exit code and what it wrote, or the JSON that it wrote', { skip }, async () => {
  const echo = { argv: ['%s|%s\n', '=args.a', '=args.b'] };
  const reply = await run('/usr/bin/printf', echo, { argv: ['%s|%s\n', '$(id) `id` ; id', '* > /tmp/x'] });
  assert.deepEqual(responseOf(reply), { exit_code: 0, stdout: '$(id) `id` ; id|* > /tmp/x\n', stderr: '' });
  const json = await run(
    '/usr/bin/cat',
    { argv: [], stdin: '=args.text', output: 'json' },
    { stdin: '{"a": [1]}' },
  );
  assert.deepEqual(responseOf(json), { a: [1] });
  const no = await run('/usr/bin/cat', { argv: [], output: 'json' });
  assert.deepEqual(no, { kind: 'rejected', reason: 'its output is not JSON' });
});

test('an exit code that is not listed is a refusal with what it said, and a listed one is not', {
  skip,
}, async () => {
  const missing = { argv: ['/nowhere'] };
  const reply = await run('/usr/bin/ls', missing, {}, { mode: 'write' });
  assert.equal(reply.kind, 'rejected');
  const detail = (reply as unknown as { detail: { exit_code: number; stderr: string } }).detail;
  assert.equal(detail.exit_code, 2);
  assert.match(detail.stderr, /nowhere/);
  assert.equal((await run('/usr/bin/ls', { ...missing, ok_codes: [0, 2] })).kind, 'ok');
});

test('a value is never an option, unless the manifest ended the options before it', { skip }, async () => {
  const bind = { argv: ['=args.path'] };
  const refused = await run('/usr/bin/ls', bind, { argv: ['--version'] });
  assert.match((refused as { reason: string }).reason, /read as an option/);
  const after = { argv: ['--', '=args.path'] };
  const reply = await run('/usr/bin/ls', after, { argv: ['--', '--version'] });
  assert.match(JSON.stringify(reply), /cannot access '--version'/);
  // Control: as a literal of the manifest the same text is an option.
  const literal = await run('/usr/bin/ls', { argv: ['--version'] });
  assert.match((responseOf(literal) as { stdout: string }).stdout, /coreutils/);
  const zero = await run('/usr/bin/ls', after, { argv: ['--', 'a\0b'] });
  assert.match((zero as { reason: string }).reason, /zero character/);
});

test('no filled value becomes an option before a literal "--"', () => {
  const value = fc.oneof(
    fc.string(),
    fc.string().map((text) => `-${text}`),
    fc.constant('--'),
    fc.integer(),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(value, fc.boolean()), { maxLength: 6 }), (items) => {
      const filled = fillArguments(
        items.map(([each]) => each),
        items.map(([, isValue]) => isValue),
      );
      if (typeof filled === 'string') return;
      const end = items.findIndex(([each, isValue]) => each === '--' && !isValue);
      filled.forEach((text, index) => {
        const isValue = items[index]?.[1] === true;
        assert.ok(!isValue || !text.startsWith('-') || (end !== -1 && end < index));
      });
    }),
    { numRuns: 500 },
  );
});

test('time, output and closing end a command: a write is then in doubt, a read is not', {
  skip,
}, async () => {
  const slow = await run('/usr/bin/sleep', { argv: ['30'] }, {}, { mode: 'write', timeout_ms: 300 });
  assert.deepEqual(slow, { kind: 'unknown', reason: 'no answer in time', timed_out: true });
  const endless = { argv: ['x'] };
  for (const [mode, kind] of [
    ['read', 'rejected'],
    ['write', 'unknown'],
  ] as const) {
    const reply = await run('/usr/bin/yes', endless, {}, { mode }, { output_bytes: 1000 });
    assert.equal(reply.kind, kind);
    assert.match((reply as { reason: string }).reason, /more than 1000 bytes to stdout/);
  }
  const connector = await createConnector(commandSpec('/usr/bin/sleep'), testDeps());
  const running = connector.attempt(attemptWith({ argv: ['30'] }, {}, { mode: 'write' }));
  await new Promise((resolve) => setImmediate(resolve));
  await connector.close();
  assert.equal((await running).kind, 'unknown');
  assert.equal((await connector.attempt(attemptWith({ argv: ['0'] }, {}))).kind, 'not_sent');
});

test('listed paths are there, writable for writes only; the secret is in the environment and in no answer', {
  skip,
}, async () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-command-')));
  const file = join(folder, 'note');
  writeFileSync(file, 'old');
  try {
    const options = { isolation: { kind: 'bwrap', write: [folder] } };
    const tee = { argv: ['--', file], stdin: 'new' };
    const asRead = await run('/usr/bin/tee', tee, {}, {}, options);
    assert.match(JSON.stringify(asRead), /Read-only file system/);
    assert.equal(readFileSync(file, 'utf8'), 'old');
    assert.equal((await run('/usr/bin/tee', tee, {}, { mode: 'write' }, options)).kind, 'ok');
    assert.equal(readFileSync(file, 'utf8'), 'new');
    const credential = {
      id: 'c',
      expires_at_ms: null,
      scope: null,
      inject: { env: { TOKEN: 'very-secret' } },
      secrets: ['very-secret'],
    };
    const env = await run('/usr/bin/env', { argv: [] }, {}, { credential }, { env: { PLAIN: 'yes' } });
    const { stdout } = responseOf(env) as { stdout: string };
    assert.deepEqual(
      stdout
        .split('\n')
        .filter((line) => !/^(PWD|$)/.test(line))
        .sort(),
      ['PLAIN=yes', 'TOKEN=[redacted]'],
    );
    const protect = testDeps({ protect: [folder] });
    await assert.rejects(createConnector(commandSpec('/usr/bin/tee', options), protect), /no tool may reach/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('wrong options and wrong operations are refused with what was expected', { skip }, async () => {
  const refused = (command: string, more: JsonObject, expected: RegExp): Promise<void> =>
    assert.rejects(createConnector(commandSpec(command, more), testDeps()), expected);
  await refused('ls', {}, /path of a program/);
  await refused('/nowhere/at-all', {}, /does not exist/);
  await refused('/usr/bin/ls', { shell: true }, /unknown key "shell"/);
  await refused('/usr/bin/ls', { isolation: { kind: 'none', reason: 'x' } }, /isolation kind must be bwrap/);
  await refused('/usr/bin/ls', { env: { LD_PRELOAD: '/x.so' } }, /LD_PRELOAD is not allowed/);
  await refused('/usr/bin/ls', { limits: { memory: 1 } }, /unknown limit "memory"/);
  const connector = await createConnector(commandSpec('/usr/bin/ls'), testDeps());
  await withConnector(connector, async () => {
    const drift = connector.drift(toolOf({ output: 'xml', values: [] }));
    assert.equal(drift?.reason, 'output must be text or json');
  });
});

test('where bubblewrap does not work the connector says so and does not start', { skip }, () => {
  const code = `
    import { createConnector } from '#connectors/create-connector.ts';
    import { testDeps } from './test/connectors/fixture.ts';
    const spec = { name: 'tools', kind: 'command', owner: 'ops', options: { command: '/usr/bin/ls' }, credential: null };
    await createConnector(spec, testDeps()).then(() => console.log('started'), (error) => console.log(error.message));`;
  const broker = fileURLToPath(new URL('../..', import.meta.url));
  const run = (hide: readonly string[]): string =>
    execFileSync(
      findBwrap() ?? '',
      [
        '--dev-bind',
        '/',
        '/',
        ...hide,
        '--chdir',
        broker,
        process.execPath,
        '--input-type=module',
        '-e',
        code,
      ],
      { encoding: 'utf8' },
    );
  const hidden = run(['--ro-bind', '/dev/null', findBwrap() ?? '']);
  assert.match(hidden, /connector tools: isolation bwrap does not work here: bubblewrap/);
  // Control: with bubblewrap in its place the same program starts the connector.
  assert.equal(run([]), 'started\n');
});
