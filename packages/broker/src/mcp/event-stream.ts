// An answer that becomes a stream of events only when there is something to say before the result.
import type { ServerResponse } from 'node:http';

/** A client that does not read is not written to for longer. */
const MOST_BUFFERED = 1_048_576;

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
    if (!this.#opened) {
      this.#opened = true;
      response.writeHead(200, [...this.#headers, 'content-type', 'text/event-stream']);
    }
    if (response.writableLength < MOST_BUFFERED) response.write(eventOf(message));
  }

  /** The last message. */
  end(message: string): void {
    this.#response.end(eventOf(message));
  }
}

function eventOf(message: string): string {
  return `event: message\ndata: ${message}\n\n`;
}
