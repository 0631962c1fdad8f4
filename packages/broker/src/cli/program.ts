// The `countersign` command: puts the command groups together and turns failures into messages and exit codes.
import { CountersignProblem, CountersignUnreachable } from '@countersign/sdk/problem';
import { Command, CommanderError } from 'commander';
import { agentsCommands } from './agents.ts';
import { alertsCommands } from './alerts.ts';
import { approvalsCommands } from './approvals.ts';
import { breakGlassCommands } from './break-glass.ts';
import { bundleCommands } from './bundle.ts';
import { callsCommands } from './calls.ts';
import { checkCommand } from './check.ts';
import type { CliWorld } from './connection.ts';
import { connectorsCommands } from './connectors.ts';
import { CliFailure, EXIT, type ExitCode } from './exit.ts';
import { haltCommands } from './halts.ts';
import { initCommand } from './init.ts';
import { keysCommands } from './keys.ts';
import { ledgerCommands } from './ledger.ts';
import { loginCommands } from './login.ts';
import { mcpCommand } from './mcp.ts';
import { peopleCommands } from './people.ts';
import { pinCommand } from './pin.ts';
import { printable } from './printable.ts';
import { quotasCommand } from './quotas.ts';
import { reviewCommand } from './review.ts';
import { runsCommands } from './runs.ts';
import { secretsCommands } from './secrets.ts';
import { type Serve, serveCommand } from './serve.ts';
import { storeCommands } from './store.ts';
import type { Terminal } from './terminal.ts';
import { testCommand } from './test.ts';
import { tokensCommands } from './tokens.ts';
import { toolsCommand } from './tools.ts';
import { toolsNewCommands } from './tools-new.ts';
import { undoCommands } from './undo.ts';

const VERSION = '0.1.0';

const AFTER_HELP = `
Commands that speak to a broker take --url, --as and --key, or COUNTERSIGN_URL, COUNTERSIGN_AS and COUNTERSIGN_KEY;
without a name and a key they act for whoever logged in: countersign login.

Exit codes:
  0  done, or the answer is yes
  1  the answer is no: mistakes, a failed case, a ledger that does not verify, a question declined
  2  the command was given wrongly
  3  the broker refused
  4  no broker answered`;

/** What the commands need from main.ts. */
export interface Commands {
  readonly serve: Serve;
  readonly terminal: Terminal;
  /** The process's environment, or the part of it that begins with COUNTERSIGN_. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** The whole command; `exit` is told the code of a command that ran and has bad news. */
function buildProgram(commands: Commands, exit: (code: ExitCode) => void): Command {
  const { terminal, environment } = commands;
  const world: CliWorld = { terminal, environment, exit };
  const program = new Command('countersign')
    .description('The execution plane for tool-calling AI agents.')
    .version(VERSION)
    .showSuggestionAfterError()
    .addHelpText('after', AFTER_HELP);
  initCommand(program, world);
  checkCommand(program, world);
  testCommand(program, world);
  pinCommand(program, world);
  connectorsCommands(program, world);
  serveCommand(program, commands.serve);
  mcpCommand(program, world);
  keysCommands(program, world);
  loginCommands(program, world);
  peopleCommands(program, world);
  breakGlassCommands(program, world);
  tokensCommands(program, world);
  approvalsCommands(program, world);
  agentsCommands(program, world);
  haltCommands(program, world);
  quotasCommand(program, world);
  undoCommands(callsCommands(program, world), runsCommands(program, world), world);
  alertsCommands(program, world);
  const tools = toolsCommand(program, world);
  reviewCommand(tools, world);
  toolsNewCommands(tools, world);
  bundleCommands(program, world);
  secretsCommands(program, world);
  ledgerCommands(program, world);
  storeCommands(program, world);
  settle(program, terminal);
  return program;
}

/** Runs the command line and answers its exit code. `argv` without node and script. */
export async function runProgram(argv: readonly string[], commands: Commands): Promise<ExitCode> {
  let code: ExitCode = EXIT.ok;
  const program = buildProgram(commands, (told) => {
    code = told;
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    return failureCode(error, commands.terminal);
  }
  return code;
}

/** Every command throws instead of ending the process, and writes where the terminal says. */
function settle(command: Command, terminal: Terminal): void {
  command.exitOverride();
  command.configureOutput({
    writeOut: (text) => terminal.out(text.trimEnd()),
    writeErr: (text) => terminal.err(text.trimEnd()),
  });
  for (const child of command.commands) settle(child, terminal);
}

function failureCode(error: unknown, terminal: Terminal): ExitCode {
  // Commander has said what is wrong by itself; help and version end with 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof CliFailure) {
    terminal.err(error.message);
    return error.exit;
  }
  if (CountersignProblem.is(error)) {
    terminal.err(printable(`Refused (${error.code}): ${error.detail}`));
    for (const { pointer, message } of error.problem.issues ?? []) {
      terminal.err(printable(`  ${pointer}: ${message}`));
    }
    return EXIT.refused;
  }
  if (error instanceof CountersignUnreachable) {
    terminal.err(printable(error.message));
    return EXIT.unreachable;
  }
  throw error;
}
