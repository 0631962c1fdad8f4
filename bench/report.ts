// What the smaller benches share: medians over rounds, the table, the file of results.
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import type { Measured } from './load.ts';

export const results = new URL('results/', import.meta.url).pathname;
mkdirSync(results, { recursive: true });

/** The median of each figure by itself. */
export function medianOf(all: readonly Measured[]): Measured {
  const middle = (figure: (measured: Measured) => number): number =>
    all.map(figure).sort((a, b) => a - b)[Math.floor(all.length / 2)]!;
  const first = all[0]!;
  return {
    callers: first.callers,
    requests: first.requests,
    rate_per_s: middle(({ rate_per_s }) => rate_per_s),
    p50_ms: middle(({ p50_ms }) => p50_ms),
    p95_ms: middle(({ p95_ms }) => p95_ms),
    p99_ms: middle(({ p99_ms }) => p99_ms),
    cpu_us_per_call:
      first.cpu_us_per_call === null ? null : middle(({ cpu_us_per_call }) => cpu_us_per_call ?? 0),
  };
}

/** Prints one line for each target, in the order given. */
export function printTable(title: string, medians: ReadonlyMap<string, Measured>): void {
  console.log(
    `${title}, Node ${process.version}, ${availableParallelism()} processors (${cpus()[0]?.model.trim()})`,
  );
  const width = Math.max(...[...medians.keys()].map((name) => name.length));
  for (const [name, { callers, rate_per_s, p50_ms, p99_ms, cpu_us_per_call }] of medians) {
    const cpu = cpu_us_per_call === null ? 'n/a' : cpu_us_per_call.toFixed(0);
    const figures = [
      `${callers} callers`,
      `${rate_per_s.toFixed(0)}/s`,
      `p50 ${p50_ms.toFixed(2)} ms`,
      `p99 ${p99_ms.toFixed(2)} ms`,
      `CPU ${cpu} us`,
    ];
    console.log(`${name.padEnd(width)}  ${figures.map((figure) => figure.padStart(14)).join('  ')}`);
  }
}

export function writeResult(name: string, result: object): void {
  const record = {
    at: new Date().toISOString(),
    node: process.version,
    processors: availableParallelism(),
    ...result,
  };
  writeFileSync(`${results}${name}.json`, `${JSON.stringify(record, null, 2)}\n`);
}
