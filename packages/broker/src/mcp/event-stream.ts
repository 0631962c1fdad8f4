// An answer that becomes a stream of events only when there is something to say before the result.
import { PassThrough } from 'node:stream';
import type { FastifyReply } from 'fastify';

/** A client that does not read is not written to for longer. */
const MOST_BUFFERED = 1_048_576;

export class EventStream {
  readonly #reply: FastifyReply;
  #out: PassThrough | null = null;

  constructor(reply: FastifyReply) {
    this.#reply = reply;
  }

  get opened(): boolean {
    return this.#out !== null;
  }

  /** Sends one message; the first one opens the stream, after which the status of the answer stands. */
  send(message: string): void {
    if (this.#reply.raw.destroyed) return;
    if (this.#out === null) {
      this.#out = new PassThrough();
      this.#reply.code(200).type('text/event-stream').header('cache-control', 'no-store, no-transform');
      void this.#reply.send(this.#out);
    }
    if (this.#out.writableLength < MOST_BUFFERED) this.#out.write(eventOf(message));
  }

  /** The last message. */
  end(message: string): void {
    this.#out?.end(eventOf(message));
  }
}

function eventOf(message: string): string {
  return `event: message\ndata: ${message}\n\n`;
}
