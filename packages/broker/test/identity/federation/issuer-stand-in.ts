// An issuer on loopback that publishes keys and signs what it is told to, and misbehaves on demand; it counts who asks.
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';

export interface SigningPair {
  readonly kid: string | null;
  readonly alg: string;
  readonly privateKey: KeyObject;
  readonly publicJwk: JsonObject;
}

const KINDS: Readonly<Record<string, () => { privateKey: KeyObject; publicKey: KeyObject }>> = {
  EdDSA: () => generateKeyPairSync('ed25519'),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ES384: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  ES512: () => generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
};

export function signingPair(alg = 'RS256', kid: string | null = `${alg}-key`): SigningPair {
  const { privateKey, publicKey } = KINDS[/^[RP]S/.test(alg) ? 'RS256' : alg]!();
  const jwk = publicKey.export({ format: 'jwk' }) as JsonObject;
  return { kid, alg, privateKey, publicJwk: { ...jwk, ...(kid === null ? {} : { kid }), use: 'sig' } };
}

/** A signature as RFC 7518 §3 forms it. */
export function sealed(alg: string, input: string, key: KeyObject): Buffer {
  const data = Buffer.from(input);
  if (alg === 'EdDSA') return sign(null, data, key);
  const hash = `sha${alg.slice(2)}`;
  if (alg.startsWith('ES')) return sign(hash, data, { key, dsaEncoding: 'ieee-p1363' });
  return alg.startsWith('PS') ? sign(hash, data, { key, padding: 6, saltLength: -1 }) : sign(hash, data, key);
}

const segment = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token of the pair; members that are undefined are left away. */
export function signedBy(pair: SigningPair, claims: object, header: object = {}): string {
  const head = { alg: pair.alg, typ: 'JWT', ...(pair.kid === null ? {} : { kid: pair.kid }), ...header };
  const input = `${segment(head)}.${segment(claims)}`;
  return `${input}.${sealed(pair.alg, input, pair.privateKey).toString('base64url')}`;
}

export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface IssuerStandIn {
  readonly server: Server;
  readonly url: string;
  readonly jwks_uri: string;
  /** What it publishes. */
  keys: readonly JsonObject[];
  /** Requests, by path. */
  readonly asked: string[];
  /** What it says of itself instead of its discovery document or keys; null: the truth. */
  says: ((path: string, response: ServerResponse) => Answer | 'silence' | null) | null;
}

export const DISCOVERY = '/.well-known/openid-configuration';
export const JWKS = '/keys';

export async function openIssuer(t: TestContext, keys: readonly JsonObject[]): Promise<IssuerStandIn> {
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    issuer.asked.push(path);
    const said = issuer.says?.(path, response) ?? null;
    if (said === 'silence') return;
    const truth = path === DISCOVERY ? discovery() : { keys: issuer.keys };
    const { status = 200, headers = {}, body = JSON.stringify(truth) } = said ?? {};
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const discovery = () => ({ issuer: url, jwks_uri: `${url}${JWKS}` });
  const issuer: IssuerStandIn = { server, url, jwks_uri: `${url}${JWKS}`, keys, asked: [], says: null };
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return issuer;
}
