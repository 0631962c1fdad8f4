// Compiles where the key comes from that wraps the data keys of the sealed store.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Sealing } from './bundle.ts';
import { referenceOf, secretFile } from './connector-credential.ts';
import type { Protected } from './reach.ts';

type Wrong = (pointer: string, message: string, hint?: string) => void;

/** `written` has the right shape. No key lies in the store that it opens. */
export function sealingOf(written: JsonObject, root: string, wrong: Wrong): Sealing {
  const { key, transit } = written as { readonly key?: string; readonly transit?: JsonObject };
  if (key !== undefined && transit !== undefined)
    wrong('/sealing', 'expected key or transit, not both', 'name the one place where the key is');
  if (transit !== undefined) {
    const { url, namespace = null, mount = 'transit', token, allow_private = false } = transit;
    const reference = outside(token as string, '/sealing/transit/token', root, wrong);
    const options = { url, namespace, mount, key: transit.key, token: reference, allow_private };
    return { kind: 'transit', ...options } as unknown as Sealing;
  }
  return key === undefined
    ? { kind: 'own-file' }
    : { kind: 'key', reference: outside(key, '/sealing/key', root, wrong) };
}

function outside(reference: string, pointer: string, root: string, wrong: Wrong): string {
  if (reference.startsWith('sealed:'))
    wrong(pointer, 'what opens the sealed store cannot lie in it', 'write env:NAME or file:path');
  return referenceOf(reference, pointer, root, wrong);
}

/** Files that open the sealed store: no connector may reach them. */
export function sealingFiles(sealing: Sealing, root: string): Protected[] {
  if (sealing.kind === 'own-file') return [];
  return secretFile(sealing.kind === 'key' ? sealing.reference : sealing.token, root);
}
