// The sealed store: secrets that cannot be minted, each under a data key of its own that a key-encryption key wraps.
import {
  destroySuperseded,
  extendLease,
  insertSecret,
  keysInUse,
  type ListedSecret,
  lastVersion,
  listSecrets,
  removeSecret,
  rewrap,
  type SealedRow,
  secretInForce,
  wrappedOtherwise,
} from '#store/secrets.ts';
import type { Store } from '#store/store.ts';
import type { WriteTx } from '#store/tx.ts';
import type { KeyEncryption } from './key-encryption.ts';
import { KEY_BYTES, NONCE_BYTES, open, placeOf, seal } from './seal.ts';
import { SecretText } from './secret-text.ts';

export interface SealedStoreDeps {
  readonly store: Store;
  readonly keys: KeyEncryption;
  readonly clock: { now(): number };
  readonly random: (bytes: number) => Uint8Array;
  /** Wraps with the current key what lies elsewhere under the same keys; answers which others are still needed. */
  readonly rewrapElsewhere?: () => Promise<readonly string[]>;
  /** Whose secrets the references of the bundle mean: connectors and webhooks belong to no tenant. */
  readonly tenant: () => string;
}

/** What is written into the ledger in the transaction of a change. */
export type Also<T> = (tx: WriteTx, what: T) => Promise<unknown>;

export interface Rotated {
  /** Id of the key that wraps now. */
  readonly key_id: string;
  readonly rewrapped: number;
  /** Versions, as `name@version`, that could not be opened and stay as they are. */
  readonly failed: readonly string[];
}

/** There is no such secret, or it cannot be opened. The message names it and why, never a value. */
export class SealedUnavailable extends Error {
  override readonly name = 'SealedUnavailable';
}

const SET_TRIES = 3;
const REWRAP_AT_ONCE = 50;

export class SealedStore {
  readonly #deps: SealedStoreDeps;
  /** One change of wrappings at a time: no key is forgotten while something is being wrapped with it. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(deps: SealedStoreDeps) {
    this.#deps = deps;
  }

  get tenant(): string {
    return this.#deps.tenant();
  }

  /** For people: where the key-encryption key is. */
  get where(): string {
    return this.#deps.keys.where;
  }

