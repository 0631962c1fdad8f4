// Seals the records of a vault: grants lie in the data folder as the secrets of the store do, worth nothing without the key.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import { type Vault, VaultError } from '../oauth/vault.ts';
import type { KeyEncryption } from './key-encryption.ts';
import { KEY_BYTES, NONCE_BYTES, open, placeOf, seal } from './seal.ts';

export interface SealedVault extends Vault {
  /** Wraps the records of these connectors with the current key; answers which keys are still needed after it. */
  rewrap(connectors: Iterable<string>): Promise<string[]>;
}

interface SealedRecord {
  readonly key_id: string;
  readonly wrapped: string;
  readonly sealed: string;
}

/** Records that were written before they were sealed are read as they are, and sealed when they are next written. */
export function createSealedVault(
  inner: Vault,
  keys: KeyEncryption,
  random: (bytes: number) => Uint8Array,
): SealedVault {
  /** One at a time: what wraps anew must not put an older record back over a newer one. */
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = turn.then(work, work);
    turn = mine.catch(() => undefined);
    return mine;
  };

  const sealRecord = async (connector: string, record: JsonObject): Promise<JsonObject> => {
    const place = placeIn(connector);
    const key = Buffer.from(random(KEY_BYTES));
    const { key_id, wrapped } = await keys.wrap(key, placeOf(place, 'key'));
    const text = Buffer.from(JSON.stringify(record), 'utf8');
    const sealed = seal(text, key, random(NONCE_BYTES), placeOf(place, 'value'));
    key.fill(0);
    return { key_id, wrapped: base64(wrapped), sealed: base64(sealed) };
  };
  const openRecord = async (connector: string, record: JsonObject | null): Promise<JsonObject | null> => {
    if (record === null || !isSealed(record)) return record;
    const place = placeIn(connector);
    let text: Buffer;
    try {
      const key = await keys.unwrap(record.key_id, bytesOf(record.wrapped), placeOf(place, 'key'));
      text = open(bytesOf(record.sealed), key, placeOf(place, 'value'));
    } catch (error) {
      throw new VaultError(`the grant of ${connector} cannot be opened: ${(error as Error).message}`);
    }
    const value = JSON.parse(text.toString('utf8')) as Json;
    return isJsonObject(value) ? value : null;
  };

  return {
    take: (connector) => inTurn(async () => openRecord(connector, await inner.take(connector))),
    look: async (connector) => openRecord(connector, await inner.look(connector)),
    write: (connector, record) =>
      inTurn(async () => inner.write(connector, await sealRecord(connector, record))),
    offer: async (connector, record) => inner.offer(connector, await sealRecord(connector, record)),
    rewrap: (connectors) =>
      inTurn(async () => {
        const current = await keys.current();
        const needed = new Set<string>();
        for (const connector of connectors) {
          const record = await inner.take(connector);
          if (record === null || (isSealed(record) && record.key_id === current)) continue;
          try {
            await inner.write(connector, await sealRecord(connector, (await openRecord(connector, record))!));
          } catch {
            if (isSealed(record)) needed.add(record.key_id);
          }
        }
        return [...needed];
      }),
  };
}

/** Versions count in the store only: here each file holds one record, which is replaced. */
function placeIn(connector: string) {
  return { tenant: '', name: `grant of ${connector}`, version: 0 };
}

function isSealed(record: JsonObject): record is JsonObject & SealedRecord {
  return ['key_id', 'wrapped', 'sealed'].every((key) => typeof record[key] === 'string');
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'base64');
}
