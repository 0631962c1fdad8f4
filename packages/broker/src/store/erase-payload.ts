// Erases the payload of one entry, and what else the store keeps of the same texts.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Tx } from './tx.ts';

/** `in_use`: a live run or a call that is not over still needs it; nothing was erased. */
export type Erased = 'erased' | 'nothing' | 'in_use';

/** Every proof stays intact: the entry holds only a commitment to its payload. */
export async function erasePayload(tx: Tx, log: string, seq: number): Promise<Erased> {
  const row = await tx.get<{ entry: string }>(
    'select entry from entries where log = ? and seq = ?',
    log,
    seq,
  );
  if (row === undefined) return 'nothing';
  const { kind, facts } = JSON.parse(row.entry) as { readonly kind: string; readonly facts: JsonObject };
  if ((await neededBy(tx, kind, facts)) !== null) return 'in_use';
  const { changes } = await tx.run('delete from payloads where log = ? and seq = ?', log, seq);
  if (typeof facts.call === 'string') {
    await tx.run('update calls set deed = null, reply = null where id = ?', facts.call);
  }
  if (kind === 'run.opened' && typeof facts.run === 'string') {
    await tx.run(`update runs set bound = '{}', trigger_ref = null, model = null where id = ?`, facts.run);
  }
  if (kind === 'halt.set' && typeof facts.halt === 'string') {
    await tx.run(`update halts set reason = '' where id = ?`, facts.halt);
  }
  return changes > 0 ? 'erased' : 'nothing';
}

/** What still needs the payload of an entry: a call that is not over, or a live run. Null when nothing does. */
export async function neededBy(tx: Tx, kind: string, { call, run }: JsonObject): Promise<string | null> {
  if (typeof call === 'string') {
    const found = await tx.get<{ status: string }>(
      `select status from calls where id = ? and status in ('held', 'running', 'in_doubt')`,
      call,
    );
    return found === undefined ? null : `call ${call}, which is ${found.status}`;
  }
  if (kind === 'run.opened' && typeof run === 'string') {
    const found = await tx.get('select 1 as it from runs where id = ? and ended_at_ms is null', run);
    return found === undefined ? null : `run ${run}, which is open`;
  }
  return null;
}
