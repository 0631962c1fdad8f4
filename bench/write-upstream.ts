// The write bench's upstream: the shop by hand down to the socket, with faults in a share of its requests, chosen by a
// seed; prints its port. `POST /faults` sets the share, `GET /counted` tells what it did.
import { STATUS_CODES } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type Message, MessageReader } from './message-reader.ts';
import { type Counted, type Note, orderAnswer } from './shop.ts';

/** A system that has too much to do asks for this much time. */
const RETRY_AFTER_MS = 25;

const notes = new Map<string, Note>();
let made = 0;
let requests = 0;
let faults = 0;
let share = 0;
let state = Number(process.argv[2] ?? 1);

/** xorshift32: the same faults for the same seed and order of requests. */
function chance(): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) / 2 ** 32;
}

const server = createServer({ noDelay: true }, (socket) => {
  const reader = new MessageReader((message) => serve(socket, message));
  socket.on('data', (chunk) => reader.push(chunk));
  socket.on('error', () => socket.destroy());
});

function serve(socket: Socket, message: Message): void {
  const [method = '', path = ''] = message.head.split(' ', 2);
  if (path === '/counted') {
    const counted: Counted = { notes: made, keys: notes.size, requests, faults };
    send(socket, 200, counted);
  } else if (path === '/faults') {
    ({ share } = JSON.parse(message.body.toString()) as { share: number });
    send(socket, 200, {});
  } else {
    requests += 1;
    const faulty = chance() < share;
    if (faulty) faults += 1;
    (faulty ? fail : answer)(socket, method, path, message);
  }
}

/** A third each: a bad gateway, after half of which the deed is done; a reply that is lost after the deed; too busy. */
function fail(socket: Socket, method: string, path: string, message: Message): void {
  const kind = Math.floor(chance() * 3);
  if (kind === 1 || (kind === 0 && chance() < 0.5)) carryOut(method, path, message);
  if (kind === 0) send(socket, 502, {});
  else if (kind === 1) socket.destroy();
  else send(socket, 429, {}, `retry-after-ms: ${RETRY_AFTER_MS}\r\n`);
}

function answer(socket: Socket, method: string, path: string, message: Message): void {
  const done = carryOut(method, path, message);
  send(socket, done === null ? 404 : 200, done ?? {});
}

function carryOut(method: string, path: string, { head, body }: Message): object | null {
  const [, kind, id = '', below] = path.split('/');
  if (method === 'POST' && below === 'notes') return addNote(id, head, body);
  if (kind === 'orders') return orderAnswer(id);
  return kind === 'keys' ? (notes.get(id) ?? null) : null;
}

/** A repeat with the same key is answered with the first note. */
function addNote(order_id: string, head: string, body: Buffer): Note {
  const key = /\r\nidempotency-key: *([^\r]+)/i.exec(head)?.[1] ?? '';
  const known = notes.get(key);
  if (known !== undefined) return known;
  made += 1;
  const { text } = JSON.parse(body.toString()) as { text: string };
  const note = { note: `note_${made}`, order_id, text };
  notes.set(key, note);
  return note;
}

function send(socket: Socket, status: number, body: object, more = ''): void {
  const text = JSON.stringify(body);
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json\r\n${more}`;
  socket.write(`${head}content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
}

server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
