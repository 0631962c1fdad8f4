// Makes proofs of possession for tests, right but for what is wished.
import { createHash, createHmac, type KeyObject, randomBytes, sign } from 'node:crypto';
import type { JsonObject } from '@countersign/contract/json.ts';
import { SignJWT } from 'jose';
import { agentOf, formWith, ISSUER, type TestKey, type TokenDoor, testKey } from './token-door.ts';

export interface ProofWishes {
  readonly header?: Readonly<Record<string, unknown>>;
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Signs instead of the key in the header. */
  readonly signer?: KeyObject;
  /** Changes the text after it was signed. */
  readonly after?: (proof: string) => string;
}

/** What the proof is for. */
export interface ProofFor {
  readonly htm: string;
  readonly htu: string;
  readonly token?: string;
  readonly now_ms: number;
}

const segment = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A compact JWS, signed as `header.alg` says; members that are undefined are left away. */
export function prove(key: TestKey, of: ProofFor, wishes: ProofWishes = {}): string {
  const { kid: _, ...jwk } = key.publicJwk;
  const header = { typ: 'dpop+jwt', alg: algOf(jwk), jwk, ...wishes.header };
  const claims = {
    ...{ jti: randomBytes(9).toString('base64url'), htm: of.htm, htu: of.htu, iat: of.now_ms / 1000 },
    ...(of.token === undefined ? {} : { ath: createHash('sha256').update(of.token).digest('base64url') }),
    ...wishes.claims,
  };
  const input = `${segment(header)}.${segment(claims)}`;
  const proof = `${input}.${seal(header.alg, input, wishes.signer ?? key.privateKey)}`;
  return wishes.after === undefined ? proof : wishes.after(proof);
}

function algOf({ kty, crv }: JsonObject): string {
  return kty === 'RSA' ? 'RS256' : crv === 'P-256' ? 'ES256' : 'EdDSA';
}

function seal(alg: unknown, input: string, key: KeyObject): string {
  const data = Buffer.from(input);
  if (alg === 'none') return '';
  if (alg === 'HS256') {
    const secret = key.export({ format: 'pem', type: 'pkcs8' });
    return createHmac('sha256', secret).update(data).digest('base64url');
  }
  const hash = alg === 'EdDSA' ? null : 'sha256';
  const pss = alg === 'PS256' ? { padding: 6, saltLength: 32 } : {};
  return sign(hash, data, { key, dsaEncoding: 'ieee-p1363', ...pss }).toString('base64url');
}

/** Agents with keys, for the tests of tokens. */
export const parent = testKey('ed25519', 'parent');
export const child = testKey('ed25519', 'child');
export const third = testKey('ed25519', 'third');
export const cast = [
  agentOf('parent', [parent.publicJwk]),
  agentOf('child', [child.publicJwk]),
  agentOf('third', [third.publicJwk]),
];
const keys: Readonly<Record<string, TestKey>> = { parent, child, third };

/** The form of an authenticated request. */
export async function formOf(door: TokenDoor, as: string, more: Readonly<Record<string, string>> = {}) {
  const assertion = await new SignJWT({ jti: randomBytes(9).toString('hex') })
    .setProtectedHeader({ alg: 'EdDSA', typ: 'JWT' })
    .setIssuer(as)
    .setSubject(as)
    .setAudience(ISSUER)
    .setExpirationTime(Math.floor(door.now_ms / 1000) + 60)
    .sign((keys[as] ?? parent).privateKey);
  return formWith(assertion, more);
}

export const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const ACCESS = 'urn:ietf:params:oauth:token-type:access_token';
export const DELEGATION = 'urn:countersign:token-type:delegation';

/** A token of our own, or the code of the error. */
export async function tokenOf(
  door: TokenDoor,
  as: string,
  more: Readonly<Record<string, string>> = {},
  proof?: string,
): Promise<{ readonly token: string; readonly body: JsonObject } | { readonly error: string }> {
  const answered = await door.exchange(await formOf(door, as, more), proof);
  if (!answered.ok) return { error: answered.error.error };
  return { token: answered.tokens.access_token, body: answered.tokens as unknown as JsonObject };
}

export async function goodToken(
  door: TokenDoor,
  as: string,
  more: Readonly<Record<string, string>> = {},
  proof?: string,
): Promise<string> {
  const given = await tokenOf(door, as, more, proof);
  if ('error' in given) throw new Error(`no token for ${as}: ${given.error}`);
  return given.token;
}

/** What an exchange of a token asks for. */
export function exchanging(
  subject_token: string,
  details: JsonObject | null = null,
  more: Readonly<Record<string, string>> = {},
): Record<string, string> {
  return {
    ...{ grant_type: EXCHANGE, subject_token, subject_token_type: ACCESS },
    ...(details === null ? {} : { authorization_details: JSON.stringify([details]) }),
    ...more,
  };
}
