// `countersign serve`: the options of the broker; main.ts starts it.
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Mistake } from '#bundle/bundle.ts';
import { ConnectorRefused } from '#connectors/connector-deps.ts';
import { KeyTextError } from '#credentials/sealed/key-encryption.ts';
import { KeyFileError } from '#identity/key-file.ts';
import { StoreUnavailable } from '#store/tx.ts';
import { CliFailure, EXIT } from './exit.ts';
import { collect, readHeld } from './held-checkpoint.ts';
import { countOf, mistakeLine } from './mistakes.ts';

export interface ServeOptions {
  /** Folder of the bundle. */
  readonly bundle: string;
  /** Overrides the port of `countersign.yaml`; 0 takes a free one. */
  readonly port?: number;
  readonly log_level: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** Checkpoints kept elsewhere: a store behind one of them is not served. */
  readonly checkpoints?: readonly { readonly log: string; readonly note: string }[];
  /** Also stops when standard input ends: a broker that another program started does not outlive it. */
  readonly until_input_ends?: boolean;
}

interface GivenOptions {
  readonly bundle: string;
  readonly port?: number;
  readonly logLevel: ServeOptions['log_level'];
  readonly untilInputEnds?: boolean;
  readonly checkpoint: readonly string[];
}

/** Resolves when the broker has been told to stop and has stopped. */
export type Serve = (options: ServeOptions) => Promise<void>;

export function serveCommand(program: Command, serve: Serve): void {
  program
    .command('serve')
    .description('start the broker on a bundle; stops on SIGINT and SIGTERM')
    .requiredOption('--bundle <dir>', 'folder of the bundle')
    .option('--port <n>', 'instead of the port in countersign.yaml; 0 takes a free one', parsePort)
    .addOption(
      new Option('--log-level <level>').choices(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
    )
    .option(
      '--checkpoint <file>',
      'a checkpoint kept elsewhere, which the store must lead to; repeatable',
      collect,
      [],
    )
    .option('--until-input-ends', 'also stop when standard input ends')
    .action(async (options: GivenOptions) => {
      const { bundle, port, logLevel, untilInputEnds } = options;
      const checkpoints = options.checkpoint
        .map(readHeld)
        .map(({ log, checkpoint: note }) => ({ log, note }));
      try {
        await serve({
          bundle,
          log_level: logLevel,
          checkpoints,
          ...(port === undefined ? {} : { port }),
          ...(untilInputEnds === undefined ? {} : { until_input_ends: untilInputEnds }),
        });
      } catch (error) {
        throw failureOf(error);
      }
    });
}

/** What keeps the broker from starting, in words; anything else is a broken invariant and keeps its stack. */
function failureOf(error: unknown): unknown {
  const mistakes = mistakesOf(error);
  if (mistakes !== undefined) {
    const lines = mistakes.map(mistakeLine).join('\n');
    return new CliFailure(EXIT.no, `${lines}\n${countOf(mistakes.length, 'mistake')}: not started.`);
  }
  const { code, message, address, port } = error as NodeJS.ErrnoException & {
    address?: string;
    port?: number;
  };
  if (code === 'EADDRINUSE') {
    return new CliFailure(EXIT.no, `not started: ${address}:${port} is taken; choose another with --port`);
  }
  const explained = [KeyFileError, KeyTextError, ConnectorRefused, StoreUnavailable].some(
    (kind) => error instanceof kind,
  );
  if (explained || (error instanceof Error && code !== undefined)) {
    return new CliFailure(EXIT.no, `not started: ${message}`);
  }
  return error;
}

/** main.ts refuses a broken bundle with an error that carries its mistakes. */
function mistakesOf(error: unknown): readonly Mistake[] | undefined {
  const { mistakes } = error as { mistakes?: unknown };
  return error instanceof Error && Array.isArray(mistakes) ? (mistakes as Mistake[]) : undefined;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^[0-9]{1,5}$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError('Expected a port from 0 to 65535.');
}
