// Runs the official JSON-Schema-Test-Suite through the validator; says SKIPPED where PyPI cannot be reached.
// The suite's own npm packages end before 2020-12; the Python validator of the same author carries it whole.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const REQUIREMENT =
  'jsonschema==4.26.0 --hash=sha256:0c26707e2efad8aa1bfc5b7ce170f3fccc2e4918ff85989ba9ffa9facb2be326\n';
const TEST = 'packages/broker/test/conformance/json-schema-suite.test.ts';

const root = resolve(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'countersign-schema-suite-'));
try {
  const suite = process.env.COUNTERSIGN_JSON_SCHEMA_SUITE ?? download();
  if (suite === undefined)
    console.log('SKIPPED: the suite cannot be downloaded here (pip and PyPI are needed)');
  else process.exitCode = check(suite);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** The folder of the suite; undefined when it cannot be had. Its bytes are those of the digest above, or none. */
function download(): string | undefined {
  const wanted = join(folder, 'requirements.txt');
  writeFileSync(wanted, REQUIREMENT);
  const pip = [
    '-m',
    'pip',
    'download',
    '--quiet',
    '--disable-pip-version-check',
    '--no-deps',
    '--require-hashes',
  ];
  const got = spawnSync(
    'python3',
    [...pip, '--no-binary', 'jsonschema', '--dest', folder, '--requirement', wanted],
    {
      timeout: 300_000,
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  const archive = readdirSync(folder).find((name) => name.endsWith('.tar.gz'));
  if (got.status !== 0 || archive === undefined) return undefined;
  const opened = spawnSync('tar', ['-xzf', join(folder, archive), '-C', folder], { stdio: 'inherit' });
  return opened.status === 0 ? join(folder, archive.replace(/\.tar\.gz$/, ''), 'json') : undefined;
}

function check(suite: string): number {
  const env = { ...process.env, COUNTERSIGN_JSON_SCHEMA_SUITE: suite };
  const ran = spawnSync(process.execPath, ['--test', join(root, TEST)], {
    env,
    stdio: 'inherit',
    timeout: 300_000,
  });
  return ran.status ?? 1;
}
