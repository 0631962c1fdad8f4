// Workload identity: a JWT of the platform, or one that the broker signs, stands for the broker (RFC 7523 §2.1).
import { randomUUID } from 'node:crypto';
import { decodeJwt, SignJWT } from 'jose';
import type { ClientAuth } from 'oauth4webapi';
import type { ReadSecret } from '../provider.ts';
import type { OauthClient } from './client.ts';
import type { OauthOptions, WorkloadOptions } from './options.ts';
import { secretAt, signingKey } from './referred-secret.ts';
import { OauthRefused } from './refusal.ts';

export interface WorkloadFacts {
  readonly options: Pick<OauthOptions, 'workload'>;
  readonly readSecret: ReadSecret;
  readonly now_ms: number;
}

/** A workload that is registered nowhere: its assertion is all that says who it is. Its id is never sent. */
export const ANONYMOUS: { readonly client: OauthClient; readonly authentication: ClientAuth } = {
  client: { id: 'workload', method: 'none', secret: null, registered: false },
  authentication: () => undefined,
};

/** How long what the broker signs is good: one request. */
const LIFE_S = 60;
const ALGORITHMS: Readonly<Record<string, string>> = {
  ECDSA: 'ES256',
  Ed25519: 'EdDSA',
  'RSASSA-PKCS1-v1_5': 'RS256',
};

/** The assertion for one authorization server. Read anew each time: platforms rotate their tokens. Throws `OauthRefused`. */
export async function assertWorkload(
  issuer: string,
  { options, readSecret, now_ms }: WorkloadFacts,
): Promise<string> {
  const { workload } = options;
  if (workload === null) throw new OauthRefused('the connector’s file names no workload token');
  const audience = workload.audience ?? issuer;
  return 'token' in workload
    ? platformToken(workload.token, audience, readSecret, now_ms)
    : signedToken(workload, audience, readSecret, now_ms);
}

/** INVARIANT: a token that is good elsewhere, as the one for the cluster's own API, is not shown to this server. */
async function platformToken(
  reference: string,
  audience: string,
  readSecret: ReadSecret,
  now_ms: number,
): Promise<string> {
  const token = await secretAt(reference, readSecret);
  const { aud, exp } = claimsOf(token, reference);
  const [sole, another] = [aud].flat();
  if (sole !== audience || another !== undefined)
    throw new OauthRefused(`the workload token behind ${reference} is not for ${audience} alone`);
  if (typeof exp !== 'number' || exp * 1000 <= now_ms)
    throw new OauthRefused(`the workload token behind ${reference} has ended, or never ends`);
  return token;
}

function claimsOf(token: string, reference: string) {
  try {
    return decodeJwt(token);
  } catch {
    throw new OauthRefused(`what is behind ${reference} is not a JWT`);
  }
}

async function signedToken(
  { key: reference, issuer, subject }: Extract<WorkloadOptions, { readonly key: string }>,
  audience: string,
  readSecret: ReadSecret,
  now_ms: number,
): Promise<string> {
  const key = signingKey(await secretAt(reference, readSecret), reference);
  const now_s = Math.floor(now_ms / 1000);
  return new SignJWT({ iss: issuer, sub: subject, aud: audience, jti: randomUUID() })
    .setProtectedHeader({ alg: ALGORITHMS[key.algorithm.name]! })
    .setIssuedAt(now_s)
    .setExpirationTime(now_s + LIFE_S)
    .sign(key);
}
