// resources/subscribe in a session: a governed read that goes on as a watch, and its changes on the session's stream.
import type { PassedRead } from '#admin/passed.ts';
import { handsOf } from '#call/halted.ts';
import type { World } from '#call/world.ts';
import type { Watching } from '#connectors/connector.ts';
import type { Caller, Presented } from '#identity/identity.ts';
import type { Catalogue } from './catalogue.ts';
import type { EventStream } from './event-stream.ts';
import { messageText } from './wire.ts';

/** Most resources that one session watches. */
export const MOST_WATCHED = 64;
/** Changes in between are told as one: an upstream sets neither our pace nor the client's. */
const GATHER_MS = 50;

/** What judges a change before it is told. */
export interface Judging {
  readonly world: World;
  readonly catalogue: Catalogue;
}

/** What a session watches, and the stream on which its client hears of it. */
export class Subscriptions {
  readonly #watched = new Map<string, () => void>();
  readonly #changed = new Set<string>();
  #stream: { readonly events: EventStream; readonly presented: Presented } | null = null;
  #timer: NodeJS.Timeout | null = null;

  has(uri: string): boolean {
    return this.#watched.has(uri);
  }

  get size(): number {
    return this.#watched.size;
  }

  /** For one read whose resource goes on being watched; `keep` after the read was carried out, else `drop`. */
  begin(uri: string, judging: Judging): { readonly watch: Watching; keep(): boolean; drop(): void } {
    let stop: (() => void) | null = null;
    const watch: Watching = {
      updated: () => {
        // A watch that was ended, or replaced, may still have a word under way.
        if (stop !== null && this.#watched.get(uri) === stop) this.#tell(uri, judging);
      },
      watched: (ends) => {
        stop = ends;
      },
    };
    return {
      watch,
      keep: () => {
        if (stop === null) return false;
        this.end(uri);
        this.#watched.set(uri, stop);
        return true;
      },
      drop: () => stop?.(),
    };
  }

  end(uri: string): void {
    this.#watched.get(uri)?.();
    this.#watched.delete(uri);
    this.#changed.delete(uri);
  }

  /** The client's stream; one at a time, the newest. What changed while there was none is told on it. */
  attach(events: EventStream, presented: Presented, judging: Judging): void {
    this.#stream?.events.close();
    this.#stream = { events, presented };
    this.#flush(judging);
  }

  detach(events: EventStream): void {
    if (this.#stream?.events === events) this.#stream = null;
  }

  close(): void {
    for (const uri of [...this.#watched.keys()]) this.end(uri);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#stream?.events.close();
    this.#stream = null;
  }

  #tell(uri: string, judging: Judging): void {
    this.#changed.add(uri);
    this.#timer ??= setTimeout(() => this.#flush(judging), GATHER_MS);
  }

  #flush(judging: Judging): void {
    this.#timer = null;
    for (const uri of this.#changed) {
      if (this.#stream === null) return;
      this.#deliver(uri, this.#stream, judging);
    }
  }

  /** Judged anew each time: the token still good, the resource still this agent's, nothing halted. */
  #deliver(
    uri: string,
    { events, presented }: { readonly events: EventStream; readonly presented: Presented },
    { world, catalogue }: Judging,
  ): void {
    const authentication = world.identity.authenticate(presented, 'mcp');
    if (!authentication.ok || authentication.caller.principal.kind !== 'agent') {
      events.close();
      this.#stream = null;
      return;
    }
    this.#changed.delete(uri);
    const agent = authentication.caller.principal;
    const args = { resource: uri };
    const read = catalogue.passed(agent).find((each) => each.kind === 'resources' && each.lists(args));
    if (read === undefined || isHalted(read, authentication.caller, world)) return;
    events.send(messageText('notifications/resources/updated', { uri }));
  }
}

/** Whether an operator has stopped what would read the resource now. */
function isHalted({ tool, connector }: PassedRead, { principal, run_id }: Caller, world: World): boolean {
  if (world.halts.quiet) return false;
  const { tenant, name: agent } = principal;
  const idle_ms = world.bundle().settings.runs.ambient_idle_ms;
  const run = run_id ?? world.runs.ambient(tenant, agent, world.clock.now(), idle_ms)?.id ?? '';
  const hands = principal.kind === 'agent' ? handsOf(principal.narrowed) : {};
  return world.halts.matching({ tenant, agent, tool, connector, run, ...hands }) !== undefined;
}
