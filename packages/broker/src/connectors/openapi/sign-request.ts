// Adds what a credential signs a request with, at the last moment: nothing of the request changes after it.
import type { Credential } from '#rules/credential.ts';
import type { OutgoingRequest } from './build-request.ts';

export async function signed(
  request: OutgoingRequest,
  base: URL,
  credential: Credential | null,
): Promise<OutgoingRequest> {
  const sign = credential?.inject.sign;
  if (sign === undefined) return request;
  const { method, path, headers, body } = request;
  const pairs = headers.flatMap((name, at) => (at % 2 === 0 ? [[name, headers[at + 1]!] as const] : []));
  const added = await sign({
    method,
    url: `${base.origin}${path}`,
    headers: Object.fromEntries(pairs),
    body,
  });
  const kept = pairs.filter(([name]) => !Object.hasOwn(added, name));
  return { ...request, headers: [...kept, ...Object.entries(added)].flat() };
}
