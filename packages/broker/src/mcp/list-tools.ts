// tools/list: one page of what the agent may call, in a stable order, and the cursor to the next.
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Json } from '@countersign/contract/json.ts';
import type { World } from '#call/world.ts';
import type { Agent } from '#rules/principal.ts';
import type { Catalogue } from './catalogue.ts';
import { invalid, type WireRequest } from './read-envelope.ts';
import { cacheHints, errorReply, resultReply, type WireReply } from './wire.ts';

/** How long a client may keep the list. Policy judges each call anew, so an old list opens nothing. */
const TTL_MS = 30_000;
const MAC_BYTES = 16;
const CURSOR_BYTES = 4 + MAC_BYTES;

export class ToolLister {
  readonly #world: World;
  readonly #catalogue: Catalogue;
  readonly #pageSize: number;
  /** Made anew at each start: a cursor outlives neither the process nor the bundle that it was made for. */
  readonly #key: Uint8Array;

  constructor(world: World, catalogue: Catalogue, pageSize: number) {
    this.#world = world;
    this.#catalogue = catalogue;
    this.#pageSize = pageSize;
    this.#key = world.random(32);
  }

  list(request: WireRequest, agent: Agent): WireReply {
    const { id, params, era } = request;
    const from = params.cursor === undefined ? 0 : this.#read(params.cursor, agent);
    if (from === null) {
      return errorReply(
        id,
        invalid('params.cursor: not a cursor of the present list; list again without one', 200),
      );
    }
    const tools = this.#catalogue.show(agent).listed;
    const end = from + this.#pageSize;
    const next = end < tools.length ? `,"nextCursor":"${this.#write(end, agent)}"` : '';
    const listed = `"tools":[${tools.slice(from, end).join(',')}]${next}`;
    return resultReply(request, listed + cacheHints(era, TTL_MS));
  }

  #write(offset: number, agent: Agent): string {
    const cursor = Buffer.alloc(CURSOR_BYTES);
    cursor.writeUInt32BE(offset, 0);
    this.#mac(offset, agent).copy(cursor, 4);
    return cursor.toString('base64url');
  }

  #read(cursor: Json, agent: Agent): number | null {
    if (typeof cursor !== 'string' || cursor.length > 64) return null;
    const bytes = Buffer.from(cursor, 'base64url');
    if (bytes.length !== CURSOR_BYTES || bytes.toString('base64url') !== cursor) return null;
    const offset = bytes.readUInt32BE(0);
    return timingSafeEqual(bytes.subarray(4), this.#mac(offset, agent)) ? offset : null;
  }

  /** Binds the position to the agent and the bundle: a cursor of another list is not a cursor. */
  #mac(offset: number, agent: Agent): Buffer {
    const bound = JSON.stringify([agent.tenant, agent.name, this.#world.bundle().revision, offset]);
    return createHmac('sha256', this.#key).update(bound).digest().subarray(0, MAC_BYTES);
  }
}
