// Provides one fixed credential from a reference (`env:NAME`, `file:/path`, `sealed:NAME`), read at start and re-read in time.
import { createHash } from 'node:crypto';
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { Credential, CredentialProvider, Minted, MintRequest } from '#rules/credential.ts';
import { type Injection, inject, mayBeHeader, mayBeVariable } from './injection.ts';
import type { ProviderKind, ReadSecret } from './provider.ts';
import { textBehind } from './secret-of.ts';

export const staticKind: ProviderKind = {
  grade: () => ({
    grade: 'D',
    why: 'One fixed secret: it can do all that it was given, for as long as nobody replaces it.',
  }),
  create: (connector, options, { readSecret, clock }) =>
    createStaticProvider(connector, options, readSecret, clock),
};

export interface StaticOptions extends Injection {
  /** `env:NAME`, `file:/absolute/path` or `sealed:NAME`. */
  readonly value: string;
}

/** How long a value is reused before its source is read again, so that a rotated secret takes effect. */
const REUSE_MS = 60_000;
/** Mistakes of a credential block, all at once; empty when it can be used. */
export function checkStaticOptions(options: JsonObject): string[] {
  const mistakes: string[] = [];
  for (const key of Object.keys(options))
    if (!['value', 'header', 'prefix', 'env'].includes(key))
      mistakes.push(`unknown key "${key}"; expected value, header, prefix, env`);
  const { value, header, prefix, env } = options;
  if (
    typeof value !== 'string' ||
    !/^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+|sealed:[a-z][a-z0-9._-]{0,63})$/.test(value)
  )
    mistakes.push('value must be a reference, env:NAME, file:/path or sealed:NAME, never the secret itself');
  if ((header === undefined) === (env === undefined))
    mistakes.push('expected either header (HTTP) or env (stdio)');
  if (header !== undefined && (typeof header !== 'string' || !mayBeHeader(header)))
    mistakes.push(`header ${describe(header)} is not a header that a credential may set`);
  if (
    prefix !== undefined &&
    (typeof prefix !== 'string' || header === undefined || !/^[\x20-\x7e]*$/.test(prefix))
  )
    mistakes.push('prefix must be plain text, and goes with header');
  if (env !== undefined && (typeof env !== 'string' || !mayBeVariable(env)))
    mistakes.push(`env ${describe(env)} is not a variable that a credential may set`);
  return mistakes;
}

function describe(value: Json | undefined): string {
  return JSON.stringify(value) ?? '';
}

/** Throws when the options have mistakes; `check` refuses such a bundle before. */
export function createStaticProvider(
  connector: string,
  options: Json,
  readSecret: ReadSecret,
  clock: { now(): number },
): CredentialProvider {
  const mistakes = isJsonObject(options) ? checkStaticOptions(options) : ['expected an object'];
  if (mistakes.length > 0) throw new Error(`credential of connector ${connector}: ${mistakes.join('; ')}`);
  const { value } = options as unknown as StaticOptions;
  let cached: { base: Omit<Credential, 'scope'>; until: number } | null = null;

  const load = async (): Promise<Omit<Credential, 'scope'> | string> => {
    let secret: string;
    try {
      secret = await textBehind(value, readSecret);
    } catch {
      return `the secret behind ${value} cannot be read`;
    }
    if (secret === '') return `the secret behind ${value} is empty`;
    const injected = inject(secret, options as Injection);
    if (injected === null) return `the secret behind ${value} is not plain ASCII on one line`;
    return {
      id: `static:${connector}:${fingerprint(connector, value)}`,
      expires_at_ms: null,
      inject: injected,
      secrets: [secret],
    };
  };

  return {
    async mint(request: MintRequest): Promise<Minted> {
      if (cached === null || cached.until <= clock.now()) {
        const base = await load();
        if (typeof base === 'string') return { ok: false, reason: base };
        const same = cached !== null && cached.base.secrets[0] === base.secrets[0];
        cached = { base: same && cached !== null ? cached.base : base, until: clock.now() + REUSE_MS };
      }
      return { ok: true, credential: { ...cached.base, scope: request.scope } };
    },
  };
}

/** Names the reference, not the secret: a digest of a short secret could be guessed. */
function fingerprint(connector: string, reference: string): string {
  return createHash('sha256').update(`${connector}\n${reference}`).digest('hex').slice(0, 12);
}
