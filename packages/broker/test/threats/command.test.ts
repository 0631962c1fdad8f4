// Threat: a command is hostile (or was fed something hostile) and reaches for files, network, processes and memory.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ConnectorSpec } from '#bundle/bundle.ts';
import { createConnector } from '#connectors/create-connector.ts';
import { whyNoBwrap } from '#connectors/isolation/bwrap.ts';
import { attemptOf, testDeps, withConnector } from '../connectors/fixture.ts';

const SCRIPT = fileURLToPath(new URL('./fixture-hostile-command.bash', import.meta.url));
const BASH = '/bin/bash';
const noBwrap = (await whyNoBwrap()) ?? (existsSync(BASH) ? null : 'there is no bash here');
if (noBwrap !== null) console.error(`SKIPPED: hostile commands did not run: ${noBwrap}`);
const skip = noBwrap ?? false;

const ATTACKS = [
  'read a secret file',
  'read the environment of the broker',
  'see the environment that the broker has',
  'write elsewhere',
  'write where only others should',
  'open a host',
  'send a datagram',
  'signal the broker',
  'start another process',
  'fork',
  'fill memory',
  'fill a file',
  'fill shared memory',
  'make a memory file',
  'map shared memory',
  'burn the processor',
  'fill output',
];
/** Nothing of it leaves the sandbox, which has only itself for a network. */
const HARMLESS = ['send a datagram'];
/** What the control cannot show: the machine's own rights stop it, or the environment is empty in the control too. */
const NOT_IN_CONTROL = process.getuid?.() === 0 ? [] : ['write where only others should'];

interface Stage {
  readonly folder: string;
  readonly script: string;
  readonly args: readonly string[];
}

/** A store with a secret, a listener, and a copy of the script in a folder of its own. */
async function withStage(work: (stage: Stage) => Promise<void>): Promise<void> {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-threat-')));
  const [store, code] = [join(base, 'store'), join(base, 'code')];
  for (const folder of [store, code]) mkdirSync(folder);
  const script = join(code, 'attack.bash');
  copyFileSync(SCRIPT, script);
  writeFileSync(join(store, 'key'), 'secret\n');
  const listener = createServer((socket) => socket.on('error', () => undefined).end());
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;
  process.env['COUNTERSIGN_TEST_SECRET'] = 'broker-only';
  try {
    await work({
      folder: base,
      script,
      args: [join(store, 'key'), store, String(port), String(process.pid)],
    });
  } finally {
    delete process.env['COUNTERSIGN_TEST_SECRET'];
    listener.close();
    for (const path of [base, '/usr/bin/planted-by-countersign-test', '/dev/shm/countersign-filled'])
      rmSync(path, { recursive: true, force: true });
  }
}

function hostileSpec({ script }: Stage): ConnectorSpec {
  const options = {
    command: BASH,
    args: [script],
    isolation: { read: [join(script, '..')] },
    limits: { cpu_s: 1, memory_mb: 256, file_mb: 16 },
    output_bytes: 10_000,
  };
  return { name: 'hostile', kind: 'command', owner: 'ops', options, credential: null };
}

test('in its sandbox a hostile command reaches nothing and fills nothing', { skip }, async () => {
  await withStage(async (stage) => {
    const connector = await createConnector(
      hostileSpec(stage),
      testDeps({ protect: [join(stage.folder, 'store')] }),
    );
    await withConnector(connector, async () => {
      for (const attack of ATTACKS.filter((each) => !HARMLESS.includes(each))) {
        const argv = [attack, ...stage.args];
        const operation = { values: argv.map(() => false), ok_codes: [0, 1, 2] };
        const reply = await connector.attempt(attemptOf(operation, { argv }, { timeout_ms: 20_000 }));
        assert.ok(!JSON.stringify(reply).includes('GOT'), `${attack}: ${JSON.stringify(reply)}`);
      }
      assert.equal(existsSync(join(stage.folder, 'store', 'planted')), false);
    });
  });
});

test('control: started directly the same command does all of it', { skip }, async () => {
  await withStage(async ({ script, folder, args }) => {
    for (const attack of ATTACKS.filter((each) => !NOT_IN_CONTROL.includes(each))) {
      const options = { env: { ...process.env, TMPDIR: folder }, maxBuffer: 100e6 };
      const output = await new Promise<string>((resolve) => {
        execFile(BASH, [script, attack, ...args], options, (_error, out, err) => resolve(out + err));
      });
      assert.match(output, /GOT/, `${attack} should work without a sandbox: ${output}`);
    }
  });
});

test('a command that may start processes still leaves none behind', { skip, timeout: 20_000 }, async () => {
  await withStage(async (stage) => {
    const spec = hostileSpec(stage);
    const options = {
      ...spec.options,
      command: BASH,
      args: ['-c', `/usr/bin/sleep ${LONG} & echo started; exec /usr/bin/sleep ${LONG}`],
    };
    const many = { ...spec, options: { ...options, limits: { processes: 'many' } } };
    const connector = await createConnector(many, testDeps());
    await withConnector(connector, async () => {
      const attempt = attemptOf({ values: [] }, { argv: [] }, { timeout_ms: 2_000, mode: 'write' });
      const reply = connector.attempt(attempt);
      // Control: while it runs, both are there to be found.
      while ((await sleepers()).split('\n').length < 3);
      assert.deepEqual(await reply, { kind: 'unknown', reason: 'no answer in time', timed_out: true });
      // The kernel ends the sandbox with its first process; the test's own timeout bounds the wait for that.
      while ((await sleepers()) !== '');
    });
  });
});

/** No other program on the machine waits for exactly this long. */
const LONG = `${process.pid}.40713`;

function sleepers(): Promise<string> {
  return new Promise((resolve) => {
    execFile('/usr/bin/pgrep', ['-f', `^/usr/bin/sleep ${LONG}`], (_error, out) => resolve(out));
  });
}
