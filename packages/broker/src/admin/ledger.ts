// The ledger as people entitled to it read it.
import type { Receipt } from '@countersign/contract/wire.ts';
import { INSTALLATION_LOG, tenantLog } from '#call/logs.ts';
import type { World } from '#call/world.ts';
import type { Person } from '#rules/principal.ts';
import { type ReadEntry, readEntries, receipt, signCheckpoint } from '#store/ledger.ts';
import { fail, hasRole, notFound, ok, type Result } from './result.ts';

export interface LedgerPage {
  readonly log: string;
  readonly entries: readonly ReadEntry[];
}

/** Entries of the tenant's log (or, for admins and auditors, of the installation's) from `from` on. */
export async function readLedger(
  world: World,
  person: Person,
  page: { readonly log?: string; readonly from: number; readonly limit: number },
): Promise<Result<LedgerPage>> {
  const log = logFor(person, page.log);
  if (log === null) return notFound();
  return ok({ log, entries: await world.store.read((tx) => readEntries(tx, log, page.from, page.limit)) });
}

/** An entry with its payload and the proof that it is in the log, under a fresh signed checkpoint. */
export async function showReceipt(
  world: World,
  person: Person,
  log: string,
  seq: number,
): Promise<Result<Receipt>> {
  if (logFor(person, log) === null) return notFound();
  await signCheckpoint(world.store, log, world.signer, world.clock.now());
  const found = await world.store.read((tx) => receipt(tx, log, seq, { payload: true }));
  return found === null ? notFound() : ok(found);
}

/** A fresh signed checkpoint, to be kept outside, and the key that verifies it. */
export async function latestCheckpoint(
  world: World,
  person: Person,
  log?: string,
): Promise<Result<{ readonly log: string; readonly checkpoint: string; readonly vkey: string }>> {
  const name = logFor(person, log);
  if (name === null) return notFound();
  const checkpoint = await signCheckpoint(world.store, name, world.signer, world.clock.now());
  if (checkpoint === null) return fail('not_found', 'This log has no entries yet.');
  return ok({ log: name, checkpoint: checkpoint.note, vkey: world.signer.vkey });
}

/** The log that the person may reach, by default the one of the own tenant; null for any other. */
export function logFor(person: Person, wanted: string | undefined): string | null {
  if (!hasRole(person, 'auditor', 'operator', 'admin')) return null;
  const own = tenantLog(person.tenant);
  if (wanted === undefined || wanted === own) return own;
  return wanted === INSTALLATION_LOG && hasRole(person, 'auditor', 'admin') ? wanted : null;
}
