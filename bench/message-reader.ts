// Cuts what a socket brings into HTTP/1.1 messages: enough of the protocol for both ends of a bench, and no more.

export interface Message {
  /** First line and headers, without the empty line behind them. */
  readonly head: string;
  readonly body: Buffer;
}

const END_OF_HEAD = Buffer.from('\r\n\r\n');
const LENGTH = /\r\ncontent-length: *(\d+)/i;
const CHUNKED = /\r\ntransfer-encoding: *chunked/i;

/** Messages follow each other on one connection. Throws on what it does not know. */
export class MessageReader {
  readonly #onMessage: (message: Message) => void;
  #waiting: Buffer | null = null;

  constructor(onMessage: (message: Message) => void) {
    this.#onMessage = onMessage;
  }

  push(chunk: Buffer): void {
    let data = this.#waiting === null ? chunk : Buffer.concat([this.#waiting, chunk]);
    this.#waiting = null;
    while (data.length > 0) {
      const end = data.indexOf(END_OF_HEAD);
      const head = end === -1 ? '' : data.toString('latin1', 0, end);
      const read = end === -1 ? null : readBody(data, end + END_OF_HEAD.length, head);
      if (read === null) {
        this.#waiting = data;
        return;
      }
      data = data.subarray(read.next);
      this.#onMessage({ head, body: read.body });
    }
  }
}

/** The body that begins at `from`, and where the next message does; null while some of it is missing. */
function readBody(data: Buffer, from: number, head: string): { body: Buffer; next: number } | null {
  if (CHUNKED.test(head)) return readChunks(data, from);
  const next = from + Number(LENGTH.exec(head)?.[1] ?? 0);
  return next > data.length ? null : { body: data.subarray(from, next), next };
}

function readChunks(data: Buffer, from: number): { body: Buffer; next: number } | null {
  const chunks: Buffer[] = [];
  for (let at = from; ; ) {
    const line = data.indexOf('\r\n', at);
    if (line === -1) return null;
    const size = Number.parseInt(data.toString('latin1', at, line), 16);
    if (Number.isNaN(size)) throw new Error('expected the size of a chunk');
    const next = line + 2 + size + 2;
    if (next > data.length) return null;
    if (size === 0) return { body: Buffer.concat(chunks), next };
    chunks.push(data.subarray(line + 2, line + 2 + size));
    at = next;
  }
}
