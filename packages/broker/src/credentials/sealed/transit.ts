// Wraps data keys by the transit engine of Vault or OpenBao: the key-encryption key never leaves it.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { KeyEncryption } from './key-encryption.ts';
import { KEY_BYTES, SealBroken } from './seal.ts';

export interface TransitOptions {
  /** Origin of the server. */
  readonly url: string;
  readonly namespace: string | null;
  readonly mount: string;
  /** Name of a key of type aes256-gcm96. */
  readonly key: string;
  /** Reference to a token that may encrypt, decrypt and read that key. */
  readonly token: string;
}

/** Rejects without a word of what was sent or answered. */
export type TransitSend = (
  url: string,
  what: {
    readonly method: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: string;
  },
) => Promise<Response>;

/** `token` reads the reference, outside of the sealed store. */
export function createTransit(
  options: TransitOptions,
  send: TransitSend,
  token: (reference: string) => Promise<string>,
): KeyEncryption {
  const { url, namespace, mount, key } = options;
  const where = `transit key ${mount}/${key} at ${url}`;

  const ask = async (method: string, path: string, body?: JsonObject): Promise<JsonObject> => {
    const answer = await send(`${url}/v1/${mount}/${path}`, {
      method,
      headers: {
        'x-vault-token': await token(options.token),
        'x-vault-request': 'true',
        ...(namespace === null ? {} : { 'x-vault-namespace': namespace }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (answer.status === 204) return {};
    if (!answer.ok) throw new SealBroken(`${where} answered ${answer.status}`);
    const told = (await answer.json()) as { readonly data?: Json };
    if (!isJsonObject(told.data)) throw new SealBroken(`${where} answered without data`);
    return told.data;
  };

  const textOf = (value: Json | undefined): string => {
    if (typeof value !== 'string')
      throw new SealBroken(`${where} answered something else than was asked for`);
    return value;
  };
  const idOf = (version: string | number): string => `transit:${mount}/${key}:v${version}`;

  return {
    where,
    async current() {
      const { latest_version } = await ask('GET', `keys/${key}`);
      return idOf(Number(latest_version));
    },
    async wrap(data, place) {
      const { ciphertext } = await ask('POST', `encrypt/${key}`, {
        plaintext: Buffer.from(data).toString('base64'),
        associated_data: Buffer.from(place).toString('base64'),
      });
      const text = textOf(ciphertext);
      const version = /^vault:v([1-9][0-9]*):/.exec(text)?.[1];
      if (version === undefined) throw new SealBroken(`${where} answered a ciphertext of another form`);
      return { key_id: idOf(version), wrapped: Buffer.from(text, 'utf8') };
    },
    async unwrap(_key_id, wrapped, place) {
      const { plaintext } = await ask('POST', `decrypt/${key}`, {
        ciphertext: Buffer.from(wrapped).toString('utf8'),
        associated_data: Buffer.from(place).toString('base64'),
      });
      const data = Buffer.from(textOf(plaintext), 'base64');
      if (data.length !== KEY_BYTES) throw new SealBroken(`${where} answered a key of another length`);
      return data;
    },
    async renew() {
      await ask('POST', `keys/${key}/rotate`);
    },
    // Old versions are trimmed where the key is kept: its owner may have wrapped other things with them.
    async forget() {},
  };
}
