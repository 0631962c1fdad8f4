// Activations: which bundle was put in force when and by whom, with its files.
import { canonicalize } from '@countersign/contract/canonical.ts';
import type { Tx } from './tx.ts';

export interface Activation {
  /** `sha256:<hex>` of the bundle. */
  readonly revision: string;
  readonly at_ms: number;
  readonly by: string;
  /** Canonical text of every file, by path relative to the bundle. */
  readonly files: Readonly<Record<string, string>>;
}

/** Records an activation; the same revision may be activated again. */
export async function insertActivation(tx: Tx, activation: Activation): Promise<void> {
  await tx.run(
    `insert into activations (number, revision, at_ms, activated_by, files)
     select coalesce(max(number), 0) + 1, ?, ?, ?, ? from activations`,
    ...[activation.revision, activation.at_ms, activation.by, canonicalize(activation.files)],
  );
}

/** The bundle that was activated last. */
export async function latestActivation(tx: Tx): Promise<Activation | undefined> {
  const row = await tx.get<Omit<Activation, 'files'> & { files: string }>(
    'select revision, at_ms, activated_by as "by", files from activations order by number desc limit 1',
  );
  return row === undefined ? undefined : { ...row, files: JSON.parse(row.files) as Record<string, string> };
}
