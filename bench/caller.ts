// One caller with a connection of its own: HTTP/1.1 by hand, so that the load costs little beside what is measured.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { MessageReader } from './message-reader.ts';

interface Waiting {
  readonly resolve: (body: string) => void;
  readonly reject: (error: Error) => void;
}

export class Caller {
  readonly #socket: Socket;
  #waiting: Waiting | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const reader = new MessageReader(({ body }) => this.#take((waiting) => waiting.resolve(body.toString())));
    const fail = (error: Error): void => this.#take((waiting) => waiting.reject(error));
    socket.on('data', (chunk) => {
      try {
        reader.push(chunk);
      } catch (error) {
        fail(error as Error);
      }
    });
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('the server closed the connection')));
  }

  static async connect({ hostname, port }: URL): Promise<Caller> {
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await once(socket, 'connect');
    return new Caller(socket);
  }

  /** Sends one request and waits for its answer; `head` is its first line and headers but the length of the body. */
  post(head: string, body: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(tell: (waiting: Waiting) => void): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting !== null) tell(waiting);
  }
}
