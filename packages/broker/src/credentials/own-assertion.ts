// What the broker shows of itself to another issuer: a token that something else keeps fresh, or one that it signs.
import { randomUUID } from 'node:crypto';
import type { ProviderWorld } from './provider.ts';
import { secretOf } from './secret-of.ts';
import { signAssertion } from './sign-assertion.ts';

/** The `assertion` of a credential block; one of the two forms, which `assertionMistake` saw to. */
export interface AssertionOptions {
  /** Reference to a token, e.g. a projected service account token. */
  readonly token?: string;
  readonly issuer?: string;
  readonly subject?: string;
  readonly audience?: string;
  /** Reference to the key that signs. */
  readonly key?: string;
  readonly key_id?: string;
}

/** How long what the broker signs is good for: enough for one request. */
const LIFE_S = 300;

/** What is wrong with the form, or null. */
export function assertionMistake({ token, issuer, subject, key }: AssertionOptions): string | null {
  const signs = [issuer, subject, key].filter((each) => each !== undefined).length;
  if (token !== undefined ? signs === 0 : signs === 3) return null;
  return 'expected either token, or issuer, subject and key';
}

/** Read or signed anew at every use. `audience`: where the options name none. */
export async function ownAssertion(
  options: AssertionOptions,
  audience: string,
  { readSecret, clock }: Pick<ProviderWorld, 'readSecret' | 'clock'>,
): Promise<string> {
  const { token, issuer, subject, key, key_id = 'thumbprint' } = options;
  if (token !== undefined) return secretOf(token, readSecret);
  const reference = key!;
  const now_s = Math.floor(clock.now() / 1000);
  return signAssertion(
    { pem: await secretOf(reference, readSecret), reference, key_id },
    {
      ...{ iss: issuer!, sub: subject!, aud: options.audience ?? audience },
      ...{ iat: now_s, nbf: now_s, exp: now_s + LIFE_S, jti: randomUUID() },
    },
  );
}
