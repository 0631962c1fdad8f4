// `countersign store`: checks the broker's database, copies it while it is in use, and puts a copy back.
import { randomBytes } from 'node:crypto';
import { newId } from '@countersign/contract/ids.ts';
import type { Command } from 'commander';
import { recordHalt } from '#admin/halts.ts';
import { backupStore, checkStore, restoreStore } from '#store/backup-store.ts';
import { StoreUnavailable, type WriteTx } from '#store/tx.ts';
import type { CliWorld } from './connection.ts';
import { CliFailure, EXIT } from './exit.ts';

interface FileOption {
  readonly file: string;
}

export function storeCommands(program: Command, world: CliWorld): void {
  const { terminal } = world;
  const group = program
    .command('store')
    .description("the broker's database: check it, copy it, put a copy back");
  group
    .command('check')
    .description('read every page and hold every index against its table')
    .requiredOption('--file <db>', "the broker's database, or a copy")
    .action(({ file }: FileOption) => {
      const found = saying(() => checkStore(file));
      if (found === null) return terminal.out(`${file} is sound.`);
      terminal.out(`${file} is damaged: ${found}`);
      world.exit(EXIT.no);
    });
  group
    .command('backup <out>')
    .description('copy the state as it is now into a new file; the broker may go on')
    .requiredOption('--file <db>', "the broker's database")
    .action(async (out: string, { file }: FileOption) => {
      const bytes = await saying(() => backupStore(file, out));
      terminal.out(`Kept in ${out}: ${bytes} bytes, checked. Keep the keys folder too, and apart from it.`);
    });
  group
    .command('restore <backup>')
    .description('put a backup in the place of the database, halted; what was there is moved aside')
    .requiredOption('--file <db>', "the broker's database")
    .action(async (copy: string, { file }: FileOption) => {
      const now_ms = Date.now();
      const halt = newId('hlt', now_ms, randomBytes);
      const aside = await saying(() => restoreStore(copy, file, now_ms, (tx) => haltAll(tx, halt, now_ms)));
      terminal.out(
        `Restored ${file} from ${copy}.${aside === null ? '' : ` What was there is now ${aside}.`}`,
      );
      terminal.out(
        'Everything is halted in it: it does not know what was done since, and would do what it has as approved. ' +
          `When that is settled: countersign lift ${halt}`,
      );
    });
}

/** What was done after the backup is not in it: a broker that goes on from there acts only once a person has looked. */
async function haltAll(tx: WriteTx, id: string, at_ms: number): Promise<void> {
  const by = 'store restore';
  const reason = 'The store was restored from a backup: what was done since is not in it.';
  await recordHalt(tx, { id, tenant: null, scope: 'everything', target: null, reason, by, at_ms });
}

/** What the file system or the store refuses, in words. */
function saying<T>(work: () => T): T {
  const explain = (error: unknown): never => {
    const { code, message } = error as NodeJS.ErrnoException;
    if (error instanceof StoreUnavailable) throw new CliFailure(EXIT.no, message);
    if (error instanceof Error && (code !== undefined || message.startsWith('there is no file')))
      throw new CliFailure(EXIT.usage, message);
    throw error;
  };
  try {
    const done = work();
    return done instanceof Promise ? (done.catch(explain) as T) : done;
  } catch (error) {
    return explain(error);
  }
}
