// Remembers the secrets that the broker holds in memory, so that what it writes about itself can be cleaned of them.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { Credential } from '#rules/credential.ts';
import { createRedactor, type Redactor } from '#rules/redact-secrets.ts';
import type { Credentials } from './create-credentials.ts';
import type { Vault } from './oauth/vault.ts';

/** More are not looked for: the oldest are minted ones of calls long over. */
const HELD_MAX = 500;

export class HeldSecrets {
  /** By value, the latest held last. */
  readonly #held = new Map<string, Redactor>();

  hold(secrets: readonly string[]): void {
    for (const secret of secrets) {
      if (this.#held.has(secret)) continue;
      this.#held.set(secret, createRedactor([secret]));
      if (this.#held.size > HELD_MAX) this.#held.delete(this.#held.keys().next().value as string);
    }
  }

  /** The text without any of them, in the spellings of the redactor. */
  clean(text: string): string {
    let clean = text;
    for (const redactor of this.#held.values()) clean = redactor.text(clean);
    return clean;
  }

  /** Reads through `read`, and holds what comes. */
  reading(read: (reference: string) => Promise<string>): (reference: string) => Promise<string> {
    return async (reference) => {
      const value = await read(reference);
      this.hold([value]);
      return value;
    };
  }

  /** Keeps grants in `vault`, and holds the tokens and keys in them. */
  keeping(vault: Vault): Vault {
    const held = <R extends JsonObject | null>(record: R): R => {
      this.hold(secretsIn(record, ''));
      return record;
    };
    return {
      ...vault,
      take: async (connector) => held(await vault.take(connector)),
      write: (connector, record) => vault.write(connector, held(record)),
    };
  }

  /** Mints through `credentials`, holds what comes, and cleans what is said where nothing does. */
  minting(credentials: Credentials): Credentials {
    const held = (credential: Credential | null): Credential | null => {
      if (credential !== null) this.hold(credential.secrets);
      return credential;
    };
    return {
      ...credentials,
      mint: (connector, request) =>
        credentials.mint(connector, request)?.then((minted) => {
          if (!minted.ok) return { ok: false, reason: this.clean(minted.reason) };
          this.hold(minted.credential.secrets);
          return minted;
        }) ?? null,
      revoke: async (lease) => {
        const revoked = await credentials.revoke(lease);
        return revoked.ok ? revoked : { ok: false, reason: this.clean(revoked.reason) };
      },
      forConnection: async (spec) => held(await credentials.forConnection(spec)),
    };
  }
}

/** Members of a grant whose names say that they are secret; addresses and scopes stay readable. */
const SECRET_MEMBER = /token$|secret|^d$|^k$/i;

function secretsIn(value: Json, name: string): string[] {
  if (typeof value === 'string') return SECRET_MEMBER.test(name) ? [value] : [];
  if (Array.isArray(value)) return value.flatMap((each: Json) => secretsIn(each, name));
  return isJsonObject(value) ? Object.entries(value).flatMap(([key, each]) => secretsIn(each!, key)) : [];
}
