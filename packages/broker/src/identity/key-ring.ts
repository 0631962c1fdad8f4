// The broker's signing keys: the newest signs, those before it verify until everything they signed has expired.
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { existsSync, readdirSync, statSync, unlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { JsonObject } from '@countersign/contract/json.ts';
import { makeKeyFolder, openKeyFile, readKeyFile, writeKeyFile } from './key-file.ts';
import { type SigningKey, signingKey, type TokenType } from './signing-key.ts';

interface Held {
  readonly key: SigningKey;
  /** Since when it signs. */
  readonly since_ms: number;
  /** Null: in memory only. */
  readonly file: string | null;
}

/** A rotation that is made ready and not in force: its key is on disk. */
export interface Rotation {
  readonly kid: string;
  /** Keys that stop verifying now. */
  readonly retired: readonly string[];
  /** The new key signs from now on. */
  commit(): void;
  /** As if nothing had been asked. */
  abandon(): void;
}

/**
 * Holds `tokens.pem`, made at first start, and beside it one `tokens-<ms>.pem` for each rotation since, all of mode
 * 0600. A token is verified by the key whose header it begins with, byte for byte: nothing in it chooses anything else.
 */
export class KeyRing {
  /** Newest first, never empty. */
  #held: readonly Held[];
  readonly #first: string | null;

  private constructor(held: readonly Held[], first: string | null) {
    this.#held = held;
    this.#first = first;
  }

  /** Opens the keys at and beside `file`. Throws KeyFileError where one is open to others or something else. */
  static open(file: string): KeyRing {
    makeKeyFolder(dirname(file));
    const held = laterFiles(file).map(({ path, since_ms }): Held => {
      const key = signingKey(createPrivateKey(readKeyFile(path)));
      return { key, since_ms, file: path };
    });
    // The first key is made where there is none at all: once retired, it stays away.
    if (held.length === 0 || existsSync(file)) {
      held.push({ key: signingKey(openKeyFile(file)), since_ms: statSync(file).mtimeMs, file });
    }
    return new KeyRing(
      held.sort((a, b) => b.since_ms - a.since_ms),
      file,
    );
  }

  /** A ring of one key that is nowhere on disk; rotations stay in memory too. */
  static of(key: SigningKey, since_ms = 0): KeyRing {
    return new KeyRing([{ key, since_ms, file: null }], null);
  }

  /** When the key that signs now began to. */
  get since_ms(): number {
    return this.#held[0]!.since_ms;
  }

  seal(type: TokenType, claims: JsonObject): string {
    return this.#held[0]!.key.seal(type, claims);
  }

  unseal(type: TokenType, token: string): JsonObject | null {
    for (const { key } of this.#held) {
      const claims = key.unseal(type, token);
      if (claims !== null) return claims;
    }
    return null;
  }

  /** RFC 7517: every key that verifies, the one that signs first. */
  jwks(): JsonObject {
    return { keys: this.#held.map(({ key }) => key.publicJwk) };
  }

  /** Ids of the keys that verify, the one that signs first. */
  kids(): readonly string[] {
    return this.#held.map(({ key }) => key.kid);
  }

  /** `drop`: the keys before the new one stop verifying at once, since somebody else may have one of them. */
  prepare(now_ms: number, drop: boolean): Rotation {
    const { privateKey } = generateKeyPairSync('ed25519');
    const key = signingKey(privateKey);
    // Two in one millisecond must not share a file.
    const since_ms = Math.max(now_ms, Math.ceil(this.since_ms) + 1);
    const file = this.#first === null ? null : fileAt(this.#first, since_ms);
    if (file !== null) {
      writeKeyFile(file, privateKey.export({ format: 'pem', type: 'pkcs8' }) as string, 'refuse');
    }
    const before = this.#held;
    return {
      kid: key.kid,
      retired: drop ? this.kids() : [],
      commit: () => {
        this.#held = [{ key, since_ms, file }, ...(drop ? [] : before)];
        if (drop) this.#remove(before);
      },
      abandon: () => {
        if (file !== null) unlinkSync(file);
      },
    };
  }

  /** Drops every key that has not signed for `overlap_ms`: all that it signed has expired. Answers their ids. */
  retire(now_ms: number, overlap_ms: number): readonly string[] {
    const over = this.#held.filter((_, i) => i > 0 && this.#held[i - 1]!.since_ms + overlap_ms <= now_ms);
    if (over.length === 0) return [];
    this.#held = this.#held.filter((each) => !over.includes(each));
    this.#remove(over);
    return over.map(({ key }) => key.kid);
  }

  #remove(gone: readonly Held[]): void {
    for (const { file } of gone) if (file !== null) unlinkSync(file);
  }
}

function fileAt(first: string, since_ms: number): string {
  return join(dirname(first), `${basename(first, '.pem')}-${since_ms}.pem`);
}

function laterFiles(first: string): { path: string; since_ms: number }[] {
  const name = new RegExp(`^${basename(first, '.pem')}-([0-9]{1,15})\\.pem$`);
  return readdirSync(dirname(first)).flatMap((each) => {
    const since = name.exec(each)?.[1];
    return since === undefined ? [] : [{ path: join(dirname(first), each), since_ms: Number(since) }];
  });
}
