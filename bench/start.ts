// How long the broker takes from its start to serving the demo's bundle, and what it holds when idle.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { setUpDesk } from '../demo/set-up-desk.ts';
import { startBroker } from '../demo/start-broker.ts';

const ROUNDS = 5;
const READY_TARGET_MS = 1500;
const MEMORY_TARGET_MIB = 150;
/** Long enough for what starting leaves behind to be collected. */
const IDLE_MS = 3000;

/** Resident set of a process in MiB, from the kernel's own count. */
function residentMib(pid: number): number {
  const line = readFileSync(`/proc/${pid}/status`, 'utf8').match(/^VmRSS:\s+(\d+) kB$/m);
  return Number(line?.[1] ?? Number.NaN) / 1024;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

const ready_ms: number[] = [];
const memory_mib: number[] = [];
for (let round = 0; round < ROUNDS; round++) {
  const desk = setUpDesk();
  const started = performance.now();
  const broker = await startBroker(desk);
  const answer = await fetch(`${broker.url}/readyz`);
  if (!answer.ok) throw new Error(`not ready: ${answer.status}`);
  ready_ms.push(performance.now() - started);
  await pause(IDLE_MS);
  memory_mib.push(residentMib(broker.pid));
  await broker.stop();
  desk.remove();
}

const result = {
  rounds: ROUNDS,
  ready_ms: Math.round(median(ready_ms)),
  worst_ready_ms: Math.round(Math.max(...ready_ms)),
  idle_memory_mib: Math.round(median(memory_mib)),
};
const holds = result.ready_ms < READY_TARGET_MS && result.idle_memory_mib < MEMORY_TARGET_MIB;
mkdirSync(new URL('./results/', import.meta.url), { recursive: true });
writeFileSync(new URL('./results/start.json', import.meta.url), `${JSON.stringify(result, null, 2)}\n`);
process.stdout.write(
  `start to ready: ${result.ready_ms} ms (worst ${result.worst_ready_ms}; target < ${READY_TARGET_MS})\n` +
    `idle memory of the broker's process: ${result.idle_memory_mib} MiB (target < ${MEMORY_TARGET_MIB})\n` +
    `${holds ? 'holds' : 'MISSED'}\n`,
);
process.exitCode = holds ? 0 : 1;
