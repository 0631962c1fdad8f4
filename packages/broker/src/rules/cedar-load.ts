// The official Cedar engine, loaded when it is needed and let go when it is not: it holds tens of megabytes.
import { createRequire } from 'node:module';

type Cedar = typeof import('@cedar-policy/cedar-wasm/nodejs');

const PACKAGE = '@cedar-policy/cedar-wasm/nodejs';

let loaded: Cedar | undefined;
let generation = 0;

/** The engine; loads it (about 50 ms) when it is not there. */
export function cedar(): Cedar {
  // A loader of its own each time: what a loader has loaded, it keeps.
  loaded ??= createRequire(import.meta.url)(PACKAGE) as Cedar;
  return loaded;
}

/** Forgets the engine with everything that was parsed in it. Whoever needs it again gets a new one. */
export function releaseCedar(): void {
  if (loaded === undefined) return;
  loaded = undefined;
  generation++;
  const require = createRequire(import.meta.url);
  delete require.cache[require.resolve(PACKAGE)];
}

/** Changes whenever the engine was released: what was parsed before is not known to the next one. */
export function cedarGeneration(): number {
  return generation;
}
