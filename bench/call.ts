// The bench of one call: the same tool called directly, through a bare SDK proxy and through Countersign with
// everything on, in alternating rounds of one run. `--without-broker` leaves the governed side out.
import { availableParallelism, cpus } from 'node:os';
import { checkLedger, type LedgerCheck } from './check-ledger.ts';
import { type Load, load, type Measured, type Target } from './load.ts';
import { type FsyncFloor, measureFsync } from './measure-fsync.ts';
import { medianOf, writeResult } from './report.ts';
import { runBench } from './run-bench.ts';
import { type Governed, startBroker } from './start-broker.ts';
import { type Running, startServer } from './start-process.ts';

const ROUNDS = 5;
/** Targets of the design: throughput against the SDK proxy at 64 callers, time added for one idle caller. */
const MIN_RATIO = 6;
const MAX_ADDED_P50_MS = 1;

/** Calls per round. The proxy gets fewer because it takes so much longer; every count is fixed. */
const LOADS: Readonly<Record<string, { readonly idle: Load; readonly busy: Load }>> = {
  direct: {
    idle: { callers: 1, requests: 1000, warmup: 100 },
    busy: { callers: 64, requests: 20_000, warmup: 2000 },
  },
  'sdk-proxy': {
    idle: { callers: 1, requests: 1000, warmup: 100 },
    busy: { callers: 64, requests: 3000, warmup: 300 },
  },
  countersign: {
    idle: { callers: 1, requests: 1000, warmup: 100 },
    busy: { callers: 64, requests: 15_000, warmup: 2000 },
  },
};

interface Round {
  readonly idle: Measured;
  readonly busy: Measured;
}

const withBroker = !process.argv.includes('--without-broker');
await runBench(run);

async function run(root: string, started: Running[]): Promise<void> {
  const upstream = await startServer('upstream.ts', []);
  started.push(upstream);
  const url = mcpUrl(upstream.port);
  const proxy = await startServer('sdk-proxy.ts', [url.href]);
  started.push(proxy);
  const targets: Target[] = [
    { name: 'direct', url, authorization: null, pid: upstream.pid },
    { name: 'sdk-proxy', url: mcpUrl(proxy.port), authorization: null, pid: proxy.pid },
  ];
  let governed: Governed | null = null;
  if (withBroker) {
    governed = await startBroker(root, url);
    started.push(governed.running);
    targets.push(governed.target);
  }
  const floor = measureFsync(root, 500);
  const rounds = await alternate(targets);
  let ledger: LedgerCheck | null = null;
  if (governed !== null) {
    await governed.running.stop();
    ledger = await checkLedger(governed.bundle.dataDir, callsMade('countersign'));
  }
  report(rounds, floor, ledger);
}

function mcpUrl(port: number): URL {
  return new URL(`http://127.0.0.1:${port}/mcp`);
}

/** Warms every target up, then measures them in turn, so that a noisy minute hits all of them. */
async function alternate(targets: readonly Target[]): Promise<ReadonlyMap<string, readonly Round[]>> {
  for (const target of targets) await load(target, LOADS[target.name]!.busy);
  const rounds = new Map<string, Round[]>(targets.map(({ name }) => [name, []]));
  for (let round = 1; round <= ROUNDS; round++) {
    for (const target of targets) {
      const { idle, busy } = LOADS[target.name]!;
      const measured = { idle: await load(target, idle), busy: await load(target, busy) };
      rounds.get(target.name)!.push(measured);
      process.stderr.write(
        `round ${round} ${target.name}: ${measured.busy.rate_per_s.toFixed(0)}/s, idle ${measured.idle.p50_ms.toFixed(3)} ms\n`,
      );
    }
  }
  return rounds;
}

/** Calls of the whole run to one target, warm-ups included. */
function callsMade(name: string): number {
  const { idle, busy } = LOADS[name]!;
  const perBusy = busy.requests + busy.warmup;
  return perBusy + ROUNDS * (idle.requests + idle.warmup + perBusy);
}

