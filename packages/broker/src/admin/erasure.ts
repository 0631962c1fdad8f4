// Erases the payload of a ledger entry for an admin: recorded with who and why, and gone from the files.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Erasure } from '@countersign/contract/wire.ts';
import type { World } from '#call/world.ts';
import { type Person, underGlass } from '#rules/principal.ts';
import { erasePayload, neededBy } from '#store/erase-payload.ts';
import { appendEntry, readEntries } from '#store/ledger.ts';
import { logFor } from './ledger.ts';
import { fail, hasRole, notFound, ok, type Result } from './result.ts';

/** The entry that says who erased what; its own payload stays, or nobody could tell why the other is gone. */
const ERASED = 'payload.erased';

/**
 * Erases what the entry's payload said, with every copy of it in the store; the entry and all proofs stay. Refused
 * while a live run or a call that is not over needs it.
 */
export async function eraseEntry(
  world: World,
  person: Person,
  { log, seq, reason }: { readonly log: string; readonly seq: number; readonly reason: string },
): Promise<Result<Erasure>> {
  if (!hasRole(person, 'admin')) return fail('forbidden', 'Admins erase.');
  if (logFor(person, log) === null) return notFound();
  const at_ms = world.clock.now();
  const erased = await world.store.write(async (tx): Promise<Result<Omit<Erasure, 'gone_from_files'>>> => {
    const [found] = await readEntries(tx, log, seq, 1);
    if (found === undefined || found.seq !== seq) return notFound();
    const { kind, facts } = JSON.parse(found.entry) as { readonly kind: string; readonly facts: JsonObject };
    if (kind === ERASED) return fail('conflict', 'Who erased what, and why, is not erased.');
    const needed = await neededBy(tx, kind, facts);
    if (needed !== null) return fail('conflict', `It is needed by ${needed}. Erase it when that is over.`);
    if ((await erasePayload(tx, log, seq)) !== 'erased')
      return fail('conflict', 'The entry has no payload, or it was erased before.');
    const recorded = await appendEntry(tx, {
      ...{ log, at_ms, kind: ERASED, facts: { erased: seq, ...underGlass(person) } },
      payload: { by: person.name, reason },
    });
    return ok({ log, seq, kind, by: person.name, at_ms, recorded_as: recorded.seq });
  });
  return erased.ok ? ok({ ...erased.value, gone_from_files: await emptyLog(world) }) : erased;
}

/** What was erased is durable in any case: a log that cannot be emptied now is emptied by a later checkpoint. */
async function emptyLog({ store, log }: World): Promise<boolean> {
  try {
    return await store.emptyLog();
  } catch (error) {
    log.error('the write-ahead log was not emptied after an erasure', { reason: (error as Error).message });
    return false;
  }
}
