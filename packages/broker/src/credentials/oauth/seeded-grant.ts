// A grant that begins with a refresh token which somebody obtained otherwise and put behind a reference.
import { createHash } from 'node:crypto';
import type { ReadSecret } from '../provider.ts';
import { textBehind } from '../secret-of.ts';
import type { Grant } from './grant.ts';
import type { OauthOptions } from './options.ts';

/**
 * What is kept, as long as it began with the refresh token that the reference holds; otherwise a new beginning. Answers
 * why there is none when the reference cannot be read and nothing is kept.
 */
export async function seededGrant(
  { server, scopes, client, seed }: OauthOptions,
  kept: Grant | null,
  readSecret: ReadSecret,
): Promise<Grant | string> {
  const { refresh_token: reference, token_endpoint, issuer, method } = seed!;
  let first: string;
  try {
    first = await textBehind(reference, readSecret);
  } catch {
    return kept ?? `the secret behind ${reference} cannot be read`;
  }
  const digest = createHash('sha256').update(first).digest('hex');
  if (kept?.seed === digest) return kept;
  return {
    ...{ version: 1, server, issuer, token_endpoint, resource: null, redirect_uri: '' },
    client: { id: client!.id, method, secret: null, registered: false },
    ...{ asked: scopes ?? [], wanted: [], refused: false, seed: digest },
    tokens: {
      ...{ id: 'seed', access_token: '', refresh_token: first },
      ...{ obtained_at_ms: 0, expires_at_ms: 0, scopes: scopes ?? [] },
    },
  };
}
