// Provides one fixed credential from a reference (`env:NAME` or `file:/path`), read at start and re-read in time.
import { createHash } from 'node:crypto';
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { Credential, CredentialProvider, Minted, MintRequest } from '#rules/credential.ts';
import type { ProviderKind, ReadSecret } from './provider.ts';

export const staticKind: ProviderKind = {
  grade: () => ({
    grade: 'D',
    why: 'One fixed secret: it can do all that it was given, for as long as nobody replaces it.',
  }),
  create: (connector, options, { readSecret, clock }) =>
    createStaticProvider(connector, options, readSecret, clock),
};

export interface StaticOptions {
  /** `env:NAME` or `file:/absolute/path`. */
  readonly value: string;
  /** HTTP header that carries `prefix` + value. */
  readonly header: string | null;
  readonly prefix: string;
  /** Environment variable of a stdio child that carries the value. */
  readonly env: string | null;
}

/** How long a value is reused before its source is read again, so that a rotated secret takes effect. */
const REUSE_MS = 60_000;
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Headers that belong to the protocol or to the connection; a credential must not overwrite them. */
const TAKEN = /^(host|content-.*|accept.*|connection|transfer-encoding|mcp-.*|te|trailer|upgrade|expect)$/i;

/** Mistakes of a credential block, all at once; empty when it can be used. */
export function checkStaticOptions(options: JsonObject): string[] {
  const mistakes: string[] = [];
  for (const key of Object.keys(options))
    if (!['value', 'header', 'prefix', 'env'].includes(key))
      mistakes.push(`unknown key "${key}"; expected value, header, prefix, env`);
  const { value, header, prefix, env } = options;
  if (typeof value !== 'string' || !/^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$/.test(value))
    mistakes.push('value must be a reference, env:NAME or file:/path, never the secret itself');
  if ((header === undefined) === (env === undefined))
    mistakes.push('expected either header (HTTP) or env (stdio)');
  if (header !== undefined && (typeof header !== 'string' || !HEADER_NAME.test(header) || TAKEN.test(header)))
    mistakes.push(`header ${describe(header)} is not a header that a credential may set`);
  if (
    prefix !== undefined &&
    (typeof prefix !== 'string' || header === undefined || !/^[\x20-\x7e]*$/.test(prefix))
  )
    mistakes.push('prefix must be plain text, and goes with header');
  if (
    env !== undefined &&
    (typeof env !== 'string' || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(env) || isLoaderVariable(env))
  )
    mistakes.push(`env ${describe(env)} is not a variable that a credential may set`);
  return mistakes;
}

function describe(value: Json | undefined): string {
  return JSON.stringify(value) ?? '';
}

/** Variables that make a program load foreign code. */
function isLoaderVariable(name: string): boolean {
  return /^(NODE_OPTIONS|NODE_PATH|LD_.*|DYLD_.*|BASH_ENV|ENV|PATH)$/.test(name);
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
  const { value, header, prefix, env } = options as unknown as Partial<StaticOptions> & { value: string };
  let cached: { base: Omit<Credential, 'scope'>; until: number } | null = null;

  const load = async (): Promise<Omit<Credential, 'scope'> | string> => {
    let secret: string;
    try {
      // A file usually ends with a line break that is not part of the secret.
      secret = (await readSecret(value)).replace(/\r?\n$/, '');
    } catch {
      return `the secret behind ${value} cannot be read`;
    }
    if (secret === '') return `the secret behind ${value} is empty`;
    if (header != null && !/^[\x20-\x7e]+$/.test(secret))
      return `the secret behind ${value} is not plain ASCII on one line`;
    const inject =
      header != null
        ? { headers: { [header.toLowerCase()]: (prefix ?? '') + secret } }
        : { env: { [env as string]: secret } };
    return {
      id: `static:${connector}:${fingerprint(connector, value)}`,
      expires_at_ms: null,
      inject,
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
