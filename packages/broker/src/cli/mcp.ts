// `countersign mcp`: the broker for clients that start a program and speak MCP over its standard input and output.
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import { type CliWorld, readKey } from './connection.ts';
import { CliFailure, EXIT } from './exit.ts';
import { type NearBroker, nearBroker } from './mcp-broker.ts';
import { Relay } from './mcp-relay.ts';

interface McpOptions {
  readonly bundle?: string;
  readonly url?: string;
  readonly as?: string;
  readonly key?: string;
  readonly dpop?: boolean;
}

/** Answers that are on their way when the client closes its end are still written. */
const GRACE_MS = 2_000;

export function mcpCommand(program: Command, world: CliWorld): void {
  program
    .command('mcp')
    .description('speak MCP over standard input and output, for desktop clients; every call goes to a broker')
    .option('--bundle <dir>', 'bundle of the broker: the running one is found, or one is started and ended')
    .option('--url <url>', 'base URL of a running broker, instead of --bundle (COUNTERSIGN_URL)')
    .option('--as <name>', 'the agent (COUNTERSIGN_AS)')
    .option('--key <file>', "the agent's private key, a JWK file (COUNTERSIGN_KEY)")
    .option('--dpop', 'bind tokens to a key of this process, so that one that leaks is worthless')
    .action((options: McpOptions) => serveStdio(options, world));
}

async function serveStdio(options: McpOptions, { environment, terminal }: CliWorld): Promise<void> {
  const needed = (value: string | undefined, variable: string, option: string): string => {
    const found = value ?? environment[variable];
    if (found !== undefined && found !== '') return found;
    throw new CliFailure(EXIT.usage, `expected ${option} or ${variable} in the environment`);
  };
  const name = needed(options.as, 'COUNTERSIGN_AS', '--as');
  const key = readKey(needed(options.key, 'COUNTERSIGN_KEY', '--key'));
  const url =
    options.bundle === undefined ? needed(options.url, 'COUNTERSIGN_URL', '--bundle or --url') : null;
  let near: NearBroker | null = null;
  const where = async (): Promise<string> => {
    if (url !== null) return url;
    await near?.stop();
    near = await nearBroker(options.bundle!);
    terminal.err(`countersign: the broker is at ${near.url}`);
    return near.url;
  };
  const write = (line: string): void => void process.stdout.write(`${line}\n`);
  const relay = new Relay({ url: where, name, key, dpop: options.dpop === true, write });
  try {
    // A client learns at once that nothing serves it, not at its first message.
    const first = await where();
    relay.knows(first);
    await linesOf((line) => relay.take(line));
    await relay.end(GRACE_MS);
  } finally {
    await (near as NearBroker | null)?.stop();
  }
}

/** Resolves when the client closes its end, or this process is told to end. */
function linesOf(take: (line: string) => void): Promise<void> {
  return new Promise((resolve) => {
    const lines = createInterface({ input: process.stdin });
    const end = (): void => {
      process.off('SIGTERM', end);
      process.off('SIGINT', end);
      lines.close();
      process.stdin.pause();
      resolve();
    };
    process.once('SIGTERM', end);
    process.once('SIGINT', end);
    lines.on('line', take);
    lines.once('close', end);
  });
}
