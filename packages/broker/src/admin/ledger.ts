// The ledger as people entitled to it read it.
import type { Receipt } from '@countersign/contract/wire.ts';
import type { World } from '#call/world.ts';
import type { Person } from '#rules/principal.ts';
import { fail, hasRole, notFound, ok, type Result } from './result.ts';

export interface LedgerPage {
  readonly log: string;
  readonly entries: readonly {
    readonly seq: number;
    readonly entry: string;
    readonly payload: { readonly salt: string; readonly body: string } | null;
  }[];
}

/** Entries of the tenant's log (or, for admins and auditors, of the installation's) from `from` on. */
export async function readLedger(
  world: World,
  person: Person,
  page: { readonly log?: string; readonly from: number; readonly limit: number },
): Promise<Result<LedgerPage>> {
  const log = logOf(person, page.log);
  if (log === null) return notFound();
  const entries = await world.store.read((tx) => world.ledger.readEntries(tx, log, page.from, page.limit));
  return ok({ log, entries });
}

/** An entry with the proof that it is in the log, under the newest signed checkpoint. */
export async function showReceipt(
  world: World,
  person: Person,
  log: string,
  seq: number,
): Promise<Result<Receipt>> {
  if (logOf(person, log) === null) return notFound();
  await world.ledger.checkpoint(log);
  const receipt = await world.store.read((tx) => world.ledger.receipt(tx, log, seq));
  return receipt === undefined ? notFound() : ok(receipt);
}

/** The newest signed checkpoint, to be kept outside, and the key that verifies it. */
export async function latestCheckpoint(
  world: World,
  person: Person,
  log?: string,
): Promise<Result<{ readonly log: string; readonly checkpoint: string; readonly vkey: string }>> {
  const name = logOf(person, log);
  if (name === null) return notFound();
  await world.ledger.checkpoint(name);
  const checkpoint = await world.store.read((tx) => world.ledger.latestCheckpoint(tx, name));
  if (checkpoint === undefined) return fail('not_found', 'This log has no entries yet.');
  return ok({ log: name, checkpoint, vkey: world.ledger.vkey });
}

function logOf(person: Person, wanted: string | undefined): string | null {
  if (!hasRole(person, 'auditor', 'operator', 'admin')) return null;
  const log = wanted ?? person.tenant;
  if (log === person.tenant) return log;
  return log === 'installation' && hasRole(person, 'auditor', 'admin') ? log : null;
}
