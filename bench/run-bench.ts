// The frame of a bench: a folder of its own on the disk, and an end to every process that it started.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { results } from './report.ts';
import type { Running } from './start-process.ts';

/** Runs a bench. What it pushes to `started` is stopped, last first, however it ends; then `root` is removed. */
export async function runBench(run: (root: string, started: Running[]) => Promise<void>): Promise<void> {
  // Not the system's folder for temporary files: that may be memory, and durability would cost nothing there.
  const root = mkdtempSync(join(results, 'run-'));
  const started: Running[] = [];
  try {
    await run(root, started);
  } finally {
    for (const running of started.reverse()) await running.stop();
    rmSync(root, { recursive: true, force: true });
  }
}
