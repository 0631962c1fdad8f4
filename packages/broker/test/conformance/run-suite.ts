// Runs the official suite for one revision: its server scenarios against the broker, its client scenarios against our
// upstream client; and which of them the revision requires.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { runProgram } from './run-program.ts';

export interface Check {
  readonly id: string;
  readonly status: string;
  readonly errorMessage?: string;
}

/** Checks by scenario, in the order of their names. */
export type Results = ReadonlyMap<string, readonly Check[]>;

export type Side = 'server' | 'client';

export const REVISIONS = ['2026-07-28', '2025-11-25'] as const;
export type Revision = (typeof REVISIONS)[number];

/** Extensions of authorization, the same for both revisions. */
const AUTH = [
  'auth/client-credentials-jwt',
  'auth/client-credentials-basic',
  'auth/enterprise-managed-authorization',
  'auth/wif-jwt-bearer',
  'auth/dpop',
  'auth/dpop-nonce',
] as const;

/** Run, reported and not required; we hold ourselves to them all the same. */
export const BEYOND: Readonly<Record<Revision, Readonly<Record<Side, readonly string[]>>>> = {
  '2026-07-28': {
    server: ['http-header-validation', 'http-custom-header-server-validation', 'json-schema-2020-12'],
    client: ['json-schema-2020-12-preservation', ...AUTH],
  },
  '2025-11-25': {
    server: ['server-session-lifecycle', 'json-schema-2020-12'],
    client: ['json-schema-2020-12-preservation', ...AUTH],
  },
};

const REQUIREMENTS = new URL(
  '../../../../node_modules/@modelcontextprotocol/conformance/requirements/',
  import.meta.url,
);

/** The frozen set that the package itself carries. */
export function requiredScenarios(revision: Revision, side: Side): readonly string[] {
  const text = readFileSync(new URL(`${revision}.yaml`, REQUIREMENTS), 'utf8');
  return (parse(text) as Record<Side, readonly string[]>)[side];
}

/** `url`: where the broker is reached without a token. */
export function runServerSuite(revision: Revision, url: string): Promise<Results> {
  return run(['server', '--url', url, '--requirements', revision]);
}

export function runClientSuite(revision: Revision): Promise<Results> {
  const client = fileURLToPath(new URL('upstream-client.ts', import.meta.url));
  const command = `${process.execPath} ${client}`;
  return run(['client', '--command', command, '--timeout', '60000', '--requirements', revision]);
}

async function run(args: readonly string[]): Promise<Results> {
  const folder = mkdtempSync(join(tmpdir(), 'conformance-'));
  try {
    const ran = await runProgram('conformance', [...args, '-o', folder], 300_000);
    const results = new Map<string, readonly Check[]>();
    for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
      const scenario = /^(?:server-)?(.+)-\d{4}-\d{2}-\d{2}T[^/]*\/checks\.json$/.exec(path)?.[1];
      if (scenario !== undefined) results.set(scenario, JSON.parse(readFileSync(join(folder, path), 'utf8')));
    }
    if (results.size === 0) throw new Error(`the suite did not run: ${ran.out}${ran.err}`);
    return results;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function failuresOf(checks: readonly Check[]): readonly Check[] {
  return checks.filter(({ status }) => status === 'FAILURE' || status === 'WARNING');
}
