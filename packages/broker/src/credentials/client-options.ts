// The client that somebody registered for the broker at an authorization server, as a connector's file names it.
import type { AuthMethod } from './oauth/auth-method.ts';

export interface ClientOptions {
  readonly id: string;
  /** Reference to its secret. */
  readonly secret?: string;
  readonly secret_in?: 'basic' | 'post';
  /** Reference to its private key. */
  readonly key?: string;
  readonly key_id?: string;
}

/** What is wrong with the client, or null. `confidential`: it has to prove itself. */
export function clientMistake(client: ClientOptions | undefined, confidential: boolean): string | null {
  if (client === undefined) return null;
  if (client.secret !== undefined && client.key !== undefined)
    return 'a client has a secret or a key, not both';
  if (confidential && client.secret === undefined && client.key === undefined)
    return 'a client that acts for itself has a secret or a key';
  return null;
}

/** How it proves itself. */
export function methodOf({ secret, secret_in, key }: ClientOptions): AuthMethod {
  if (key !== undefined) return 'private_key_jwt';
  if (secret === undefined) return 'none';
  return secret_in === 'post' ? 'client_secret_post' : 'client_secret_basic';
}
