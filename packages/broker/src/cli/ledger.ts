// `countersign ledger`: verifies the record offline, and fetches the proofs that an auditor keeps.
import { writeFileSync } from 'node:fs';
import { verifyReceipt } from '@countersign/contract/receipt.ts';
import type { Erasure, Receipt } from '@countersign/contract/wire.ts';
import type { Command } from 'commander';
import { type LedgerReport, verifyLedger } from '#store/verify-ledger.ts';
import type { LogFailure, LogReport } from '#store/verify-log.ts';
import { type CliWorld, type ConnectionOptions, connect, withConnection } from './connection.ts';
import { CliFailure, EXIT } from './exit.ts';
import { collect, readHeld, readJson, readText } from './held-checkpoint.ts';
import { printable, printableJson } from './printable.ts';

interface VerifyFlags {
  readonly file: string;
  readonly key?: string;
  readonly keyFile?: string;
  readonly checkpoint: readonly string[];
  readonly json?: boolean;
}

export function ledgerCommands(program: Command, world: CliWorld): void {
  const group = program.command('ledger').description('the append-only record, and proofs of what is in it');
  group
    .command('verify')
    .description('prove the whole record offline, from the file and the public key')
    .requiredOption('--file <db>', "the broker's database, or a copy")
    .option('--key <vkey>', 'the verifier key, as `ledger checkpoint` prints it')
    .option('--key-file <file>', 'a file that holds the verifier key')
    .option('--checkpoint <file>', 'a checkpoint kept elsewhere; repeatable', collect, [])
    .option('--json', 'print JSON, for machines')
    .action((options: VerifyFlags) => verify(options, world));
  group
    .command('verify-receipt <file>')
    .description('check one receipt offline')
    .requiredOption('--key <vkey>', 'the verifier key')
    .action((file: string, options: { key: string }) => checkReceipt(file, options.key, world));
  withConnection(
    group.command('receipt <log> <seq>').description('an entry with the proof that it is in the record'),
  )
    .option('--out <file>', 'write it there')
    .action(async (log: string, seq: string, options: ConnectionOptions & { out?: string }) => {
      const receipt = await connect(options, world).showReceipt(log, wholeNumber(seq));
      keep(receipt, options.out, world);
    });
  withConnection(
    group.command('checkpoint [log]').description('the newest signed checkpoint, to keep elsewhere'),
  )
    .option('--out <file>', 'write it there')
    .action(async (log: string | undefined, options: ConnectionOptions & { out?: string }) => {
      keep(await connect(options, world).latestCheckpoint(log), options.out, world);
    });
  withConnection(
    group
      .command('erase <log> <seq>')
      .description("erase what an entry's payload said; the entry and all proofs stay"),
  )
    .requiredOption('--reason <text>', 'why; kept on record with who did it')
    .action(async (log: string, seq: string, options: ConnectionOptions & { reason: string }) => {
      const erased = await connect(options, world).erasePayload(log, wholeNumber(seq), options.reason);
      world.terminal.out(options.json ? printableJson(erased) : told(erased));
    });
}

function told({ log, seq, kind, recorded_as, gone_from_files }: Erasure): string {
  const files = gone_from_files
    ? 'It is gone from the files of the store.'
    : 'A reader keeps an older state of it in the write-ahead log: the next checkpoint removes it.';
  return `Erased the payload of entry ${seq} of ${printable(log)} (${printable(kind)}); recorded as entry ${recorded_as}. ${files}`;
}

function verify(options: VerifyFlags, world: CliWorld): void {
  const held = options.checkpoint.map(readHeld);
  const vkey =
    options.key ?? (options.keyFile === undefined ? held[0]?.vkey : readText(options.keyFile).trim());
  if (vkey === undefined) throw new CliFailure(EXIT.usage, 'expected --key, --key-file or --checkpoint');
  let report: LedgerReport;
  try {
    const notes = held.map(({ log, checkpoint }) => ({ log, note: checkpoint }));
    report = verifyLedger(options.file, vkey, { held: notes });
  } catch (error) {
    throw new CliFailure(EXIT.usage, (error as Error).message);
  }
  if (!report.ok) world.exit(EXIT.no);
  if (options.json) {
    world.terminal.out(printableJson(report));
    return;
  }
  for (const log of report.logs) world.terminal.out(logLine(log));
  world.terminal.out(verdict(report));
}

function verdict({ ok, logs }: LedgerReport): string {
  if (!ok) return 'The ledger does NOT verify: something was changed after it was signed.';
  const unsigned = logs.reduce((sum, log) => sum + log.uncovered, 0);
  return unsigned === 0
    ? 'The ledger verifies.'
    : `What is signed verifies; ${unsigned} newer entries are not signed, so that nobody vouches for them.`;
}

function logLine(report: LogReport): string {
  if (report.failure !== null) return `${printable(report.log)}: ${failureWords(report.failure)}`;
  const signed = report.uncovered === 0 ? 'all signed' : `the last ${report.uncovered} not signed yet`;
  const parts = [`${report.entries} entries`, signed];
  if (report.erased > 0) parts.push(`${report.erased} payloads erased`);
  return `${printable(report.log)}: ${parts.join(', ')}`;
}

function failureWords(failure: LogFailure): string {
  const where =
    failure.kind === 'entry'
      ? `entry ${failure.seq}`
      : `an entry between ${failure.from_size} and ${failure.to_size}`;
  return `${where} fails: ${printable(failure.reason)}`;
}

function checkReceipt(file: string, vkey: string, world: CliWorld): void {
  const checked = verifyReceipt(readJson<Receipt>(file), vkey);
  if (checked.ok) {
    world.terminal.out('The receipt verifies: the entry is in the record that this key signed.');
  } else {
    world.terminal.err(`The receipt does NOT verify: ${printable(checked.message)}`);
    world.exit(EXIT.no);
  }
}

function keep(value: object, file: string | undefined, world: CliWorld): void {
  const text = JSON.stringify(value, null, 2);
  if (file !== undefined) writeFileSync(file, `${text}\n`);
  world.terminal.out(file === undefined ? text : `Kept in ${file}`);
}

function wholeNumber(text: string): number {
  if (/^[0-9]{1,15}$/.test(text)) return Number(text);
  throw new CliFailure(EXIT.usage, `expected the number of an entry, got ${JSON.stringify(text)}`);
}
