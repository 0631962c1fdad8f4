// Verifies a foreign JWT: a trusted issuer, its rules, its key, its signature; whom it names is asked afterwards.
import { createHash } from 'node:crypto';
import type { JsonObject } from '@countersign/contract/json.ts';
import { compactVerify } from 'jose';
import type { TrustedIssuer } from '#rules/federation.ts';
import { decodeJws } from '../jws.ts';
import { issuerOf, mistakeOf } from './check-token.ts';
import type { IssuerKey } from './issuer-keys.ts';
import type { KeySets } from './key-sets.ts';

/** A foreign token that holds. */
export interface ForeignToken {
  readonly issuer: TrustedIssuer;
  readonly claims: JsonObject;
  readonly subject: string;
  /** What marks it as used: its `jti`, or the digest of what was signed. */
  readonly use_id: string;
  readonly expires_at_ms: number;
}

export type Verified =
  | { readonly ok: true; readonly token: ForeignToken }
  /** `why` is for the log alone: a stranger gets the same words for every cause. */
  | { readonly ok: false; readonly why: string };

export interface VerifyContext {
  readonly issuers: readonly TrustedIssuer[];
  /** The broker's own issuer: the audience where an entry names none. */
  readonly broker: string;
  readonly keySets: KeySets;
  readonly now_ms: number;
}

/** Every character of `text` is the caller's. Nothing is spent yet. */
export async function verifyForeign(text: string, context: VerifyContext): Promise<Verified> {
  const decoded = decodeJws(text);
  if (decoded === null) return refused('not a compact JWS of two JSON objects');
  const issuer = issuerOf(decoded, context.issuers);
  if (issuer === null) return refused('no trusted issuer of such tokens');
  const because = (why: string): Verified => refused(`issuer ${issuer.name}: ${why}`);
  // Before any key: a token that could not be accepted costs no fetch.
  const mistake = mistakeOf(decoded, issuer, issuer.audience ?? context.broker, context.now_ms);
  if (mistake !== null) return because(mistake);
  const { alg, kid } = decoded.header as { alg: string; kid?: string };
  const keys = await context.keySets.find(issuer, kid ?? null, alg);
  if (keys.length === 0) return because('no key of its set fits');
  if (!(await signedByOne(text, alg, keys))) return because('no key of its set signed it');
  const { sub, jti, exp } = decoded.claims as { sub: string; jti?: string; exp: number };
  const { claims } = decoded;
  const use_id = jti === undefined ? digestOfSigned(text) : `jti:${jti}`;
  return { ok: true, token: { issuer, claims, subject: sub, use_id, expires_at_ms: Math.ceil(exp * 1000) } };
}

function refused(why: string): Verified {
  return { ok: false, why };
}

async function signedByOne(text: string, alg: string, keys: readonly IssuerKey[]): Promise<boolean> {
  for (const { key } of keys) {
    const signed = await compactVerify(text, key, { algorithms: [alg] }).then(
      () => true,
      () => false,
    );
    if (signed) return true;
  }
  return false;
}

/** Of header and claims only: an ECDSA signature has a second form, which would pass for a second token. */
function digestOfSigned(text: string): string {
  return `sha256:${createHash('sha256')
    .update(text.slice(0, text.lastIndexOf('.')))
    .digest('base64url')}`;
}
