// Finds a port of loopback that nobody listens on, and waits for who will.
import { connect, createServer } from 'node:net';

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Resolves once somebody listens; rejects when `ended` says that nobody will. */
export async function listening(port: number, ended: Promise<string>): Promise<void> {
  let over: string | null = null;
  void ended.then((said) => {
    over = said;
  });
  while (over === null) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true));
      socket.once('error', () => resolve(false)).once('close', () => socket.destroy());
      socket.once('connect', () => socket.end());
    });
    if (open) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`it ended before it listened: ${over}`);
}
