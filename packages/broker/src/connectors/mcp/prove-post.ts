// Sends a POST or GET of the MCP wire with a fresh proof where its credential is bound to a key (RFC 9449 §7, §9).
import type { Dispatcher } from 'undici';
import { type Post, type Posted, post } from './exchange.ts';

/** `origin`: of the server, as it is dialled. Without a proof this is one exchange and nothing else. */
export async function provePost(pool: Dispatcher, origin: string, request: Post): Promise<Posted> {
  const { proof, timeout_ms } = request;
  if (proof === undefined) return post(pool, request);
  const started = performance.now();
  const { method = 'POST', path } = request;
  const once = async (): Promise<Posted> => {
    const proving = await proof.headersFor(method, `${origin}${path}`).catch(() => null);
    if (proving === null)
      return { kind: 'not_sent', reason: 'the proof of the credential could not be signed' };
    const left_ms = timeout_ms - (performance.now() - started);
    if (left_ms <= 0) return { kind: 'not_sent', reason: 'no time is left for sending it' };
    return post(pool, { ...request, headers: [...request.headers, ...proving], timeout_ms: left_ms });
  };
  const posted = await once();
  // INVARIANT: twice at most. A server that is content with no nonce must not keep a call going round.
  return 'status' in posted && posted.again === true ? once() : posted;
}
