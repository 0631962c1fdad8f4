// A sandbox is ended whole, at whatever moment of its start: nothing of it goes on without the broker.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { whyNoBwrap } from '#connectors/isolation/bwrap.ts';
import { type IsolatedProcess, spawnLaunch } from '#connectors/isolation/spawn-launch.ts';
import { chooseIsolation } from '#connectors/isolation.ts';

const skip = (await whyNoBwrap()) ?? false;
const TRIES = 40;

/** Ends `TRIES` sandboxes at moments of their first milliseconds; answers how many went on, and ends those too. */
async function survivors(end: (child: IsolatedProcess) => void): Promise<number> {
  const marker = `survivor-${process.pid}-${Math.random()}`;
  const program = { command: '/usr/bin/yes', args: [marker], env: {} };
  const isolator = await chooseIsolation(program, { kind: 'bwrap', read: [], write: [] });
  for (let i = 0; i < TRIES; i++) {
    const child = spawnLaunch(await isolator.launch({}, (line) => line));
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.stdin.on('error', () => undefined);
    child.stdout.resume();
    await sleep(i % 10);
    end(child);
    await exited;
    child.stdout.destroy();
    child.stderr.destroy();
  }
  await sleep(200);
  const left = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandOf(pid).includes(marker));
  for (const pid of left) process.kill(Number(pid), 'SIGKILL');
  return left.length;
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

test('nothing of a sandbox is left, whenever it is ended', { skip }, async () => {
  assert.equal(await survivors((child) => child.killWhole()), 0);
});

test('control: ended as any child process is, some go on for ever', { skip }, async () => {
  let left = 0;
  for (let round = 0; round < 10 && left === 0; round++)
    left = await survivors((child) => void child.kill('SIGKILL'));
  assert.ok(left > 0);
});
