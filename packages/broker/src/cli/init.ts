// `countersign init`: turns the configuration of an MCP client into a bundle in which every tool waits for a person.
import {
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { bundleFiles } from '#bundle/import-bundle.ts';
import { CLIENT_FILES, type ClientServer, readClientConfiguration } from '#bundle/import-client.ts';
import type { ConnectorDraft, ImportWorld } from '#bundle/import-connector.ts';
import { importTools } from '#bundle/import-tools.ts';
import { whyNoBwrap } from '#connectors/isolation/bwrap.ts';
import { makeKeyFolder, writeKeyFile } from '#identity/key-file.ts';
import { generateKeyPair, type KeyPair } from '#identity/keys.ts';
import type { CliWorld } from './connection.ts';
import { CliFailure, EXIT } from './exit.ts';
import { askServers } from './init-servers.ts';
import { countOf, mistakeLine } from './mistakes.ts';
import { printable } from './printable.ts';
import { readBundle } from './read-bundle.ts';

interface InitOptions {
  readonly from?: string;
  readonly out: string;
  readonly agent: string;
  readonly person?: string;
  readonly port: string;
  readonly unisolated?: readonly string[];
  readonly yes?: boolean;
}

const COMMAND = fileURLToPath(new URL('../../bin/countersign.js', import.meta.url));

export function initCommand(program: Command, world: CliWorld): void {
  program
    .command('init')
    .description("write a bundle from an MCP client's configuration: every tool imported, every call held")
    .option('--from <file>', `the configuration; default: the one of ${CLIENT_FILES.join(', ')} that is here`)
    .option(
      '--out <dir>',
      'folder of the new bundle; state and keys go to .countersign beside it',
      'countersign',
    )
    .option('--agent <name>', 'name of the agent', 'desktop')
    .option('--person <name>', 'name of the person who decides; default: your user name')
    .option('--port <n>', 'port of the broker', '8787')
    .option('--unisolated <server...>', 'servers to run without isolation; the review shows it')
    .option('--yes', 'start the servers without asking')
    .action((options: InitOptions) => init(options, world));
}

/** Where everything goes. Real paths: the bundle refers to what lies beside it. */
interface Places {
  readonly configuration: string;
  readonly home: string;
  readonly out: string;
  readonly data_dir: string;
  readonly key: (name: string) => string;
}

async function init(options: InitOptions, world: CliWorld): Promise<void> {
  const { terminal } = world;
  const places = placesOf(options);
  const person = options.person ?? personOf(world.environment.USER ?? world.environment.USERNAME);
  const principals = [options.agent, person];
  refuseTaken(places, principals);
  const configuration = readServers(places.configuration);
  terminal.out(printable(`Reading ${places.configuration}`));
  const importWorld: ImportWorld = {
    folder: places.home,
    protect: [places.out, places.data_dir],
    secrets: join(places.data_dir, 'secrets'),
    environment: world.environment,
    noBwrap: await whyNoBwrap(),
    unisolated: options.unisolated ?? [],
    owner: person,
  };
  const asked = await askServers(configuration.servers, importWorld, terminal, options.yes === true);
  const { tools, refused } = importTools(asked.offered, person);
  const left = [...configuration.skipped, ...asked.left, ...refused];
  if (tools.length === 0) {
    throw new CliFailure(EXIT.no, printable(`Nothing to import, so nothing was written. ${left.join(' ')}`));
  }
  const keys = new Map(principals.map((name) => [name, generateKeyPair()]));
  const files = bundleFiles({
    root: places.out,
    home: places.home,
    person: { name: person, key: keys.get(person)!.publicJwk },
    agent: { name: options.agent, key: keys.get(options.agent)!.publicJwk },
    connectors: asked.connectors,
    tools,
    data_dir: places.data_dir,
    port: Number(options.port),
  });
  await writeChecked(places, files, keys, asked.connectors);
  for (const sentence of left) terminal.err(printable(`warning: ${sentence}`));
  terminal.out(report(places, options.agent, person, tools.length, Number(options.port)));
}

function placesOf(options: InitOptions): Places {
  const configuration = resolve(options.from ?? detect());
  if (!existsSync(configuration)) throw new CliFailure(EXIT.usage, `there is no ${configuration}`);
  const folder = realpathSync(dirname(configuration));
  // VS Code's file lies one folder below what its paths are relative to.
  const home = basename(folder) === '.vscode' ? dirname(folder) : folder;
  const wanted = resolve(options.out);
  if (!existsSync(dirname(wanted))) throw new CliFailure(EXIT.usage, `there is no folder ${dirname(wanted)}`);
  const out = join(realpathSync(dirname(wanted)), basename(wanted));
  const data_dir = join(dirname(out), '.countersign');
  const key = (name: string): string => join(data_dir, 'principals', `${name}.jwk`);
  return { configuration, home, out, data_dir, key };
}

function detect(): string {
  const here = CLIENT_FILES.filter((file) => existsSync(file));
  if (here.length === 1) return here[0]!;
  const found =
    here.length === 0 ? `none of ${CLIENT_FILES.join(', ')} is here` : `${here.join(' and ')} are here`;
  throw new CliFailure(EXIT.usage, `${found}; name the configuration with --from`);
}

function personOf(user: string | undefined): string {
  const name = (user ?? '')
    .toLowerCase()
    .replace(/[^a-z0-9._-]/g, '')
    .replace(/^[._-]+/, '')
    .slice(0, 60);
  return name === '' ? 'approver' : name;
}

function refuseTaken({ out, key }: Places, principals: readonly string[]): void {
  const [agent, person] = principals;
  if (agent === person)
    throw new CliFailure(
      EXIT.usage,
      `agent and person are both called "${agent}"; name one with --agent or --person`,
    );
  for (const name of principals) {
    if (!/^[a-z0-9][a-z0-9._@-]{0,63}$/.test(name))
      throw new CliFailure(
        EXIT.usage,
        `"${name}" is not a name: lower-case letters, digits, dot, dash, underscore`,
      );
  }
  const taken = [out, ...principals.map(key)].find((path) => existsSync(path));
  if (taken !== undefined)
    throw new CliFailure(
      EXIT.usage,
      `${taken} exists already and is not overwritten; choose another folder with --out`,
    );
}

function readServers(file: string): { servers: readonly ClientServer[]; skipped: readonly string[] } {
  const read = readClientConfiguration(readFileSync(file, 'utf8'));
  if (!read.ok) throw new CliFailure(EXIT.usage, `${file}: ${read.message}`);
  return read;
}

/**
 * The bundle is compiled where it will lie before anything else is written, so that a folder that `check` refuses is
 * never left behind, nor keys and secrets for one.
 */
async function writeChecked(
  places: Places,
  files: ReadonlyMap<string, string>,
  keys: ReadonlyMap<string, KeyPair>,
  connectors: readonly ConnectorDraft[],
): Promise<void> {
  const { out, data_dir, key } = places;
  const draft = join(dirname(out), `.${basename(out)}.new`);
  rmSync(draft, { recursive: true, force: true });
  try {
    for (const [path, text] of files) {
      mkdirSync(dirname(join(draft, path)), { recursive: true });
      writeFileSync(join(draft, path), text);
    }
    const loaded = await readBundle(draft, Date.now());
    if (!loaded.ok) {
      const lines = loaded.mistakes.map(mistakeLine).join('\n');
      throw new CliFailure(
        EXIT.no,
        `${lines}\nWhat was imported does not make a bundle, so nothing was written.`,
      );
    }
    makeKeyFolder(data_dir);
    if (!existsSync(join(data_dir, '.gitignore'))) writeFileSync(join(data_dir, '.gitignore'), '*\n');
    makeKeyFolder(dirname(key('')));
    for (const [name, pair] of keys)
      writeKeyFile(key(name), `${JSON.stringify(pair.privateJwk, null, 2)}\n`, 'refuse');
    for (const { secret } of connectors) {
      if (secret === null) continue;
      makeKeyFolder(dirname(secret.file));
      writeKeyFile(secret.file, `${secret.text}\n`, 'refuse');
    }
    renameSync(draft, out);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

function report(places: Places, agent: string, person: string, tools: number, port: number): string {
  const { out, key, configuration } = places;
  const args = [COMMAND, 'mcp', '--bundle', out, '--as', agent, '--key', key(agent)];
  const entry = { command: process.execPath, args };
  const vscode = basename(configuration) === 'mcp.json';
  const paste = vscode
    ? { servers: { countersign: { type: 'stdio', ...entry } } }
    : { mcpServers: { countersign: entry } };
  return `
Wrote ${out}: ${countOf(tools, 'tool')}, all imported, all writes until somebody reviews them; the agent ${agent} only suggests.
Private keys (0600) lie in ${dirname(key(agent))}; secrets of servers in ${join(places.data_dir, 'secrets')}, if there are any.

Put this into the client's configuration instead of the servers above:
${JSON.stringify(paste, null, 2)}

Every call then waits for you:
  export COUNTERSIGN_URL=http://127.0.0.1:${port} COUNTERSIGN_AS=${person} COUNTERSIGN_KEY=${key(person)}
  countersign approvals list
  countersign approvals approve apr_...
Then review the tools one by one: countersign tools review ${out}`;
}