function report(
  rounds: ReadonlyMap<string, readonly Round[]>,
  floor: FsyncFloor,
  ledger: LedgerCheck | null,
): void {
  const medians = new Map([...rounds].map(([name, all]) => [name, medianRound(all)]));
  console.log(`median of ${ROUNDS} alternating rounds, Node ${process.version}`);
  console.log(
    `${availableParallelism()} processors (${cpus()[0]?.model.trim()}), shared by load generator, upstream and the process measured; nothing is pinned`,
  );
  console.log(
    `fsync floor of this disk: p50 ${floor.p50_ms.toFixed(3)} ms, p99 ${floor.p99_ms.toFixed(3)} ms\n`,
  );
  console.log(table(medians));
  const verdict = judge(medians, ledger);
  for (const line of verdict.lines) console.log(line);
  writeResult('call', {
    fsync_floor: floor,
    loads: LOADS,
    medians: Object.fromEntries(medians),
    rounds: Object.fromEntries(rounds),
    ledger,
    targets: verdict.targets,
  });
  if (!verdict.holds) process.exitCode = 1;
}

function table(medians: ReadonlyMap<string, Round>): string {
  const head = ['', 'callers', 'calls/s', 'p50 ms', 'p95 ms', 'p99 ms', 'CPU us/call'];
  const rows = [...medians].flatMap(([name, { idle, busy }]) => [row(name, idle), row(name, busy)]);
  const widths = head.map((_, n) => Math.max(...[head, ...rows].map((cells) => cells[n]!.length)));
  return `${[head, ...rows]
    .map((cells) =>
      cells.map((cell, n) => (n === 0 ? cell.padEnd(widths[n]!) : cell.padStart(widths[n]!))).join('  '),
    )
    .join('\n')}\n`;
}

function row(
  name: string,
  { callers, rate_per_s, p50_ms, p95_ms, p99_ms, cpu_us_per_call }: Measured,
): string[] {
  const cpu = cpu_us_per_call === null ? 'n/a' : cpu_us_per_call.toFixed(0);
  return [
    name,
    `${callers}`,
    rate_per_s.toFixed(0),
    p50_ms.toFixed(3),
    p95_ms.toFixed(3),
    p99_ms.toFixed(3),
    cpu,
  ];
}

interface Verdict {
  readonly holds: boolean;
  readonly lines: readonly string[];
  readonly targets: object | null;
}

function judge(medians: ReadonlyMap<string, Round>, ledger: LedgerCheck | null): Verdict {
  const direct = medians.get('direct')!;
  const proxy = medians.get('sdk-proxy')!;
  const governed = medians.get('countersign');
  if (governed === undefined || ledger === null) {
    return {
      holds: true,
      lines: ['countersign was left out (--without-broker): no target is judged'],
      targets: null,
    };
  }
  const ratio = governed.busy.rate_per_s / proxy.busy.rate_per_s;
  const added_p50_ms = governed.idle.p50_ms - direct.idle.p50_ms;
  const ratioHolds = ratio >= MIN_RATIO;
  const addedHolds = added_p50_ms <= MAX_ADDED_P50_MS;
  const lines = [
    `${word(ratioHolds)}  throughput at 64 callers is ${ratio.toFixed(1)} times the SDK proxy's (target: at least ${MIN_RATIO})`,
    `${word(addedHolds)}  one idle caller waits ${added_p50_ms.toFixed(3)} ms longer than directly (target: at most ${MAX_ADDED_P50_MS} ms)`,
    `${word(ledger.holds)}  ${ledger.sentence}`,
  ];
  const targets = { ratio, ratio_min: MIN_RATIO, added_p50_ms, added_p50_max_ms: MAX_ADDED_P50_MS };
  return { holds: ratioHolds && addedHolds && ledger.holds, lines, targets };
}

function word(holds: boolean): string {
  return holds ? 'holds ' : 'MISSED';
}

function medianRound(rounds: readonly Round[]): Round {
  return { idle: medianOf(rounds.map(({ idle }) => idle)), busy: medianOf(rounds.map(({ busy }) => busy)) };
}
