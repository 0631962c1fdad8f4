// Finds a browser for the tests that need a real one: an installed Chromium, else the one that comes by npm, else apt.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Set by hand, or by whoever provisioned before: path of a Chromium. */
const CHOSEN = 'COUNTERSIGN_TEST_BROWSER';
const INSTALLED = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];

/** Path of a Chromium that runs, kept in the environment for child processes. Throws with what to do where there is none. */
export async function provisionBrowser(): Promise<string> {
  const path = await find();
  process.env[CHOSEN] = path;
  return path;
}

async function find(): Promise<string> {
  const chosen = process.env[CHOSEN];
  if (chosen !== undefined && chosen !== '') {
    if (runs(chosen)) return chosen;
    throw new Error(`${CHOSEN} names ${chosen}, which does not run`);
  }
  const installed = INSTALLED.find((path) => existsSync(path) && runs(path));
  if (installed !== undefined) return installed;
  const carried = await carriedByNpm();
  if (carried !== null) return carried;
  if (process.getuid?.() === 0 && installByApt()) return '/usr/bin/chromium';
  throw new Error(
    `There is no browser for these tests: install Chromium, or name one with ${CHOSEN}=/path/to/it`,
  );
}

/** The binary in the package @sparticuz/chromium, with the libraries that a bare machine lacks. Linux on x64. */
async function carriedByNpm(): Promise<string | null> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return null;
  // Asked to, it unpacks the libraries beside the browser and names them in LD_LIBRARY_PATH.
  process.env.AWS_LAMBDA_JS_RUNTIME ??= 'nodejs22.x';
  try {
    const { default: chromium } = await import('@sparticuz/chromium');
    const path = await chromium.executablePath();
    return runs(path) ? path : null;
  } catch {
    return null;
  }
}

function installByApt(): boolean {
  process.stdout.write('installing chromium with apt-get\n');
  const apt = (...args: string[]) => spawnSync('apt-get', args, { stdio: 'ignore' }).status === 0;
  return (
    apt('update') && apt('install', '-y', '--no-install-recommends', 'chromium') && runs('/usr/bin/chromium')
  );
}

function runs(path: string): boolean {
  return spawnSync(path, ['--version', '--no-sandbox'], { stdio: 'ignore', timeout: 60_000 }).status === 0;
}

if (import.meta.main) process.stdout.write(`${await provisionBrowser()}\n`);
