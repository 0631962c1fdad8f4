// `countersign run undo` and `countersign calls undo`: what can be undone, what cannot, and what a person has to do.
import type { UndoPlan, UndoStep } from '@countersign/contract/wire.ts';
import type { Command } from 'commander';
import { type CliWorld, type ConnectionOptions, connect, withConnection } from './connection.ts';
import { EXIT } from './exit.ts';
import { printable, printableJson, printableTable } from './printable.ts';

interface UndoOptions extends ConnectionOptions {
  readonly dryRun?: boolean;
  readonly keepGoing?: boolean;
  readonly yes?: boolean;
}

/** Adds `undo` to the commands of calls and of runs. */
export function undoCommands(calls: Command, runs: Command, world: CliWorld): void {
  withUndo(calls.command('undo <call>').description('undo a call by what its manifest names, once')).action(
    (id: string, options: UndoOptions) => undoOne(id, options, world),
  );
  withUndo(runs.command('undo <run>').description('undo the writes of a run, the last one first'))
    .option('--keep-going', 'pass over what cannot be undone now, instead of stopping there')
    .action((id: string, options: UndoOptions) => undoAll(id, options, world));
}

function withUndo(command: Command): Command {
  return withConnection(command)
    .option('--dry-run', 'say what would be done, and do nothing')
    .option('--yes', 'do not ask');
}

async function undoOne(id: string, options: UndoOptions, world: CliWorld): Promise<void> {
  const people = connect(options, world);
  const undo = async (dry_run: boolean) => planOf(await people.undoCall(id, { dry_run }), dry_run);
  await undoAfterAsking(undo, options, world);
}

async function undoAll(id: string, options: UndoOptions, world: CliWorld): Promise<void> {
  const people = connect(options, world);
  const keep_going = options.keepGoing === true;
  await undoAfterAsking((dry_run) => people.undoRun(id, { dry_run, keep_going }), options, world);
}

type Plan = Omit<UndoPlan, 'run_id'>;

function planOf(step: UndoStep, dry_run: boolean): Plan {
  return { dry_run, steps: [step], left: isDone(step) ? 0 : 1 };
}

async function undoAfterAsking(
  undo: (dryRun: boolean) => Promise<Plan>,
  options: UndoOptions,
  world: CliWorld,
): Promise<void> {
  const dry = options.dryRun === true;
  if (dry || options.yes !== true) {
    const plan = await undo(true);
    if (dry || !options.json) show(plan, options, world);
    if (dry) return;
    const ready = plan.steps.filter(({ state }) => state === 'ready').length;
    if (ready === 0) {
      world.terminal.err('There is nothing that the broker can undo now.');
      if (plan.left > 0) world.exit(EXIT.no);
      return;
    }
    if (!(await agreed(ready, world))) {
      world.exit(EXIT.no);
      return;
    }
  }
  const done = await undo(false);
  show(done, options, world);
  if (done.left > 0) world.exit(EXIT.no);
}

async function agreed(ready: number, { terminal }: CliWorld): Promise<boolean> {
  const answer = await terminal.ask(`\nUndo ${ready === 1 ? 'this call' : `these ${ready} calls`}? [y/N] `);
  if (answer !== null && /^y(es)?$/i.test(answer.trim())) return true;
  terminal.err(
    answer === null
      ? 'Nobody to ask here: nothing was undone. Use --yes to undo without a question.'
      : 'Nothing was undone.',
  );
  return false;
}

function show(plan: Plan, options: UndoOptions, { terminal }: CliWorld): void {
  if (options.json) {
    terminal.out(printableJson(plan));
    return;
  }
  if (plan.steps.length === 0) {
    terminal.out('Nothing was done in this run that could be undone.');
    return;
  }
  const rows = plan.steps.map((step) => [step.call_id, step.tool, step.state, step.what]);
  terminal.out(printableTable(['CALL', 'TOOL', 'UNDO', 'WHAT'], rows));
  for (const { call_id, runbook } of plan.steps) {
    if (runbook !== undefined) terminal.out(`\nRunbook of ${printable(call_id)}:\n  ${printable(runbook)}`);
  }
  terminal.out(`\n${summary(plan)}`);
}

function summary({ dry_run, steps, left }: Plan): string {
  const count = (...states: readonly UndoStep['state'][]) =>
    steps.filter(({ state }) => states.includes(state)).length;
  const parts = [
    [count('undone', 'softened'), dry_run ? 'undone already' : 'undone'],
    [count('ready'), dry_run ? 'can be undone' : 'not begun'],
    [count('waiting'), 'waiting'],
    [count('unknown', 'unsettled', 'manual'), 'for a person'],
    [count('failed', 'blocked', 'impossible'), dry_run ? 'cannot be undone now' : 'not undone'],
  ] as const;
  const said = parts.filter(([n]) => n > 0).map(([n, what]) => `${n} ${what}`);
  return `${said.join(', ')}.${left === 0 ? ' Nothing is left.' : ''}`;
}

function isDone({ state }: UndoStep): boolean {
  return state === 'undone' || state === 'softened';
}
