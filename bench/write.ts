// The bench of the write path: what a write costs over a read of the same upstream, and both under faults in a tenth of
// the upstream's requests against the same without them, in alternating rounds of one run. `--seed N` chooses the faults.
import { checkLedger } from './check-ledger.ts';
import { type Load, load, type Measured } from './load.ts';
import { medianOf, printTable, writeResult } from './report.ts';
import { runBench } from './run-bench.ts';
import type { Counted } from './shop.ts';
import { shopFiles } from './shop-bundle.ts';
import { addNote, lookUpOrder, type Tally } from './shop-calls.ts';
import { startBroker } from './start-broker.ts';
import { type Running, startServer } from './start-process.ts';

const ROUNDS = 3;
const SHARE = 0.1;
const LOAD: Load = { callers: 64, requests: 2_000, warmup: 200 };
/** A broker that has just started is slower; nothing of this is timed. */
const WARM_UP: Load = { callers: 64, requests: 1, warmup: 2_000 };
const seed = Number(process.argv[process.argv.indexOf('--seed') + 1]) || 1;

await runBench(run);

async function run(root: string, started: Running[]): Promise<void> {
  const upstream = await startServer('write-upstream.ts', [`${seed}`]);
  started.push(upstream);
  const url = new URL(`http://127.0.0.1:${upstream.port}`);
  const governed = await startBroker(root, url, shopFiles(upstream.port));
  started.push(governed.running);
  const warm: Tally = {};
  const tallies = new Map<string, Tally>([['write, warm-up', warm]]);
  const measured = new Map<string, Measured[]>();
  await load(governed.target, WARM_UP, lookUpOrder({}, false));
  await load(governed.target, WARM_UP, addNote(warm, false));
  for (let round = 1; round <= ROUNDS; round++) {
    for (const [name, share, question] of [
      ['read', 0, lookUpOrder],
      ['write', 0, addNote],
      ['read, faults', SHARE, lookUpOrder],
      ['write, faults', SHARE, addNote],
    ] as const) {
      await setFaults(url, share);
      const tally = tallies.get(name) ?? {};
      tallies.set(name, tally);
      const took = await load(governed.target, LOAD, question(tally, share > 0));
      measured.set(name, [...(measured.get(name) ?? []), took]);
      process.stderr.write(`round ${round} ${name}: ${took.rate_per_s.toFixed(0)}/s\n`);
    }
  }
  await setFaults(url, 0);
  await governed.running.stop();
  const counted = (await (await fetch(new URL('/counted', url))).json()) as Counted;
  const calls = 2 * (WARM_UP.requests + WARM_UP.warmup) + ROUNDS * 4 * (LOAD.requests + LOAD.warmup);
  report(measured, tallies, counted, await checkLedger(governed.bundle.dataDir, calls));
}

async function setFaults(url: URL, share: number): Promise<void> {
  const answered = await fetch(new URL('/faults', url), { method: 'POST', body: JSON.stringify({ share }) });
  if (!answered.ok) throw new Error(`the upstream answered ${answered.status}`);
}

function report(
  measured: ReadonlyMap<string, readonly Measured[]>,
  tallies: ReadonlyMap<string, Tally>,
  counted: Counted,
  ledger: Awaited<ReturnType<typeof checkLedger>>,
): void {
  const medians = new Map([...measured].map(([name, all]) => [name, medianOf(all)]));
  printTable(`reads and writes of one upstream, median of ${ROUNDS} alternating rounds`, medians);
  for (const [name, tally] of tallies) console.log(`${name}: ${JSON.stringify(tally)}`);
  const rate = (name: string): number => medians.get(name)!.rate_per_s;
  const cpu = (name: string): number => medians.get(name)!.cpu_us_per_call ?? Number.NaN;
  const ratios = {
    read_to_write: rate('read') / rate('write'),
    write_cpu_to_read_cpu: cpu('write') / cpu('read'),
    faulty_reads_to_reads: rate('read, faults') / rate('read'),
    faulty_writes_to_writes: rate('write, faults') / rate('write'),
  };
  console.log(
    `a write costs ${ratios.read_to_write.toFixed(2)} times a read by throughput, ${ratios.write_cpu_to_read_cpu.toFixed(2)} times by processor time (two requests upstream: the deed and its read-back)`,
  );
  console.log(
    `with faults in ${SHARE * 100} % of the upstream's requests (seed ${seed}; ${counted.faults} of ${counted.requests} in all): ` +
      `reads at ${percent(ratios.faulty_reads_to_reads)}, writes at ${percent(ratios.faulty_writes_to_writes)} of their speed without`,
  );
  const writes = [...tallies].flatMap(([name, tally]) => (name.startsWith('write') ? [tally] : []));
  const succeeded = writes.reduce((sum, tally) => sum + (tally.succeeded ?? 0), 0);
  const asked = writes.flatMap((tally) => Object.values(tally)).reduce((sum, count) => sum + count, 0);
  const once = counted.notes === counted.keys;
  const there = counted.notes >= succeeded && counted.notes <= asked;
  const recorded = ledger.admitted === ledger.calls && ledger.verified;
  console.log(`${word(once)}  ${counted.notes} notes for ${counted.keys} keys: no deed was done twice`);
  console.log(`${word(there)}  ${succeeded} of ${asked} writes succeeded; ${counted.notes} notes are there`);
  console.log(`${word(recorded)}  ${ledger.sentence}`);
  writeResult('write', {
    ...{ rounds: ROUNDS, load: LOAD, share: SHARE, seed, ratios, counted, ledger },
    medians: Object.fromEntries(medians),
    all: Object.fromEntries(measured),
    tallies: Object.fromEntries(tallies),
  });
  if (!once || !there || !recorded) process.exitCode = 1;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

function word(holds: boolean): string {
  return holds ? 'holds ' : 'MISSED';
}
