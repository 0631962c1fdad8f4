// Sends bytes over a socket and reads HTTP/1.1 answers off it, with nothing between that would mend either.
import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly status: number;
  /** Names in lower case; of several with one name, the last. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

export interface Sending {
  readonly bytes: Buffer;
  readonly cuts: readonly number[];
  readonly end: 'keep' | 'half' | 'reset';
  /** Methods of the requests, in order: an answer to HEAD has no body. */
  readonly methods: readonly string[];
  /** So many answers are due. Null: as many as come before the connection ends. */
  readonly due: number | null;
}

/** What came back. `left`: bytes that are no answer, or half of one. */
export interface Heard {
  readonly answers: readonly Answer[];
  readonly left: Buffer;
}

/** Nothing on loopback takes as long: whoever waits longer waits for ever. */
const PATIENCE_MS = 20_000;

export class Line {
  readonly #port: number;
  readonly #free: Socket[] = [];

  constructor(port: number) {
    this.#port = port;
  }

  async send(sending: Sending): Promise<Heard> {
    const kept = sending.due !== null && sending.end === 'keep' ? this.#free.pop() : undefined;
    if (kept === undefined) return this.#exchange(await this.#open(), sending);
    const heard = await this.#exchange(kept, sending);
    // A kept connection may end while the next request is on its way (RFC 9112 §9.5): then it is sent anew.
    if (heard.answers.length > 0 || heard.left.length > 0) return heard;
    return this.#exchange(await this.#open(), sending);
  }

  close(): void {
    for (const socket of this.#free) socket.destroy();
  }

  #open(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port: this.#port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
      socket.once('connect', () => resolve(socket));
      socket.once('error', reject);
    });
  }

  #exchange(socket: Socket, sending: Sending): Promise<Heard> {
    const { promise, resolve, reject } = Promise.withResolvers<Heard>();
    const chunks: Buffer[] = [];
    let over = false;
    const finish = (keep: boolean): void => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => {});
      const heard = readAnswers(Buffer.concat(chunks), sending.methods);
      const last = heard.answers.at(-1);
      if (keep && last?.headers.get('connection') !== 'close' && heard.left.length === 0) {
        socket.once('close', () => void this.#free.splice(this.#free.indexOf(socket) >>> 0, 1));
        this.#free.push(socket);
      } else socket.destroy();
      resolve(heard);
    };
    const timer = setTimeout(() => {
      over = true;
      socket.destroy();
      reject(
        new Error(
          `no end of the answer within ${PATIENCE_MS} ms, got ${Buffer.concat(chunks).toString('latin1').slice(0, 300)}`,
        ),
      );
    }, PATIENCE_MS);
    socket.removeAllListeners();
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      if (sending.due === null) return;
      const { answers } = readAnswers(Buffer.concat(chunks), sending.methods);
      if (answers.length >= sending.due) finish(sending.end === 'keep');
    });
    socket.on('end', () => finish(false));
    socket.on('close', () => finish(false));
    // A peer that has said enough may reset the connection: what it said first counts.
    socket.on('error', () => finish(false));
    this.#write(socket, sending);
    if (sending.end === 'reset') finish(false);
    return promise;
  }

  #write(socket: Socket, { bytes, cuts, end, due }: Sending): void {
    let from = 0;
    for (const cut of [...cuts, bytes.length]) {
      if (cut > from) socket.write(bytes.subarray(from, cut));
      from = cut;
    }
    if (end === 'reset') socket.resetAndDestroy();
    // Whoever does not know how many answers are due says that nothing more comes, and listens to the end.
    else if (end === 'half' || due === null) socket.end();
  }
}

export function readAnswers(bytes: Buffer, methods: readonly string[]): Heard {
  const answers: Answer[] = [];
  let at = 0;
  for (;;) {
    const read = readAnswer(bytes, at, methods[answers.length] === 'HEAD');
    if (read === null) return { answers, left: bytes.subarray(at) };
    at = read.end;
    if (read.answer.status >= 200) answers.push(read.answer);
  }
}

function readAnswer(bytes: Buffer, from: number, isHead: boolean): { answer: Answer; end: number } | null {
  const headEnd = bytes.indexOf('\r\n\r\n', from);
  if (headEnd < 0) return null;
  const [line = '', ...fields] = bytes.toString('latin1', from, headEnd).split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(line)?.[1] ?? Number.NaN);
  if (Number.isNaN(status)) return null;
  const headers = new Map<string, string>();
  for (const field of fields) {
    const colon = field.indexOf(':');
    headers.set(field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim());
  }
  const start = headEnd + 4;
  // What is not HTTP enough to be read has no method that the server knew of.
  const unread = status === 400 && headers.get('connection') === 'close';
  if ((isHead && !unread) || status < 200 || status === 204 || status === 304) {
    return { answer: { status, headers, body: bytes.subarray(0, 0) }, end: start };
  }
  if (headers.get('transfer-encoding') === 'chunked') {
    const read = readChunks(bytes, start);
    return read === null ? null : { answer: { status, headers, body: read.body }, end: read.end };
  }
  const length = Number(headers.get('content-length') ?? Number.NaN);
  // An answer without a length runs to the end of the connection.
  const end = Number.isNaN(length) ? bytes.length : start + length;
  if (end > bytes.length) return null;
  return { answer: { status, headers, body: bytes.subarray(start, end) }, end };
}

function readChunks(bytes: Buffer, from: number): { body: Buffer; end: number } | null {
  const parts: Buffer[] = [];
  let at = from;
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return null;
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    const start = lineEnd + 2;
    if (start + size + 2 > bytes.length) return null;
    if (size === 0) return { body: Buffer.concat(parts), end: start + 2 };
    parts.push(bytes.subarray(start, start + size));
    at = start + size + 2;
  }
}
