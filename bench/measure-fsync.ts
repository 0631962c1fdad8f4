// Measures what the disk itself takes to make 4 KiB durable: the floor under every figure about durability.
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

export interface FsyncFloor {
  readonly writes: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
}

/** Appends 4 KiB and waits for the disk, `writes` times, in a file of `folder` that is removed afterwards. */
export function measureFsync(folder: string, writes: number): FsyncFloor {
  const file = join(folder, 'fsync-floor');
  const fd = openSync(file, 'w');
  const block = Buffer.alloc(4096, 7);
  const times_ms = new Float64Array(writes);
  for (let n = 0; n < writes; n++) {
    const began = performance.now();
    writeSync(fd, block);
    fdatasyncSync(fd);
    times_ms[n] = performance.now() - began;
  }
  closeSync(fd);
  rmSync(file);
  times_ms.sort();
  return {
    writes,
    p50_ms: times_ms[Math.floor(writes * 0.5)]!,
    p99_ms: times_ms[Math.floor(writes * 0.99)]!,
  };
}
