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
    const out = this.#out ?? this.#open();
    if (out.writableLength < MOST_BUFFERED) out.write(eventOf(message));
  }

  /** Begins the stream before there is anything to say: a comment, so that the head goes out at once. */
  begin(): void {
    // When the server ends it, its connection must not keep a closing server open.
    this.#reply.header('connection', 'close');
    this.#open().write(':\n\n');
  }

  #open(): PassThrough {
    const out = new PassThrough();
    this.#out = out;
    this.#reply.code(200).type('text/event-stream').header('cache-control', 'no-store, no-transform');
    void this.#reply.send(out);
    return out;
  }

  /** Ends it without a last message. */
  close(): void {
    this.#out?.end();
  }

  /** The last message. */
  end(message: string): void {
    this.#out?.end(eventOf(message));
  }
}

function eventOf(message: string): string {
  return `event: message\ndata: ${message}\n\n`;
}
