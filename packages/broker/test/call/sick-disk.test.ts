// A disk that is full, turns read-only or loses a page: the broker says so, nothing acts, and nothing admitted is lost.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { CallAnswer } from '@countersign/contract/wire.ts';
import { StoreUnavailable } from '#store/tx.ts';
import { verifyLedger } from '#store/verify-ledger.ts';
import { startBroker } from '../../src/main.ts';
import { flipRootPage } from '../store/damage-page.ts';
import { type Desk, FILES, startDesk } from './desk.ts';

const command = join(import.meta.dirname, '../../bin/countersign.js');
const REFUND = { account: 'AC-1', amount_minor: 1 };

/** A file system of its own, and how to treat it. Null, with the reason said, where this machine lets nobody mount one. */
interface Disk {
  readonly folder: string;
  /** Ends it and makes it anew with what it held, as after a repair. */
  mend(): void;
}

function run(...argv: readonly [string, ...string[]]): string | null {
  const [file, ...args] = argv;
  const { status, stderr, error } = spawnSync(file, args, { encoding: 'utf8' });
  return status === 0 ? null : `${argv.join(' ')}: ${error?.message ?? stderr.trim()}`;
}

/** `kind`: tmpfs of a few megabytes, or an ext4 in a file, which can be made to fail as a broken disk makes it. */
function mountDisk(t: TestContext, kind: 'tmpfs' | 'ext4'): Disk | null {
  const base = mkdtempSync(join(tmpdir(), 'countersign-disk-'));
  const folder = join(base, 'disk');
  const image = join(base, 'image');
  mkdirSync(folder);
  const mount = (): string | null =>
    kind === 'tmpfs'
      ? run('mount', '-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', folder)
      : run('mount', '-o', 'loop', image, folder);
  const refused =
    (kind === 'ext4' ? (run('truncate', '-s', '64M', image) ?? run('mkfs.ext4', '-q', image)) : null) ??
    mount();
  if (refused !== null) {
    rmSync(base, { recursive: true });
    t.skip(`this machine cannot make a file system for the test: ${refused}`);
    return null;
  }
  t.after(() => {
    run('umount', folder);
    rmSync(base, { recursive: true, force: true });
  });
  return {
    folder,
    mend() {
      assert.equal(run('umount', folder), null);
      assert.equal(mount(), null);
    },
  };
}

/** A desk whose store lies on the disk. It closes before the disk goes. */
async function deskOn(t: TestContext, folder: string): Promise<{ desk: Desk; runToken: string }> {
  const settings = FILES['countersign.yaml']!.replace('../data', join(folder, 'data'));
  const desk = await startDesk({ 'countersign.yaml': settings });
  t.after(async () => {
    await desk.close().catch(() => undefined);
  });
  const { run_token: runToken } = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
  // While nothing can be written, no token is given either.
  for (const name of ['bot', 'ben'] as const) await desk.token(name);
  await desk.token('bot', { runToken });
  return { desk, runToken };
}

function assertVerifies(desk: Desk, folder: string): void {
  const report = verifyLedger(join(folder, 'data/countersign.db'), desk.broker.world.signer.vkey);
  assert.equal(report.ok, true, JSON.stringify(report.failures));
}

/** Every call of the list is there, with the outcome that its caller was told. */
async function assertKept(desk: Desk, told: readonly CallAnswer[], runToken: string): Promise<void> {
  for (const { call_id, status } of told) {
    const { body } = await desk.show('bot', call_id, runToken);
    assert.equal(body['status'], status, call_id);
  }
}

test('a full disk: calls are turned away, nothing acts, and with room again all that was admitted is there', async (t) => {
  const disk = mountDisk(t, 'tmpfs');
  if (disk === null) return;
  const { desk, runToken } = await deskOn(t, disk.folder);
  const refund = () => desk.call('bot', 'refund', REFUND, { runToken });
  const done = [await refund()];
  assert.equal(done[0]?.status, 'succeeded', 'control: with room it acts');

  // One is admitted and waits for its system, while the disk fills up.
  desk.db.exec('begin immediate');
  const waiting = refund();
  const running = async () =>
    (await desk.send('ben', 'GET', '/v1/calls?status=running')).body as unknown as { calls: CallAnswer[] };
  while ((await running()).calls.length === 0);
  fill(join(disk.folder, 'filler'));
  desk.db.exec('rollback');
  const caught = await waiting;
  let refused = 0;
  for (let n = 0; refused < 5; n++) {
    assert.ok(n < 5_000, 'the disk was never full');
    const before = desk.refunds();
    const answer = await refund();
    if (answer.status === 'succeeded') done.push(answer);
    else if (answer.problem?.code === 'in_doubt') done.push(answer);
    else {
      assert.equal(answer.problem?.code, 'unavailable');
      assert.equal(desk.refunds(), before, 'nothing acts');
      refused++;
    }
  }
  assert.equal((await desk.send(null, 'GET', '/readyz')).status < 500, true, 'it can still be read');

  rmSync(join(disk.folder, 'filler'));
  const after = await refund();
  assert.equal(after.status, 'succeeded', 'it goes on by itself');
  await assertKept(desk, [...done.filter(({ status }) => status === 'succeeded'), after], runToken);
  // What was done and could not be recorded is found out of, or listed as a doubt; it is never lost.
  const { body } = await desk.show('bot', caught.call_id, runToken);
  assert.ok(['succeeded', 'in_doubt'].includes(String(body['status'])), JSON.stringify(body));
  for (const { call_id } of desk.db.prepare('select call_id from refunds').all()) {
    const { body: deed } = await desk.show('bot', String(call_id), runToken);
    assert.ok(['succeeded', 'in_doubt'].includes(String(deed['status'])), `the deed of ${call_id}`);
  }
  await desk.broker.close();
  assertVerifies(desk, disk.folder);
});

