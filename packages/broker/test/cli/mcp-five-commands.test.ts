// The way in, as a newcomer walks it: three published servers, five commands, one governed call.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

const ROOT = resolve(import.meta.dirname, '../../../..');
const missing = ['filesystem', 'memory', 'everything'].filter(
  (name) => !existsSync(join(ROOT, 'node_modules/@modelcontextprotocol', `server-${name}`)),
);

test('five commands lead from a client configuration to a call that a person approved', (t, done) => {
  if (missing.length > 0) {
    t.skip(`SKIPPED: not installed: ${missing.map((name) => `server-${name}`).join(', ')}`);
    return done();
  }
  execFile(
    process.execPath,
    [join(ROOT, 'scripts/five-commands.ts')],
    { timeout: 300_000 },
    (error, out, err) => {
      assert.equal(error, null, `${out}${err}`);
      assert.match(out, /^ {2}tools: [1-9]\d* filesystem, [1-9]\d* memory, [1-9]\d* everything$/m);
      assert.match(out, /^ {2}the call has succeeded$/m);
      assert.match(out, /^5 commands, /m);
      done();
    },
  );
});
