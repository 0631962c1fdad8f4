// Starts a worker thread on a module, with the compile cache of its process: without it the thread would load the type stripper.
import { enableCompileCache } from 'node:module';
import { workerData } from 'node:worker_threads';

if (workerData.compile_cache !== null) enableCompileCache(workerData.compile_cache);
await import(workerData.module);