test('a file system that turns read-only: calls are turned away, nothing acts, nothing is lost', async (t) => {
  const disk = mountDisk(t, 'ext4');
  if (disk === null) return;
  const { desk, runToken } = await deskOn(t, disk.folder);
  await desk.broker.close();
  // In a process of its own, since losing its disk may end it.
  let child = await serve(t, desk);
  const refund = () =>
    desk.call('bot', 'refund', REFUND, { runToken }).catch((error: Error): CallAnswer => {
      return { status: 'refused', problem: { code: error.message } } as unknown as CallAnswer;
    });
  const done = [await refund(), await refund()];
  assert.deepEqual(
    done.map(({ status }) => status),
    ['succeeded', 'succeeded'],
    'control: it acts',
  );
  assert.equal(run('mount', '-o', 'remount,abort', disk.folder), null);
  for (let n = 0; n < 5; n++) {
    const { problem } = await refund();
    // What SQLite shares between its connections is mapped into memory: a system may end the process for it.
    assert.ok(['unavailable', 'fetch failed'].includes(String(problem?.code)), String(problem?.code));
  }
  assert.equal(desk.refunds(), 2, 'nothing acts');
  await kill(child);
  disk.mend();
  child = await serve(t, desk);
  await assertKept(desk, done, runToken);
  assert.equal((await refund()).status, 'succeeded');
  await kill(child);
  assertVerifies(desk, disk.folder);
});

test('a broker does not start on a read-only file system, and says why', async (t) => {
  const disk = mountDisk(t, 'tmpfs');
  if (disk === null) return;
  const { desk } = await deskOn(t, disk.folder);
  await desk.broker.close();
  assert.equal(run('mount', '-o', 'remount,ro', disk.folder), null);
  const start = () => startBroker({ bundle: join(desk.root, 'bundle'), port: 0, log_level: 'silent' });
  await assert.rejects(
    start(),
    (error: Error) => error instanceof StoreUnavailable && /store .*countersign\.db/.test(error.message),
  );
  assert.equal(run('mount', '-o', 'remount,rw', disk.folder), null);
  await (await start()).close();
});

test('a page that is damaged under a running broker: calls are turned away, nothing acts, mended all is there', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-disk-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { desk, runToken } = await deskOn(t, folder);
  const refund = () => desk.call('bot', 'refund', REFUND, { runToken });
  const done = [await refund(), await refund()];
  assert.equal(desk.refunds(), 2, 'control: it acts');
  const { store } = desk.broker.world;
  // Nothing is remembered of the file, as of any page that was not looked at for a while.
  await store.write((tx) => tx.get('pragma cache_size = 1'));
  await store.read((tx) => tx.get('pragma cache_size = 1'));
  await store.emptyLog();
  const file = join(folder, 'data/countersign.db');
  flipRootPage(file, 'calls');
  for (let n = 0; n < 3; n++) assert.equal((await refund()).problem?.code, 'unavailable');
  assert.equal(desk.refunds(), 2, 'nothing acts');
  assert.equal((await desk.send(null, 'GET', '/readyz')).status, 503, 'and nobody is sent to it');
  await desk.broker.close();
  const start = () => startBroker({ bundle: join(desk.root, 'bundle'), port: 0, log_level: 'silent' });
  await assert.rejects(start(), /is damaged .*restore a backup/);
  flipRootPage(file, 'calls');
  await desk.restart();
  await assertKept(desk, done, runToken);
  assert.equal((await refund()).status, 'succeeded');
  await desk.broker.close();
  assertVerifies(desk, folder);
});

/** Writes until the disk takes no more. */
function fill(file: string): void {
  const fd = openSync(file, 'w');
  for (let bytes = 65_536; bytes >= 1; bytes /= 16) {
    try {
      for (;;) writeSync(fd, Buffer.alloc(bytes));
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
    }
  }
  closeSync(fd);
  assert.ok(existsSync(file) && statSync(file).size > 0);
}

/** A broker in a process of its own, on the address that the tokens name. */
async function serve(t: TestContext, desk: Desk): Promise<ChildProcess> {
  const { port } = new URL(desk.url);
  const args = ['serve', '--bundle', join(desk.root, 'bundle'), '--port', port, '--log-level', 'silent'];
  const child = spawn(process.execPath, [command, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => kill(child));
  await once(child.stdout!, 'data');
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
