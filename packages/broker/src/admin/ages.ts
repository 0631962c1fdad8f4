// Ages of keys, principals and tools: counted from the first activated bundle that had them, whatever their files say.
import type { Bundle } from '#bundle/bundle.ts';
import { importRegisteredKey } from '#identity/jwk.ts';
import type { Principal } from '#rules/principal.ts';
import type { WriteTx } from '#store/tx.ts';
import { noteKey, noteSeen } from '#store/uses.ts';

/** RFC 7638 thumbprints of the keys that a principal may sign with, in the order of its file. */
export function thumbprintsOf({ keys }: Pick<Principal, 'keys'>): readonly string[] {
  return keys.map((key) => importRegisteredKey(key)?.thumbprint).filter((each) => each !== undefined);
}

/** Part of the activation's own unit of work. */
export async function noteAges(tx: WriteTx, bundle: Bundle, at_ms: number): Promise<void> {
  for (const principal of bundle.principals.values()) {
    const { tenant, name } = principal;
    await noteSeen(tx, 'principal', name, at_ms);
    for (const thumbprint of thumbprintsOf(principal))
      await noteKey(tx, { tenant, principal: name, thumbprint }, at_ms);
  }
  for (const tool of bundle.tools.keys()) await noteSeen(tx, 'tool', tool, at_ms);
}
