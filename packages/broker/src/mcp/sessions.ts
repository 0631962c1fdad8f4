// Sessions of the 2025 revisions: what `initialize` agreed. They carry no authority and no labels.
import type { JsonObject } from '@countersign/contract/json.ts';
import { narrowedText } from '#call/narrowed.ts';
import type { World } from '#call/world.ts';
import type { Agent } from '#rules/principal.ts';
import { Subscriptions } from './subscriptions.ts';
import type { RequestId } from './wire.ts';

export interface Session {
  readonly id: string;
  readonly version: string;
  /** What the token that began it carried less than its agent may: others find no such session. */
  readonly narrowed: string | null;
  /** What the client says that it can be asked. */
  readonly capabilities: JsonObject;
  /** Least level of log lines; null until the client sets one. */
  log_level: string | null;
  seen_ms: number;
  /** Requests that are being answered; their ids are the client's. */
  readonly inFlight: Map<RequestId, { cancelled: boolean }>;
  /** Our questions to the client that wait for an answer. */
  readonly asked: Map<string, (answer: JsonObject | null) => void>;
  readonly subscriptions: Subscriptions;
}

const IDLE_MS = 1_800_000;
/** The least recently used gives way: a client that forgets its sessions must not fill the memory. */
const MOST_PER_AGENT = 100;
const ID_BYTES = 24;

export class Sessions {
  readonly #world: World;
  /** By tenant and agent, whatever their tokens carry, since an agent makes as many of these as it likes; then by id. */
  readonly #byAgent = new Map<string, Map<string, Session>>();

  constructor(world: World) {
    this.#world = world;
  }

  open(agent: Agent, version: string, capabilities: JsonObject): Session {
    const own = this.#of(agent);
    const now = this.#world.clock.now();
    for (const session of own.values()) if (now - session.seen_ms > IDLE_MS) this.end(agent, session);
    const oldest = own.values().next().value;
    if (own.size >= MOST_PER_AGENT && oldest !== undefined) this.end(agent, oldest);
    const session: Session = {
      id: Buffer.from(this.#world.random(ID_BYTES)).toString('base64url'),
      version,
      narrowed: narrowedText(agent),
      capabilities,
      log_level: null,
      seen_ms: now,
      inFlight: new Map(),
      asked: new Map(),
      subscriptions: new Subscriptions(),
    };
    own.set(session.id, session);
    return session;
  }

  /** Undefined for a session that ended, that never was, or that is another agent's: nobody learns which. */
  find(agent: Agent, id: string): Session | undefined {
    const own = this.#of(agent);
    const session = own.get(id);
    if (session === undefined || session.narrowed !== narrowedText(agent)) return undefined;
    const now = this.#world.clock.now();
    if (now - session.seen_ms > IDLE_MS) {
      this.end(agent, session);
      return undefined;
    }
    session.seen_ms = now;
    own.delete(id);
    own.set(id, session);
    return session;
  }

  end(agent: Agent, session: Session): void {
    this.#of(agent).delete(session.id);
    for (const answer of session.asked.values()) answer(null);
    session.subscriptions.close();
  }

  /** Ends all that is watched, when the server closes. */
  close(): void {
    for (const own of this.#byAgent.values())
      for (const session of own.values()) session.subscriptions.close();
  }

  #of(agent: Agent): Map<string, Session> {
    const key = JSON.stringify([agent.tenant, agent.name]);
    let own = this.#byAgent.get(key);
    if (own === undefined) {
      own = new Map();
      this.#byAgent.set(key, own);
    }
    return own;
  }
}
