// Speaks to a server without an HTTP client between: bytes out, bytes back.
import { connect } from 'node:net';

/** Sends bytes as they are and answers everything that comes back. */
export function sendRaw(url: string, bytes: string | Buffer, patience_ms = 1_500): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(Number(port), hostname);
    const give = (): void => resolve(Buffer.concat(chunks).toString('latin1'));
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      // A kept-alive answer ends where its length says; the broker keeps the connection.
      const text = Buffer.concat(chunks).toString('latin1');
      const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1];
      const body = text.indexOf('\r\n\r\n');
      if (length !== undefined && body >= 0 && text.length >= body + 4 + Number(length)) socket.end();
    });
    socket.on('close', give);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET' || error.code === 'EPIPE') give();
      else reject(error);
    });
    socket.write(bytes);
    setTimeout(() => socket.end(), patience_ms).unref();
  });
}
