// Seals the state that an upstream wants back with the answers to its demand: an agent can neither read nor bend it.
import { createHash } from 'node:crypto';
import { canonicalize } from '@countersign/contract/canonical.ts';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { World } from '#call/world.ts';
import { KEY_BYTES, NONCE_BYTES, open, SealBroken, seal } from '#credentials/sealed/seal.ts';
import type { Agent } from '#rules/principal.ts';

const TTL_MS = 900_000;
/** Demands remembered; beyond this all are forgotten, and their upstreams ask again. */
const DEMANDS_MAX = 10_000;
const TIME_BYTES = 8;

/** What a state belongs to: it opens for the same agent, tool and arguments only. */
export interface Bound {
  readonly agent: Agent;
  readonly tool: string;
  readonly args: JsonObject;
}

export class RequestStates {
  readonly #world: World;
  /** Made anew at each start: a demand outlives the process that handed it on no more than its upstream's patience. */
  readonly #key: Uint8Array;
  readonly #demanded = new Map<string, { readonly keys: readonly string[]; readonly until_ms: number }>();

  constructor(world: World) {
    this.#world = world;
    this.#key = world.random(KEY_BYTES);
  }

  /** Notes what an upstream asked this agent for, so that nothing else is ever answered. */
  remember(bound: Bound, keys: readonly string[]): void {
    if (this.#demanded.size >= DEMANDS_MAX) this.#demanded.clear();
    this.#demanded.set(digest(bound).toString('base64'), {
      keys,
      until_ms: this.#world.clock.now() + TTL_MS,
    });
  }

  /** What was asked for lately in answer to this very request; empty when nothing was. */
  demandedOf(bound: Bound): readonly string[] {
    const demand = this.#demanded.get(digest(bound).toString('base64'));
    return demand === undefined || demand.until_ms < this.#world.clock.now() ? [] : demand.keys;
  }

  seal(state: string, bound: Bound): string {
    const expires = Buffer.alloc(TIME_BYTES);
    expires.writeBigInt64BE(BigInt(this.#world.clock.now() + TTL_MS));
    const text = Buffer.concat([expires, Buffer.from(state, 'utf8')]);
    const sealed = seal(text, this.#key, this.#world.random(NONCE_BYTES), digest(bound));
    return Buffer.from(sealed).toString('base64url');
  }

  /** Null for what was not sealed here, for this, or not lately. */
  open(sealed: string, bound: Bound): string | null {
    const bytes = Buffer.from(sealed, 'base64url');
    if (bytes.toString('base64url') !== sealed) return null;
    try {
      const text = open(bytes, this.#key, digest(bound));
      return text.readBigInt64BE(0) < BigInt(this.#world.clock.now())
        ? null
        : text.subarray(TIME_BYTES).toString('utf8');
    } catch (error) {
      if (error instanceof SealBroken) return null;
      throw error;
    }
  }
}

function digest({ agent, tool, args }: Bound): Buffer {
  const bound = canonicalize({ tenant: agent.tenant, agent: agent.name, tool, args });
  return createHash('sha256').update(bound).digest();
}
