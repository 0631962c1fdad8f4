// Reads the body of a request as bytes, up to a limit; says what cannot be read before it is.
import type { IncomingMessage } from 'node:http';

export type Body =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'none' }
  | { readonly kind: 'not_json' }
  | { readonly kind: 'too_large' };

const JSON_TYPE = /^\s*application\/json\s*(?:;|$)/i;
const CHARSET = /;\s*charset\s*=\s*"?([^";\s]*)/i;

/**
 * Bytes that are said to be JSON in UTF-8 and nothing else. `done` is called once, and never when the client goes
 * before it has sent all. After `too_large` the rest is not read: the connection cannot be used again.
 */
export function readBody(request: IncomingMessage, most_bytes: number, done: (body: Body) => void): void {
  const { headers } = request;
  const announced = headers['content-length'];
  if (announced === '0' || (announced === undefined && headers['transfer-encoding'] === undefined)) {
    request.resume();
    done({ kind: 'none' });
    return;
  }
  if (!isJson(headers)) {
    done({ kind: 'not_json' });
    return;
  }
  if (announced !== undefined && Number(announced) > most_bytes) {
    done({ kind: 'too_large' });
    return;
  }
  let first: Buffer | undefined;
  let more: Buffer[] | undefined;
  let length = 0;
  const end = (): void => {
    if (first === undefined) done({ kind: 'none' });
    else done({ kind: 'bytes', bytes: more === undefined ? first : Buffer.concat(more, length) });
  };
  request.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > most_bytes) {
      request.removeAllListeners('data').removeListener('end', end).pause();
      done({ kind: 'too_large' });
    } else if (first === undefined) first = chunk;
    else if (more === undefined) more = [first, chunk];
    else more.push(chunk);
  });
  request.on('end', end);
}

function isJson({
  'content-type': type = '',
  'content-encoding': encoding,
}: IncomingMessage['headers']): boolean {
  if (type === 'application/json' && encoding === undefined) return true;
  const charset = CHARSET.exec(type)?.[1]?.toLowerCase() ?? 'utf-8';
  return JSON_TYPE.test(type) && charset === 'utf-8' && (encoding ?? 'identity') === 'identity';
}
