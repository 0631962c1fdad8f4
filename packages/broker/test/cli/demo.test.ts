// The demo goes through, and the README shows what it prints, line for line.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const root = resolve(import.meta.dirname, '../../../..');

test('the README shows what the demo prints', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [join(root, 'demo/play.ts')], { cwd: root });
  const blocks = readFileSync(join(root, 'README.md'), 'utf8').split(/^```.*\n/m);
  const shown = blocks.find((block) => block.includes('Every step went as it should.'));
  assert.equal(stdout.trim(), shown?.trim());
});
