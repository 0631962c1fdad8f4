// Speaks to Vault or OpenBao: logs in with a JWT for each use, or shows a token; in a namespace where there is one.
import { isJsonObject, type JsonObject } from '@countersign/contract/json.ts';
import { askJson, type Told } from '../ask-json.ts';
import type { ProviderWorld } from '../provider.ts';

export interface VaultOptions {
  readonly address: string;
  readonly namespace?: string;
  readonly auth: {
    /** Mount of the JWT auth method. Default jwt. */
    readonly mount?: string;
    readonly role?: string;
    /** Reference to the JWT that logs in. */
    readonly jwt?: string;
    /** Reference to a token that something else keeps fresh. */
    readonly token?: string;
  };
  readonly ca?: string;
  readonly allow_private?: boolean | readonly string[];
}

export type Login =
  /** `own`: made by this log-in, so that ending it harms nobody else. */
  | { readonly ok: true; readonly token: string; readonly own: boolean }
  | { readonly ok: false; readonly reason: string };

export interface VaultClient {
  login(): Promise<Login>;
  ask(method: 'GET' | 'POST', path: string, token: string, body?: JsonObject): Promise<Told>;
  close(): Promise<void>;
}

/** Rejects where the certificate of its authority cannot be read. */
export async function createVaultClient(options: VaultOptions, world: ProviderWorld): Promise<VaultClient> {
  const { address, namespace, auth, allow_private = false } = options;
  const ca = options.ca === undefined ? {} : { ca: await world.readSecret(options.ca) };
  const network = world.network({ allow_private, ...ca });
  const ask = (
    method: 'GET' | 'POST',
    path: string,
    token: string | null,
    body?: JsonObject,
  ): Promise<Told> =>
    askJson(network, 'Vault', `${address.replace(/\/$/, '')}/v1/${path}`, {
      method,
      headers: {
        'x-vault-request': 'true',
        ...(namespace === undefined ? {} : { 'x-vault-namespace': namespace }),
        ...(token === null ? {} : { 'x-vault-token': token }),
      },
      ...(body === undefined ? {} : { body }),
    });
  return {
    ask,
    close: () => network.close(),
    async login() {
      const reference = auth.token ?? auth.jwt!;
      let shown: string;
      try {
        shown = (await world.readSecret(reference)).trim();
      } catch {
        return { ok: false, reason: `the secret behind ${reference} cannot be read` };
      }
      if (auth.token !== undefined) return { ok: true, token: shown, own: false };
      const told = await ask('POST', `auth/${auth.mount ?? 'jwt'}/login`, null, {
        role: auth.role!,
        jwt: shown,
      });
      if (!told.ok) return told;
      const token = isJsonObject(told.body.auth ?? null) ? (told.body.auth as JsonObject).client_token : null;
      return typeof token === 'string'
        ? { ok: true, token, own: true }
        : { ok: false, reason: 'Vault answered a log-in without a token' };
    },
  };
}
