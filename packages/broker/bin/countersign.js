#!/usr/bin/env node
// Starts the command: from the sources in a checkout, else from what was built.
import { existsSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath } from 'node:url';

const OLDEST = 24;
if (Number.parseInt(process.versions.node, 10) < OLDEST) {
  process.stderr.write(
    `countersign needs Node ${OLDEST} or newer, and this is Node ${process.versions.node}. ` +
      'In a checkout, npm brings one: npm run countersign -- …\n',
  );
  process.exit(2);
}
// Beside the installed packages, where whoever could write could change the program itself; never in a shared folder.
module.enableCompileCache(
  fileURLToPath(new URL('../../../node_modules/.cache/countersign', import.meta.url)),
);

const source = new URL('../src/main.ts', import.meta.url);
const built = new URL('../dist/main.js', import.meta.url);
const { main } = await import(existsSync(source) ? source.href : built.href);
await main(process.argv.slice(2));
// A broker that could not start may have connectors open already: nothing of them may keep the process.
if (process.exitCode) process.exit();
