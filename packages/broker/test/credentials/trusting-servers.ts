// An identity provider, an authorization server that trusts it and a workload platform, and an MCP server behind it.
import { randomUUID, type webcrypto } from 'node:crypto';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import {
  calculateJwkThumbprint,
  decodeProtectedHeader,
  exportPKCS8,
  generateKeyPair,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from 'jose';
import { checkProof } from './check-proof.ts';

export const CLIENT = { id: 'broker-at-as', secret: 'as-secret-of-the-broker' };
export const IDP_CLIENT = { id: 'broker-at-idp', secret: 'idp-secret-of-the-broker' };
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const RESOURCE_METADATA = '/.well-known/oauth-protected-resource/mcp';
const AS_METADATA = '/.well-known/oauth-authorization-server';

/** A request to a token endpoint. */
export interface Asked {
  readonly form: Readonly<Record<string, string>>;
  readonly authorization: string | null;
}

export interface Trust {
  /** The MCP endpoint. */
  readonly url: string;
  readonly as: string;
  readonly idp: string;
  readonly asked: { readonly as: Asked[]; readonly idp: Asked[] };
  /** Access tokens that the authorization server gave. */
  readonly issued: string[];
  /** `Authorization` and proof of the requests that were let through. */
  readonly carried: { readonly authorization: string; readonly proof: string | null }[];
  /** The key behind which the platform, or the broker itself, signs. */
  readonly platform_pem: string;
  /** What is changed of an exchange that otherwise works. */
  changes: {
    readonly id_jag?: JWTPayload;
    readonly header?: { readonly typ: string };
    readonly answer?: JsonObject;
    readonly resource?: JsonObject;
  };
  /** What stands behind the MCP server; null: an empty answer. */
  upstream: string | null;
  /** Both answer what the identity provider, or the platform, would have handed out. */
  idToken(claims?: JWTPayload): Promise<string>;
  workloadToken(claims?: JWTPayload): Promise<string>;
  close(): Promise<void>;
}

export async function openTrust(): Promise<Trust> {
  const [idpKeys, platformKeys] = [await generateKeyPair('ES256'), await generateKeyPair('ES256', EXPORTED)];
  const bound = new Map<string, string | null>();
  const idp = await listen(async (incoming, outgoing) => {
    if (incoming.method === 'GET') return metadata(incoming, outgoing, idp.base);
    const asked = await readForm(incoming);
    trust.asked.idp.push(asked);
    const { grant_type, subject_token = '', audience = '', resource = '' } = asked.form;
    try {
      if (grant_type !== EXCHANGE) throw new Error('another grant');
      if (asked.form['subject_token_type']!.endsWith(':id_token'))
        await jwtVerify(subject_token, idpKeys.publicKey, { issuer: idp.base, audience: IDP_CLIENT.id });
      const claims = { iss: idp.base, sub: 'ada', aud: audience, client_id: CLIENT.id, resource };
      const access_token = await signed(
        { ...claims, ...trust.changes.id_jag },
        idpKeys.privateKey,
        trust.changes.header ?? { typ: 'oauth-id-jag+jwt' },
      );
      const issued_token_type = 'urn:ietf:params:oauth:token-type:id-jag';
      send(outgoing, { access_token, issued_token_type, token_type: 'N_A', ...trust.changes.answer });
    } catch {
      send(outgoing, { error: 'invalid_grant' }, 400);
    }
  });
  const as = await listen(async (incoming, outgoing) => {
    if (incoming.method === 'GET') return metadata(incoming, outgoing, as.base);
    const asked = await readForm(incoming);
    trust.asked.as.push(asked);
    const { assertion = '', scope = '' } = asked.form;
    try {
      if (asked.form['grant_type'] !== JWT_BEARER) throw new Error('another grant');
      const jag = decodeProtectedHeader(assertion).typ === 'oauth-id-jag+jwt';
      const key = jag ? idpKeys.publicKey : platformKeys.publicKey;
      await jwtVerify(assertion, key, { audience: as.base, requiredClaims: ['exp', 'sub', 'iss'] });
      const jkt = await jktOf(incoming);
      const access_token = `token-${randomUUID()}`;
      bound.set(access_token, jkt);
      trust.issued.push(access_token);
      const token_type = jkt === null ? 'Bearer' : 'DPoP';
      send(outgoing, { access_token, token_type, expires_in: 3_600, ...(scope === '' ? {} : { scope }) });
    } catch {
      send(outgoing, { error: 'invalid_grant', error_description: assertion }, 400);
    }
  });
  const mcp = await listen(async (incoming, outgoing) => {
    if (incoming.url === RESOURCE_METADATA)
      return send(outgoing, {
        ...{ resource: `${mcp.base}/mcp`, authorization_servers: [as.base] },
        ...trust.changes.resource,
      });
    const { authorization = '' } = incoming.headers;
    const [scheme = '', token = ''] = authorization.split(' ');
    const jkt = bound.get(token);
    const proof = jkt == null ? null : await checkProof(incoming, `${mcp.base}/mcp`, token, jkt);
    const good = jkt === null ? scheme === 'Bearer' : scheme === 'DPoP' && typeof proof !== 'string';
    if (jkt === undefined || !good) return void outgoing.writeHead(401).end();
    trust.carried.push({ authorization, proof: (incoming.headers['dpop'] as string) ?? null });
    if (trust.upstream === null) outgoing.writeHead(202).end();
    else forward(incoming, outgoing, trust.upstream);
  });
  const trust: Trust = {
    ...{ url: `${mcp.base}/mcp`, as: as.base, idp: idp.base },
    ...{ asked: { as: [], idp: [] }, issued: [], carried: [], changes: {}, upstream: null },
    platform_pem: await exportPKCS8(platformKeys.privateKey),
    idToken: (claims) =>
      signed({ iss: idp.base, sub: 'ada', aud: IDP_CLIENT.id, ...claims }, idpKeys.privateKey, {}),
    workloadToken: (claims) =>
      signed(
        { iss: 'https://platform.example', sub: 'broker', aud: as.base, ...claims },
        platformKeys.privateKey,
        {},
      ),
    close: async () => {
      for (const each of [idp, as, mcp]) await each.close();
    },
  };
  return trust;
}

const EXPORTED = { extractable: true };

function signed(
  claims: JWTPayload,
  key: webcrypto.CryptoKey,
  header: { readonly typ?: string },
): Promise<string> {
  const now_s = Math.floor(Date.now() / 1000);
  const timed = { iat: now_s, exp: now_s + 300, jti: randomUUID() };
  return new SignJWT({ ...timed, ...claims }).setProtectedHeader({ alg: 'ES256', ...header }).sign(key);
}

/** The thumbprint of the key that proves the request, for an authorization server that binds whenever it can. */
async function jktOf({ headers }: IncomingMessage): Promise<string | null> {
  const proof = headers['dpop'];
  return typeof proof === 'string' ? calculateJwkThumbprint(decodeProtectedHeader(proof).jwk!) : null;
}

function metadata({ url }: IncomingMessage, outgoing: ServerResponse, issuer: string): void {
  if (url !== AS_METADATA) return void outgoing.writeHead(404).end();
  send(outgoing, { issuer, token_endpoint: `${issuer}/token`, response_types_supported: ['code'] });
}

async function readForm(incoming: IncomingMessage): Promise<Asked> {
  let text = '';
  for await (const chunk of incoming.setEncoding('utf8')) text += chunk;
  return {
    form: Object.fromEntries(new URLSearchParams(text)),
    authorization: incoming.headers.authorization ?? null,
  };
}

function send(outgoing: ServerResponse, body: Json, status = 200): void {
  outgoing.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

async function listen(handle: (incoming: IncomingMessage, outgoing: ServerResponse) => Promise<void>) {
  const server = createServer((incoming, outgoing) => void handle(incoming, outgoing));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  return { base, close };
}

function forward(incoming: IncomingMessage, outgoing: ServerResponse, upstream: string): void {
  const { hostname: host, port, pathname: path } = new URL(upstream);
  const { authorization, dpop, ...rest } = incoming.headers;
  const headers = { ...rest, host: `${host}:${port}` };
  const sent = request({ host, port, path, method: incoming.method, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode!, answer.headers);
    answer.pipe(outgoing);
  });
  sent.on('error', () => outgoing.destroy());
  incoming.pipe(sent);
}
