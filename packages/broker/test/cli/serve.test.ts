// The command that serves, as a process: it ends when it is told to, whoever started it and whatever that one keeps open.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Desk, startDesk } from '../call/desk.ts';

const COMMAND = join(import.meta.dirname, '../../bin/countersign.js');

let desk: Desk;
before(async () => {
  desk = await startDesk();
  await desk.broker.close();
});
after(() => desk.db.close());

async function serve(): Promise<ChildProcess> {
  const args = ['serve', '--bundle', join(desk.root, 'bundle'), '--port', '0', '--log-level', 'silent'];
  const child = spawn(process.execPath, [COMMAND, ...args, '--until-input-ends'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(child.stdout!, 'data');
  return child;
}

test('a broker that also stops with its input stops on a signal while that input stays open', async () => {
  const child = await serve();
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  assert.deepEqual(await exit, [0, null]);
});

test('control: it stops when its input ends', async () => {
  const child = await serve();
  const exit = once(child, 'exit');
  child.stdin!.end();
  assert.deepEqual(await exit, [0, null]);
});
