// Prints what a run did and found, as a table.
import type { ChaosReport } from './chaos.ts';

/** The first of many violations say enough; the file has them all. */
const MOST_SHOWN = 20;

export function printReport(report: ChaosReport, print: (line: string) => void): void {
  const { wanted, violations } = report;
  const sent = wanted.reduce((sum, wish) => sum + wish.sent, 0);
  const rows: (readonly [string, string | number])[] = [
    ['SIGKILLs', report.kills],
    ['wishes of callers (one key each)', wanted.length],
    ['requests for them', sent],
    ['deeds that the upstreams did', report.deeds.length],
    ...[...report.outcomes].map(([name, n]) => [`calls: ${name}`, n] as const),
    ...[...report.faults].sort().map(([name, n]) => [`faults: ${name}`, n] as const),
    ['in doubt at the end, listed for a person', report.in_doubt],
    ['checkpoints taken out, all led to', report.checkpoints],
    ['time', `${Math.round(report.took_ms / 1_000)} s`],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [name, value] of rows) print(`${name.padEnd(width)}  ${String(value).padStart(8)}`);
  if (violations.length === 0) {
    print('every promise held');
    return;
  }
  for (const violation of violations.slice(0, MOST_SHOWN)) print(`VIOLATED ${violation}`);
  print(`${violations.length} violations; seed ${report.seed}; store and findings in ${report.root}`);
}
