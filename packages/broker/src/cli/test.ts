// `countersign test`: runs the bundle's own cases against its policies.
import type { Command } from 'commander';
import { type CaseResult, runCases } from '#bundle/test-bundle.ts';
import type { CliWorld } from './connection.ts';
import { CliFailure, EXIT } from './exit.ts';
import { countOf, mistakeLine } from './mistakes.ts';
import { printable, printableJson } from './printable.ts';
import { readBundle } from './read-bundle.ts';

export function testCommand(program: Command, world: CliWorld): void {
  program
    .command('test [dir]')
    .description('run the cases under tests/ against the policies; 1 when one fails')
    .option('--json', 'print JSON, for machines')
    .action((dir: string | undefined, options: { json?: boolean }) => test(dir ?? '.', options, world));
}

async function test(dir: string, options: { readonly json?: boolean }, world: CliWorld): Promise<void> {
  const { terminal } = world;
  const loaded = await readBundle(dir, Date.now());
  if (!loaded.ok) {
    const lines = loaded.mistakes.map(mistakeLine).join('\n');
    throw new CliFailure(EXIT.no, `${lines}\nThe bundle has mistakes, so no case was run.`);
  }
  const results = runCases(loaded.bundle);
  const failed = results.filter((result) => !result.ok);
  if (failed.length > 0) world.exit(EXIT.no);
  if (options.json) return terminal.out(printableJson(results));
  for (const result of results) terminal.out(line(result));
  terminal.out(`${countOf(results.length, 'case')}, ${failed.length} failed.`);
}

function line({ ok, name, file, line: at, expected, got }: CaseResult): string {
  if (ok) return printable(`ok    ${name}`);
  return printable(`FAIL  ${name} (${file}:${at}): expected ${expected}, got ${got}`);
}
