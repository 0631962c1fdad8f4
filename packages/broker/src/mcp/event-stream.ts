// An answer that becomes a stream of events only when there is something to say before the result.
import type { ServerResponse } from 'node:http';

/** A client that does not read is not written to for longer. */
const MOST_BUFFERED = 1_048_576;

const UNCHANGED = 'no-store, no-transform';

export class EventStream {
  readonly #response: ServerResponse;
  readonly #headers: readonly string[];
  #opened = false;

  /** `headers`: flat list of names and values that belong on every answer. */
  constructor(response: ServerResponse, headers: readonly string[]) {
    this.#response = response;
    this.#headers = headers;
  }

  get opened(): boolean {
    return this.#opened;
  }

  /** Sends one message; the first one opens the stream, after which the status of the answer stands. */
  send(message: string): void {
    const response = this.#response;
    if (response.destroyed) return;
    if (!this.#opened) this.#open();
    if (response.writableLength < MOST_BUFFERED) response.write(eventOf(message));
  }

  /** Begins the stream before there is anything to say: a comment, so that the head goes out at once. */
  begin(): void {
    // When the server ends it, its connection must not keep a closing server open.
    this.#open('connection', 'close');
    this.#response.write(':\n\n');
  }

  #open(...more: readonly string[]): void {
    this.#opened = true;
    // An event that a proxy keeps to compress it comes too late.
    const headers = this.#headers.map((each, i, all) => (all[i - 1] === 'cache-control' ? UNCHANGED : each));
    this.#response.writeHead(200, [...headers, ...more, 'content-type', 'text/event-stream']);
  }

  /** Ends it without a last message. */
  close(): void {
    if (this.#opened) this.#response.end();
  }

  /** The last message. */
  end(message: string): void {
    this.#response.end(eventOf(message));
  }
}

function eventOf(message: string): string {
  return `event: message\ndata: ${message}\n\n`;
}