  /** Seals a new version and puts it in force; answers its number. The one before stays as long as a lease on it lasts. */
  set(name: string, value: SecretText, by: string, also: Also<{ version: number }>): Promise<number> {
    const { store, keys, clock, random, tenant } = this.#deps;
    return this.#inTurn(async () => {
      for (let tries = 0; tries < SET_TRIES; tries++) {
        const place = {
          tenant: tenant(),
          name,
          version: 1 + (await store.read((tx) => lastVersion(tx, tenant(), name))),
        };
        const key = Buffer.from(random(KEY_BYTES));
        const text = Buffer.from(value.reveal(), 'utf8');
        const wrapped = await keys.wrap(key, placeOf(place, 'key'));
        const sealed = seal(text, key, random(NONCE_BYTES), placeOf(place, 'value'));
        key.fill(0);
        text.fill(0);
        const row = { ...place, ...wrapped, sealed, set_by: by, set_at_ms: clock.now() };
        const inserted = await store.write(async (tx) => {
          if (!(await insertSecret(tx, row))) return false;
          await also(tx, { version: place.version });
          return true;
        });
        if (inserted) return place.version;
      }
      throw new SealedUnavailable(`secret ${name} is being set by others at the same time`);
    });
  }

  /** Destroys every version, leases or not. Null where there is none. */
  async remove(name: string, also: Also<ListedSecret>): Promise<ListedSecret | null> {
    const { store, clock, tenant } = this.#deps;
    const removed = await store.write(async (tx) => {
      const found = await removeSecret(tx, tenant(), name, clock.now());
      if (found !== null) await also(tx, found);
      return found;
    });
    if (removed !== null) await store.emptyLog();
    return removed;
  }

  list(): Promise<ListedSecret[]> {
    return this.#deps.store.read((tx) => listSecrets(tx, this.#deps.tenant()));
  }

  /** The value in force. Rejects with SealedUnavailable. */
  async read(name: string): Promise<SecretText> {
    return this.#open(await this.#inForce(name));
  }

  /** The value in force, whose version outlasts a newer one until then. Rejects with SealedUnavailable. */
  async lease(
    name: string,
    until_ms: number,
  ): Promise<{ readonly value: SecretText; readonly version: number }> {
    const row = await this.#inForce(name);
    if (row.leased_until_ms < until_ms) {
      // Twice as long as asked: a busy tool does not write at every call.
      const enough = 2 * until_ms - this.#deps.clock.now();
      const kept = await this.#deps.store.write((tx) => extendLease(tx, row, enough));
      if (!kept) throw new SealedUnavailable(`secret ${name} was removed`);
    }
    return { value: await this.#open(row), version: row.version };
  }

  /** Destroys superseded versions whose leases are over, in the files too. */
  async destroySuperseded(also: Also<Pick<SealedRow, 'tenant' | 'name' | 'version'>>): Promise<number> {
    const { store, clock } = this.#deps;
    const destroyed = await store.write(async (tx) => {
      const rows = await destroySuperseded(tx, clock.now());
      for (const row of rows) await also(tx, row);
      return rows.length;
    });
    if (destroyed > 0) await store.emptyLog();
    return destroyed;
  }

  /**
   * Makes a new key-encryption key, where the broker may, and wraps every data key with it; no value is opened. A crash at any
   * point leaves every version openable, and `settle` goes on from there.
   */
  rotate(): Promise<Rotated> {
    return this.#inTurn(async () => {
      await this.#deps.keys.renew?.();
      return this.#rewrapAll();
    });
  }

  /** Wraps with the current key what an earlier one still wraps: after a crash, or when its owner has changed the key. */
  settle(): Promise<Rotated> {
    return this.#inTurn(() => this.#rewrapAll());
  }

  async #rewrapAll(): Promise<Rotated> {
    const { store, keys } = this.#deps;
    const key_id = await keys.current();
    const tried = new Set<string>();
    const failed: string[] = [];
    for (;;) {
      const rows = await store.read((tx) => wrappedOtherwise(tx, key_id, REWRAP_AT_ONCE + tried.size));
      const left = rows.filter((row) => !tried.has(labelOf(row)));
      if (left.length === 0) break;
      for (const row of left) {
        tried.add(labelOf(row));
        const again = await this.#rewrapOne(row);
        if (again === null) failed.push(labelOf(row));
        else await store.write((tx) => rewrap(tx, row, again));
      }
    }
    const elsewhere = (await this.#deps.rewrapElsewhere?.()) ?? [];
    // What cannot be opened now may be opened one day: its key stays.
    await keys.forget([...(await store.read((tx) => keysInUse(tx))), ...elsewhere]);
    return { key_id, rewrapped: tried.size - failed.length, failed };
  }

  async #rewrapOne(row: SealedRow): Promise<{ key_id: string; wrapped: Uint8Array } | null> {
    const { keys } = this.#deps;
    const place = placeOf(row, 'key');
    try {
      const key = await keys.unwrap(row.key_id, row.wrapped, place);
      try {
        return await keys.wrap(key, place);
      } finally {
        key.fill(0);
      }
    } catch {
      return null;
    }
  }

  async #inForce(name: string): Promise<SealedRow & { readonly leased_until_ms: number }> {
    const { store, tenant } = this.#deps;
    const row = await store.read((tx) => secretInForce(tx, tenant(), name));
    if (row === undefined) throw new SealedUnavailable(`there is no secret ${name} in the sealed store`);
    return row;
  }

  async #open(row: SealedRow): Promise<SecretText> {
    try {
      const key = await this.#deps.keys.unwrap(row.key_id, row.wrapped, placeOf(row, 'key'));
      const text = open(row.sealed, key, placeOf(row, 'value'));
      key.fill(0);
      const secret = new SecretText(text.toString('utf8'));
      text.fill(0);
      return secret;
    } catch (error) {
      throw new SealedUnavailable(`secret ${labelOf(row)} cannot be opened: ${(error as Error).message}`);
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work, work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }
}

function labelOf({ name, version }: Pick<SealedRow, 'name' | 'version'>): string {
  return `${name}@${version}`;
}
