// `countersign pin`: lists what an MCP upstream offers now, with the digests that manifests pin.
import type { Command } from 'commander';
import { listUpstreamTools } from '#connectors/mcp/list-upstream-tools.ts';
import type { CliWorld } from './connection.ts';
import { CliFailure, EXIT } from './exit.ts';
import { mistakeLine } from './mistakes.ts';
import { printable, printableJson, printableTable } from './printable.ts';
import { readBundle } from './read-bundle.ts';

/** A digest that no definition has: a tool with it is paused until it is pinned. */
const PLACEHOLDER = `sha256:${'0'.repeat(64)}`;

export function pinCommand(program: Command, world: CliWorld): void {
  program
    .command('pin <connector> [dir]')
    .description('ask an MCP upstream for its tools, and print the digests to pin under bind.mcp.digest')
    .option('--json', 'print JSON with the whole definitions, for review')
    .action((connector: string, dir: string | undefined, options: { json?: boolean }) =>
      pin(connector, dir ?? '.', options, world),
    );
}

async function pin(
  name: string,
  dir: string,
  options: { readonly json?: boolean },
  world: CliWorld,
): Promise<void> {
  const { terminal } = world;
  const loaded = await readBundle(dir, Date.now());
  if (!loaded.ok) {
    const lines = loaded.mistakes.map(mistakeLine).join('\n');
    throw new CliFailure(
      EXIT.no,
      `${lines}\nTo pin for the first time, give the manifest ${PLACEHOLDER} as digest.`,
    );
  }
  const spec = loaded.bundle.connectors.get(name);
  if (spec?.kind !== 'mcp') {
    throw new CliFailure(EXIT.usage, `there is no MCP connector "${name}" in ${dir}`);
  }
  if (spec.credential !== null) {
    throw new CliFailure(
      EXIT.usage,
      `connector "${name}" needs a credential, which only a running broker has`,
    );
  }
  const listed = await listUpstreamTools(spec, {
    clock: { now: Date.now },
    log: { info: () => {}, warn: () => {}, error: () => {} },
    connectionCredential: () => Promise.resolve(null),
    protect: [loaded.bundle.settings.data_dir, dir],
  });
  if (!listed.ok)
    throw new CliFailure(EXIT.unreachable, printable(`the upstream could not be listed: ${listed.reason}`));
  if (options.json) return terminal.out(printableJson(listed.tools));
  terminal.out(
    printableTable(
      ['UPSTREAM TOOL', 'DIGEST'],
      listed.tools.map((tool) => [tool.name, tool.digest]),
    ),
  );
  for (const dropped of listed.dropped)
    terminal.err(printable(`left out, it breaks the protocol: ${dropped}`));
}
