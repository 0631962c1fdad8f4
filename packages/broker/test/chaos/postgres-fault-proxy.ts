// Stands in front of a PostgreSQL server and cuts connections, above all around the commit: nothing is rewritten.
import { connect, createServer, type Socket } from 'node:net';
import type { Faults, Odds } from './faults.ts';
import type { FaultProxy } from './http-fault-proxy.ts';
import { listenAgain, listenLastingly } from './lasting-port.ts';

export type PostgresFault =
  | 'closed before the commit'
  | 'reset before the commit'
  /** The server has the commit and its answer is lost. */
  | 'cut at the commit'
  | 'cut after the commit'
  | 'late commit'
  | 'connection refused';

export const POSTGRES_FAULTS: Odds<PostgresFault> = {
  'closed before the commit': 2,
  'reset before the commit': 2,
  'cut at the commit': 3,
  'cut after the commit': 3,
  'late commit': 1,
  'connection refused': 1,
};

export interface PostgresProxyOptions {
  readonly upstream: number;
  readonly faults: Faults<PostgresFault>;
  readonly late_ms: number;
}

/** A simple query (protocol 3.0, `Q`) that says `commit`; our own connector writes it in one piece. */
const COMMIT = Buffer.from('Q\0\0\0\x0bcommit\0', 'latin1');
const REFUSED_MOST_MS = 150;

export async function startPostgresFaultProxy(options: PostgresProxyOptions): Promise<FaultProxy> {
  const { upstream, faults, late_ms } = options;
  const sockets = new Set<Socket>();
  let stopped = false;
  const server = createServer((client) => {
    const far = connect(upstream, '127.0.0.1');
    for (const socket of [client, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    }
    join(client, far);
  });
  const port = await listenLastingly(server);

  /** Nothing new for a moment. */
  function refuse(): void {
    if (!server.listening) return;
    server.close();
    setTimeout(() => stopped || void listenAgain(server, port), faults.within(REFUSED_MOST_MS));
  }

  function join(client: Socket, far: Socket): void {
    const cut = (): void => {
      client.destroy();
      // What was written still reaches the server.
      far.end();
    };
    let onReply: ((reply: Buffer) => void) | null = null;
    client.on('data', (chunk: Buffer) => {
      const fault = chunk.includes(COMMIT) ? faults.next() : null;
      if (fault === 'closed before the commit') return cut();
      if (fault === 'reset before the commit') {
        far.resetAndDestroy();
        client.destroy();
        return;
      }
      far.write(chunk);
      if (fault === 'cut at the commit') cut();
      else if (fault === 'cut after the commit') onReply = cut;
      else if (fault === 'late commit')
        onReply = (reply) => void setTimeout(() => client.writable && client.write(reply), late_ms);
      else if (fault === 'connection refused') {
        refuse();
        cut();
      }
    });
    far.on('data', (reply: Buffer) => {
      const held = onReply;
      onReply = null;
      if (held !== null) held(reply);
      else if (client.writable) client.write(reply);
    });
    client.on('close', () => far.end());
    far.on('close', () => client.destroy());
  }

  return {
    url: `postgres://127.0.0.1:${port}`,
    port,
    async idle() {
      await Promise.all([...sockets].map((socket) => new Promise((gone) => socket.once('close', gone))));
    },
    async stop() {
      stopped = true;
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
