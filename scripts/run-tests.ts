// The one gate: types, lint, then every test; closes with `N passed, N failed` alone on a line.
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { provisionBrowser } from './provision-browser.ts';

const root = resolve(import.meta.dirname, '..');

/** Steps that must hold before tests are worth running. Each counts as one test. */
const CHECKS = [
  { name: 'types', command: ['tsc', '-p', '.'] },
  { name: 'lint and format', command: ['biome', 'ci', '--reporter=summary', '.'] },
] as const;

/** A whole run takes about seven minutes on two slow cores. One that hangs is ended, and says where. */
const MOST_MS = 24 * 60_000;

let passed = 0;
let failed = 0;
let skipped = 0;

for (const { name, command } of CHECKS) {
  const [program, ...args] = command;
  const { status } = spawnSync(join(root, 'node_modules/.bin', program), args, {
    cwd: root,
    stdio: 'inherit',
  });
  process.stdout.write(`${status === 0 ? 'ok' : 'FAILED'}: ${name}\n`);
  if (status === 0) passed++;
  else failed++;
}

const wanted = process.argv.slice(2);
const files = globSync('packages/*/{src,test}/**/*.test.ts', { cwd: root })
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort()
  .map((file) => join(root, file));

if (files.some((file) => file.includes('/test/browser/'))) {
  // Before the tests, so that unpacking is nobody's time; where there is none, those tests fail and say so again.
  await provisionBrowser().then(
    (path) => process.stdout.write(`browser: ${path}\n`),
    (error: Error) => process.stdout.write(`NO BROWSER: ${error.message}\n`),
  );
}

const hanging = new AbortController();
const unfinished = new Set(files);
const stream = run({ files, concurrency: 2, timeout: 300_000, signal: hanging.signal });
const watch = setTimeout(() => {
  process.stdout.write(
    `\nFAILED: not over after ${MOST_MS / 60_000} minutes: ${[...unfinished].join(' ')}\n`,
  );
  hanging.abort();
  setTimeout(() => finish(failed + unfinished.size), 5_000);
}, MOST_MS);
stream.on('test:pass', (event) => {
  if (event.details.type === 'suite' || isFile(event.name)) return;
  if (event.skip !== undefined && event.skip !== false) skipped++;
  else passed++;
});
stream.on('test:fail', (event) => {
  if (event.details.type !== 'suite') failed++;
});
stream.on('test:complete', (event) => {
  if (isFile(event.name) && event.file !== undefined) unfinished.delete(event.file);
});
const report = stream.compose(new spec());
report.pipe(process.stdout, { end: false });
report.on('end', () => {
  clearTimeout(watch);
  finish(failed);
});

/** What a test left running keeps no run alive: that the counts are printed ends it. */
function finish(failures: number): void {
  process.stdout.write(
    `\n${passed} passed, ${failures} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`,
    () => process.exit(failures === 0 ? 0 : 1),
  );
}

/** A file that runs as a process of its own is reported as a test too; it is not one. */
function isFile(name: string): boolean {
  return files.includes(name) || files.includes(join(root, name));
}
