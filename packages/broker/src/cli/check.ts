// `countersign check`: compiles a bundle and prints all its mistakes at once.
import type { Command } from 'commander';
import type { CliWorld } from './connection.ts';
import { EXIT } from './exit.ts';
import { countOf, mistakeLine } from './mistakes.ts';
import { printableJson } from './printable.ts';
import { readBundle } from './read-bundle.ts';

export function checkCommand(program: Command, world: CliWorld): void {
  program
    .command('check [dir]')
    .description('compile a bundle and print every mistake; 1 when there are any')
    .option('--json', 'print JSON, for machines')
    .action((dir: string | undefined, options: { json?: boolean }) => check(dir ?? '.', options, world));
}

async function check(dir: string, options: { readonly json?: boolean }, world: CliWorld): Promise<void> {
  const { terminal } = world;
  const loaded = await readBundle(dir, Date.now());
  const mistakes = loaded.ok ? loaded.warnings : loaded.mistakes;
  if (!loaded.ok) world.exit(EXIT.no);
  if (options.json) {
    const revision = loaded.ok ? loaded.bundle.revision : null;
    return terminal.out(printableJson({ ok: loaded.ok, revision, mistakes }));
  }
  for (const mistake of mistakes) terminal.err(mistakeLine(mistake));
  if (!loaded.ok) {
    const errors = mistakes.filter((mistake) => mistake.severity === 'error').length;
    return terminal.err(`${countOf(errors, 'mistake')}: this bundle cannot be served.`);
  }
  const { tools, agents, people, revision } = loaded.bundle;
  terminal.out(
    `Good: ${countOf(tools.size, 'tool')}, ${countOf(agents.size, 'agent')}, ${people.size} people, ${countOf(mistakes.length, 'warning')}.`,
  );
  terminal.out(revision);
}
