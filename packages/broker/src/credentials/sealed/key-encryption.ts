// What wraps data keys: the small interface of a key management system, and the one whose keys the broker holds itself.
import { createHash } from 'node:crypto';
import { KEY_BYTES, NONCE_BYTES, open, SealBroken, seal } from './seal.ts';

/** Wraps and unwraps data keys of 32 bytes. What rejects says why without a word of any key. */
export interface KeyEncryption {
  /** For people: where its keys are. */
  readonly where: string;
  /** Id of the key that wraps from now on. */
  current(): Promise<string>;
  wrap(
    key: Uint8Array,
    place: Uint8Array,
  ): Promise<{ readonly key_id: string; readonly wrapped: Uint8Array }>;
  unwrap(key_id: string, wrapped: Uint8Array, place: Uint8Array): Promise<Buffer>;
  /** Makes a new key the current one, durably; the ones before still unwrap. Null where its owner does that. */
  readonly renew: (() => Promise<void>) | null;
  /** Forgets keys that wrap nothing any more. */
  forget(in_use: readonly string[]): Promise<void>;
}

/** Where local keys are kept; a text of keys in base64, the current one first, separated by spaces or commas. */
export interface KeyTexts {
  readonly where: string;
  read(): string;
  /** Replaces the text durably and whole; null where the broker cannot write it (an environment variable). */
  readonly replace: ((text: string) => void) | null;
  random(bytes: number): Uint8Array;
}

/** A text that holds no keys. The message names the place, never the text. */
export class KeyTextError extends Error {
  override readonly name = 'KeyTextError';
}

/** Keys in a file or an environment variable. Reads them once. Throws KeyTextError. */
export function createLocalKeys(texts: KeyTexts): KeyEncryption {
  let keys = parseKeys(texts.read(), texts.where);
  const { replace } = texts;
  const first = (): [string, Buffer] => keys.entries().next().value as [string, Buffer];
  return {
    where: texts.where,
    current: async () => first()[0],
    async wrap(key, place) {
      const [key_id, encrypting] = first();
      return { key_id, wrapped: seal(key, encrypting, texts.random(NONCE_BYTES), place) };
    },
    async unwrap(key_id, wrapped, place) {
      const key = keys.get(key_id);
      if (key === undefined) throw new SealBroken(`key ${key_id} is not in ${texts.where}`);
      return open(wrapped, key, place);
    },
    renew:
      replace === null
        ? null
        : async () => {
            const fresh = Buffer.from(texts.random(KEY_BYTES));
            const next = new Map([[idOf(fresh), fresh], ...keys]);
            // INVARIANT: durable before anything is wrapped with it.
            replace(textOf(next));
            keys = next;
          },
    async forget(in_use) {
      if (replace === null) return;
      const [current] = first();
      const needed = new Map([...keys].filter(([id]) => id === current || in_use.includes(id)));
      if (needed.size === keys.size) return;
      replace(textOf(needed));
      keys = needed;
    },
  };
}

/** The text of a first key. */
export function freshKeyText(random: (bytes: number) => Uint8Array): string {
  const key = Buffer.from(random(KEY_BYTES));
  return textOf(new Map([[idOf(key), key]]));
}

function textOf(keys: ReadonlyMap<string, Buffer>): string {
  return `${[...keys.values()].map((key) => key.toString('base64')).join('\n')}\n`;
}

function parseKeys(text: string, where: string): Map<string, Buffer> {
  const keys = new Map<string, Buffer>();
  for (const word of text.split(/[\s,]+/).filter((each) => each !== '')) {
    const key = Buffer.from(word, 'base64');
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(word) || key.length !== KEY_BYTES)
      throw new KeyTextError(
        `${where}: expected keys of ${KEY_BYTES} random bytes in base64, got something else`,
      );
    keys.set(idOf(key), key);
  }
  if (keys.size === 0) throw new KeyTextError(`${where}: expected at least one key, got none`);
  return keys;
}

/** Says which key it is, and nothing about it: 64 bits of a digest of 256 random ones. */
function idOf(key: Uint8Array): string {
  return `kek_${createHash('sha256').update('countersign key id').update(key).digest('hex').slice(0, 16)}`;
}
