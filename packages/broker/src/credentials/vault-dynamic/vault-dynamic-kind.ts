// Provider `vault-dynamic`: what a secrets engine of Vault or OpenBao makes for one call, and what ends it afterwards.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { Credential, Minted, MintRequest, Revoked } from '#rules/credential.ts';
import { mayBeHeader, mayBeVariable } from '../injection.ts';
import type { ProviderKind, ProviderWorld } from '../provider.ts';
import { createVaultClient, type VaultClient, type VaultOptions } from './vault-client.ts';

interface DynamicOptions extends VaultOptions {
  /** What a tool's scope may name. */
  readonly paths: readonly string[];
  /** Variable → field of what was read. */
  readonly env?: Readonly<Record<string, string>>;
  readonly header?: string;
  readonly prefix?: string;
  readonly field?: string;
}

export const vaultDynamicKind: ProviderKind = {
  grade: () => ({
    grade: 'A',
    why: 'Made for one call with what its role allows, for its lease at most, and revoked when the call is over.',
  }),
  mistakes(options) {
    const { env, header, field, auth } = options as unknown as DynamicOptions;
    const mistakes: { pointer: string; message: string }[] = [];
    if ((env === undefined) === (header === undefined))
      mistakes.push({ pointer: '', message: 'expected exactly one of header and env' });
    if (header !== undefined && !mayBeHeader(header))
      mistakes.push({ pointer: '/header', message: 'that is not a header that a credential may set' });
    if (header !== undefined && field === undefined)
      mistakes.push({ pointer: '/field', message: 'expected which field of the secret the header carries' });
    for (const name of Object.keys(env ?? {}))
      if (!mayBeVariable(name))
        mistakes.push({ pointer: '/env', message: `"${name}" is not a variable that a credential may set` });
    if ((auth.jwt === undefined) === (auth.token === undefined))
      mistakes.push({ pointer: '/auth', message: 'expected either role and jwt, or token' });
    if (auth.jwt !== undefined && auth.role === undefined)
      mistakes.push({ pointer: '/auth', message: 'a log-in by JWT names its role' });
    return mistakes;
  },
  create(_connector, options, world) {
    const settings = options as unknown as DynamicOptions;
    return {
      mint: (request) => withClient(settings, world, (client) => mint(settings, request, client, world)),
      revoke: (handle) => withClient(settings, world, (client) => revoke(handle, client)),
    };
  },
};

