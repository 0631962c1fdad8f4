// Watches resources of an HTTP server: a listening request of its own (2026-07-28), or a subscription in the session.
import { randomUUID } from 'node:crypto';
import { isJsonObject, type JsonObject } from '@countersign/contract/json.ts';
import type { Post, Posted } from './exchange.ts';
import { keepStream } from './keep-stream.ts';
import { type Outcome, type Outgoing, requestText } from './protocol.ts';

const ACKNOWLEDGED = 'notifications/subscriptions/acknowledged';
const UPDATED = 'notifications/resources/updated';

/** How long a server may take to acknowledge. */
const PATIENCE_MS = 10_000;

export type Watch = (() => void) | string;

/** `post`: one request in the modern era, whatever its headers and address are. */
export async function listenModern(
  uri: string,
  updated: () => void,
  post: (
    posting: Pick<Post, 'signal' | 'timeout_ms' | 'onOther'> & { id: string; body: string },
  ) => Promise<Posted>,
): Promise<Watch> {
  const acknowledged = Promise.withResolvers<string | null>();
  const members = `"notifications":${JSON.stringify({ resourceSubscriptions: [uri] })}`;
  const onOther = ({ method, params }: JsonObject): void => {
    if (!isJsonObject(params)) return;
    if (method === ACKNOWLEDGED)
      acknowledged.resolve(honours(params, uri) ? null : 'it watches no resources');
    else if (method === UPDATED && params['uri'] === uri) updated();
  };
  const stream = keepStream(({ signal, timeout_ms }) => {
    const id = randomUUID();
    const body = requestText('modern', id, { method: 'subscriptions/listen', members });
    return post({ id, body, signal, timeout_ms, onOther });
  }, updated);
  const late = AbortSignal.timeout(PATIENCE_MS);
  late.addEventListener('abort', () => acknowledged.resolve('it did not acknowledge in time'));
  const refused = await Promise.race([
    acknowledged.promise,
    stream.opened.then((why) => why ?? acknowledged.promise),
  ]);
  if (refused === null) return () => stream.close();
  stream.close();
  return `the upstream does not watch the resource: ${refused}`;
}

function honours({ notifications }: JsonObject, uri: string): boolean {
  const watched = isJsonObject(notifications) ? notifications['resourceSubscriptions'] : undefined;
  return Array.isArray(watched) && watched.includes(uri);
}

/** Subscriptions of a session, by address. A server is asked once for each, however many listen. */
export class SessionWatches {
  readonly #byUri = new Map<string, Set<() => void>>();

  get size(): number {
    return this.#byUri.size;
  }

  hear({ method, params }: JsonObject): boolean {
    if (method !== UPDATED || !isJsonObject(params)) return false;
    for (const updated of this.#byUri.get(String(params['uri'])) ?? []) updated();
    return true;
  }

  /** What was watched may have changed while nobody listened. */
  missed(): void {
    for (const listeners of this.#byUri.values()) for (const updated of listeners) updated();
  }

  /** A new session knows nothing of the subscriptions of the one before. */
  async renew(
    send: (request: Pick<Outgoing, 'method' | 'members' | 'name'>) => Promise<unknown>,
  ): Promise<void> {
    for (const uri of this.#byUri.keys()) await send(subscribing('resources/subscribe', uri));
    this.missed();
  }

  async add(
    uri: string,
    updated: () => void,
    send: (request: Pick<Outgoing, 'method' | 'members' | 'name'>) => Promise<Outcome>,
  ): Promise<Watch> {
    const outcome = await send(subscribing('resources/subscribe', uri));
    if (outcome.kind !== 'result') {
      const why = outcome.kind === 'error' ? `error ${outcome.code}` : outcome.reason;
      return `the upstream does not watch the resource: ${why}`;
    }
    const listeners = this.#byUri.get(uri) ?? new Set();
    this.#byUri.set(uri, listeners.add(updated));
    return () => {
      listeners.delete(updated);
      if (listeners.size > 0 || this.#byUri.get(uri) !== listeners) return;
      this.#byUri.delete(uri);
      void send(subscribing('resources/unsubscribe', uri));
    };
  }
}

function subscribing(method: string, uri: string): Pick<Outgoing, 'method' | 'members' | 'name'> {
  return { method, name: null, members: `"uri":${JSON.stringify(uri)}` };
}
