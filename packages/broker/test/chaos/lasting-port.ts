// Ports of loopback that can be left and taken again: none that the kernel gives to outgoing connections meanwhile.
import { createServer, type Server } from 'node:net';

/** Below the range of outgoing connections (32768 and up on Linux, 49152 and up elsewhere). */
const LOWEST = 15_000;
const COUNT = 15_000;

/** Neighbouring runs begin at different places. */
let next = (process.pid * 31) % COUNT;

/** Listens on such a port and answers it. */
export async function listenLastingly(server: Server): Promise<number> {
  for (let tries = 0; tries < COUNT; tries++) {
    const port = LOWEST + (next++ % COUNT);
    if (await tryListen(server, port)) return port;
  }
  throw new Error('no port is free');
}

/** Takes a port again that was left. */
export async function listenAgain(server: Server, port: number): Promise<void> {
  if (!(await tryListen(server, port))) throw new Error(`port ${port} was taken by somebody else`);
}

/** A port of this kind that nobody listens on. */
export async function findLastingPort(): Promise<number> {
  const server = createServer();
  const port = await listenLastingly(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function tryListen(server: Server, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      server.off('listening', onListening);
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    };
    const onListening = (): void => {
      server.off('error', onError);
      resolve(true);
    };
    server.once('error', onError);
    server.once('listening', onListening);
    server.listen(port, '127.0.0.1');
  });
}
