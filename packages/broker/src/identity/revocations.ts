// Which tokens are revoked, in memory: asked where a token is first seen, and kept up with the store.
import type { Revoked } from '#store/revocations.ts';

/** What a token says of itself. */
export interface Revocable {
  readonly tenant: string;
  readonly token_id: string;
  readonly derived_from: readonly string[];
  readonly issued_at_ms: number;
  /** The agent that it is for and those that act for it. */
  readonly principals: readonly string[];
}

export class Revocations {
  #tokens: ReadonlySet<string> = new Set();
  #until_ms: ReadonlyMap<string, number> = new Map();
  #seen = '';

  /** Takes what the store says; true when that is something new. */
  take({ tokens, principals }: Revoked): boolean {
    const seen = JSON.stringify([tokens.map((each) => each.token_id), principals]);
    if (seen === this.#seen) return false;
    this.#seen = seen;
    this.#tokens = new Set(tokens.map((each) => each.token_id));
    this.#until_ms = new Map(
      principals.map(({ tenant, principal, until_ms }) => [keyOf(tenant, principal), until_ms]),
    );
    return true;
  }

  /** Whether the token, one that it was made from, or all of one of its principals are revoked. */
  has(token: Revocable): boolean {
    if (this.#tokens.size > 0) {
      if (this.#tokens.has(token.token_id)) return true;
      if (token.derived_from.some((id) => this.#tokens.has(id))) return true;
    }
    if (this.#until_ms.size === 0) return false;
    return token.principals.some((name) => {
      const until_ms = this.#until_ms.get(keyOf(token.tenant, name));
      return until_ms !== undefined && token.issued_at_ms <= until_ms;
    });
  }
}

function keyOf(tenant: string, principal: string): string {
  return JSON.stringify([tenant, principal]);
}
