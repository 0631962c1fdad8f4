// A project folder with a client's configuration, and `countersign init` run on it.
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { type Ran, type RunOptions, run } from './fixture.ts';

const SERVER = resolve(import.meta.dirname, '../connectors/fixture-stdio-server.mjs');

/** A project folder with a stdio server of its own and a folder of notes. */
export function project(t: TestContext, configuration: object | string, file = '.mcp.json'): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-init-')));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const made of ['notes', 'server', '.vscode']) mkdirSync(join(folder, made));
  cpSync(SERVER, join(folder, 'server', 'index.mjs'));
  writeFileSync(
    join(folder, file),
    typeof configuration === 'string' ? configuration : JSON.stringify(configuration),
  );
  return folder;
}

export function init(
  folder: string,
  args: readonly string[] = ['--yes'],
  options: RunOptions = {},
): Promise<Ran> {
  const environment = {
    USER: 'Ann Lee',
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    ...options.environment,
  };
  const from = args.includes('--from') ? [] : ['--from', join(folder, '.mcp.json')];
  return run(['init', ...from, '--out', join(folder, 'countersign'), ...args], { ...options, environment });
}

export const PLAIN = { mcpServers: { fixture: { command: 'node', args: ['server/index.mjs', './notes'] } } };