async function withClient<T>(
  settings: DynamicOptions,
  world: ProviderWorld,
  work: (client: VaultClient) => Promise<T>,
): Promise<T> {
  const client = await createVaultClient(settings, world);
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

async function mint(
  settings: DynamicOptions,
  { scope, max_ttl_ms }: MintRequest,
  client: VaultClient,
  world: ProviderWorld,
): Promise<Minted> {
  const path = isJsonObject(scope) ? scope.path : undefined;
  if (typeof path !== 'string' || !settings.paths.includes(path))
    return { ok: false, reason: 'credential.scope.path is none of the paths of the connector' };
  const login = await client.login();
  if (!login.ok) return login;
  const { token } = login;
  const read = await client.ask('GET', path, token);
  if (!read.ok) return failing(client, login, read.reason);
  const { lease_id, lease_duration, data } = read.body;
  const lease = typeof lease_id === 'string' && lease_id !== '' ? lease_id : null;
  // Until here a log-in token that is dropped ends by itself; from here on something outlives it in a database.
  const handle: Json = { lease, token: login.own ? token : null };
  const fail = async (reason: string): Promise<Minted> => {
    await revoke(handle, client);
    return { ok: false, reason };
  };
  if (!isJsonObject(data ?? null)) return fail('Vault answered without data');
  const injected = injectionOf(settings, data as JsonObject);
  if (typeof injected === 'string') return fail(injected);
  const shortened = await shorten(lease, Number(lease_duration), max_ttl_ms, client, token);
  if (!shortened.ok) return fail(shortened.reason);
  return {
    ok: true,
    credential: {
      id: `vault-dynamic:${lease ?? `${path}:${Buffer.from(world.random(9)).toString('base64url')}`}`,
      expires_at_ms: lease === null ? null : world.clock.now() + shortened.lasts_ms,
      scope,
      inject: injected.inject,
      secrets: login.own ? [...injected.secrets, token] : injected.secrets,
      handle,
    },
  };
}

async function failing(
  client: VaultClient,
  { token, own }: { readonly token: string; readonly own: boolean },
  reason: string,
): Promise<Minted> {
  if (own) await client.ask('POST', 'auth/token/revoke-self', token);
  return { ok: false, reason };
}

type Shortened =
  | { readonly ok: true; readonly lasts_ms: number }
  | { readonly ok: false; readonly reason: string };

/** A lease that lasts longer than the tool allows is cut: Vault takes a shorter increment as the new end. */
async function shorten(
  lease: string | null,
  lasts_s: number,
  max_ttl_ms: number | null,
  client: VaultClient,
  token: string,
): Promise<Shortened> {
  const most_s = max_ttl_ms === null ? Number.POSITIVE_INFINITY : Math.max(1, Math.floor(max_ttl_ms / 1_000));
  if (lease === null || lasts_s <= most_s) return { ok: true, lasts_ms: lasts_s * 1_000 };
  const cut = await client.ask('POST', 'sys/leases/renew', token, { lease_id: lease, increment: most_s });
  const now_s = cut.ok ? Number(cut.body.lease_duration) : Number.NaN;
  return now_s <= most_s
    ? { ok: true, lasts_ms: now_s * 1_000 }
    : { ok: false, reason: `the lease lasts ${lasts_s} s, more than the tool allows, and could not be cut` };
}

/** Every text that was read counts as secret, whether or not it is injected. */
function injectionOf(
  { env, header, prefix = '', field }: DynamicOptions,
  data: JsonObject,
): Pick<Credential, 'inject' | 'secrets'> | string {
  const secrets = Object.values(data).filter(
    (each): each is string => typeof each === 'string' && each !== '',
  );
  const textOf = (name: string): string | null => {
    const value = Object.hasOwn(data, name) ? data[name] : undefined;
    return typeof value === 'string' && value !== '' ? value : null;
  };
  if (header !== undefined) {
    const value = textOf(field!);
    if (value === null || !/^[\x20-\x7e]+$/.test(value))
      return `the secret has no field ${field} for a header`;
    return { inject: { headers: { [header.toLowerCase()]: prefix + value } }, secrets };
  }
  const variables: Record<string, string> = {};
  for (const [name, from] of Object.entries(env ?? {})) {
    const value = textOf(from);
    if (value === null) return `the secret has no field ${from} for ${name}`;
    variables[name] = value;
  }
  return { inject: { env: variables }, secrets };
}

/**
 * The lease first, at once and not in a queue, so that a database that does not answer is known; then the token that
 * logged in for the call, with which everything goes that it ever made.
 */
async function revoke(handle: Json, client: VaultClient): Promise<Revoked> {
  const { lease, token } = isJsonObject(handle) ? handle : {};
  const own = typeof token === 'string' ? token : null;
  let by = own;
  if (by === null) {
    const login = await client.login();
    if (!login.ok) return login;
    by = login.token;
  }
  const ended =
    typeof lease !== 'string'
      ? null
      : await client.ask('POST', 'sys/leases/revoke', by, { lease_id: lease, sync: true });
  // Not allowed to revoke leases, or gone itself: a token is always allowed to end itself, and takes its leases along.
  const refused = ended !== null && !ended.ok && ended.status === 403;
  if (ended !== null && !ended.ok && !(refused && own !== null)) return { ok: false, reason: ended.reason };
  if (own === null) return { ok: true };
  const gone = await client.ask('POST', 'auth/token/revoke-self', own);
  // 403: the token is not known any more, and so is nothing that it made.
  return gone.ok || gone.status === 403 ? { ok: true } : { ok: false, reason: gone.reason };
}
