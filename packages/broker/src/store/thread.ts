// Starts worker threads: a module of ours, with nothing of the broker's environment.
import { getCompileCacheDir } from 'node:module';
import { Worker } from 'node:worker_threads';

/** `data` is the module's `workerData`. */
export function startThread(module: URL, data: object): Worker {
  return new Worker(new URL('./start-thread.mjs', import.meta.url), {
    workerData: { ...data, module: module.href, compile_cache: getCompileCacheDir() ?? null },
    env: {},
    execArgv: [],
  });
}
