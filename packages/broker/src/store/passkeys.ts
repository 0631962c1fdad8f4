// Passkeys: public keys of people's authenticators, with the counter that shows a copied one.
import type { Tx } from './tx.ts';

export interface StoredPasskey {
  /** As WebAuthn names it, base64url. */
  readonly credential_id: string;
  readonly tenant: string;
  readonly person: string;
  readonly label: string;
  /** COSE key, base64url. */
  readonly public_key: string;
  readonly counter: number;
  /** JSON list of the transports that the authenticator named. */
  readonly transports: string;
  readonly created_at_ms: number;
  readonly last_used_at_ms: number | null;
}

const COLUMNS =
  'credential_id, tenant, person, label, public_key, counter, transports, created_at_ms, last_used_at_ms';

/** Keeps a new passkey; false when the credential is known already, whoever's it is. */
export async function insertPasskey(tx: Tx, key: StoredPasskey): Promise<boolean> {
  const { changes } = await tx.run(
    `insert into passkeys (${COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (credential_id) do nothing`,
    ...[key.credential_id, key.tenant, key.person, key.label, key.public_key, key.counter],
    ...[key.transports, key.created_at_ms, key.last_used_at_ms],
  );
  return changes === 1;
}

/** The passkey with this id, unless it was removed. */
export async function getPasskey(tx: Tx, credential_id: string): Promise<StoredPasskey | undefined> {
  return tx.get<StoredPasskey>(
    `select ${COLUMNS} from passkeys where credential_id = ? and removed_at_ms is null`,
    credential_id,
  );
}

/** Passkeys of a person, oldest first. */
export async function listPasskeys(tx: Tx, tenant: string, person: string): Promise<StoredPasskey[]> {
  return tx.all<StoredPasskey>(
    `select ${COLUMNS} from passkeys where tenant = ? and person = ? and removed_at_ms is null
     order by created_at_ms, credential_id`,
    ...[tenant, person],
  );
}

/** Marks a use. False when somebody used the passkey meanwhile: of two uses of one state, one is a copy. */
export async function usePasskey(
  tx: Tx,
  { credential_id, counter }: StoredPasskey,
  next_counter: number,
  at_ms: number,
): Promise<boolean> {
  const { changes } = await tx.run(
    `update passkeys set counter = ?, last_used_at_ms = ?
     where credential_id = ? and counter = ? and removed_at_ms is null`,
    ...[next_counter, at_ms, credential_id, counter],
  );
  return changes === 1;
}

/** Removes a passkey of this person; false when there is none. */
export async function removePasskey(
  tx: Tx,
  tenant: string,
  person: string,
  credential_id: string,
  at_ms: number,
): Promise<boolean> {
  const { changes } = await tx.run(
    `update passkeys set removed_at_ms = ?
     where tenant = ? and person = ? and credential_id = ? and removed_at_ms is null`,
    ...[at_ms, tenant, person, credential_id],
  );
  return changes === 1;
}
