// Plays the person who authorises a connector: the broker's own login and tokens, with a browser that only follows.
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { ConnectorSpec } from '#bundle/bundle.ts';
import { openRedirect } from '#cli/loopback-redirect.ts';
import type { ConnectorDeps } from '#connectors/connector-deps.ts';
import { createDiscoveredNetwork } from '#connectors/discovered-network.ts';
import { createCredentials } from '#credentials/create-credentials.ts';
import { beginLogin } from '#credentials/oauth/begin-login.ts';
import { asRecord, readGrant } from '#credentials/oauth/grant.ts';
import { OauthTokens } from '#credentials/oauth/oauth-tokens.ts';
import { actsForItself, oauthOptions } from '#credentials/oauth/options.ts';
import { createFileVault, type Vault } from '#credentials/oauth/vault.ts';
import type { Credential } from '#rules/credential.ts';
import { providerWorld } from '../credentials/provider-world.ts';

export interface Authorised {
  readonly spec: ConnectorSpec;
  readonly deps: ConnectorDeps;
  /** A credential for one call. */
  readonly mint: () => Promise<Credential | null>;
}

/** The address of the suite's client metadata document, which nobody can fetch. */
const DOCUMENT = 'https://conformance-test.local/client-metadata.json';
const quiet = { info() {}, warn() {}, error() {} };
/** A server that is never content must not keep a person busy. */
const MOST_LOGINS = 3;

/** Logs in as often as the grant asks for it, and calls after each login. */
export async function authoriseUpstream(
  open: ConnectorSpec,
  context: JsonObject,
  use: (authorised: Authorised) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'authorise-'));
  try {
    const url = (open.options as { transport: { http: { url: string } } }).transport.http.url;
    const given = await credentialOf(context, url, folder);
    const options = { server: url, allow_private: true, ...given } as JsonObject;
    const spec = { ...open, credential: { provider: 'oauth', options } };
    const readSecret = (reference: string): Promise<string> =>
      readFile(reference.slice('file:'.length), 'utf8');
    const vault = createFileVault(join(folder, 'oauth'));
    const world = { vault, network: createDiscoveredNetwork, readSecret, clock: Date, log: quiet };
    const credentials = createCredentials(
      new Map([[spec.name, spec]]),
      providerWorld({ readSecret, clock: Date, oauth: new OauthTokens(world) }),
    );
    const deps: ConnectorDeps = {
      clock: Date,
      log: quiet,
      connectionCredential: (each) => credentials.forConnection(each),
      credentialRefused: (each, refusal) => credentials.refused(each, refusal),
    };
    const authorised: Authorised = { spec, deps, mint: () => credentials.forConnection(spec) };
    if (actsForItself(oauthOptions(options))) return await use(authorised);
    for (let round = 1; round <= MOST_LOGINS && (await needsLogin(vault, spec.name)); round++) {
      await login(spec.name, options, vault, readSecret);
      await use(authorised).catch((error: Error) => {
        if (round === MOST_LOGINS) throw error;
      });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function needsLogin(vault: Vault, name: string): Promise<boolean> {
  const grant = readGrant(await vault.look(name));
  return grant === null || grant.refused || grant.wanted.length > 0;
}

async function login(
  name: string,
  options: Json,
  vault: Vault,
  readSecret: (reference: string) => Promise<string>,
): Promise<void> {
  const network = createDiscoveredNetwork(true);
  const redirect = await openRedirect(0);
  try {
    const before = readGrant(await vault.look(name));
    const begun = await beginLogin({
      ...{ options: oauthOptions(options), before, network, readSecret, clock: Date },
      redirect_uri: redirect.uri,
    });
    if (!begun.ok) throw new Error(begun.reason);
    const coming = redirect.wait(begun.state, AbortSignal.timeout(5_000));
    await fetch(begun.url);
    const finished = await begun.finish(await coming);
    if (!finished.ok) throw new Error(finished.reason);
    await vault.offer(name, asRecord(finished.grant));
  } finally {
    await redirect.close();
    await network.close();
  }
}

/** What the operator would have written into the connector's file, after reading the server's documentation. */
async function credentialOf(context: JsonObject, url: string, folder: string): Promise<JsonObject> {
  const keep = (name: string, value: Json | undefined): string => {
    const path = join(folder, name);
    writeFileSync(path, String(value), { mode: 0o600 });
    return `file:${path}`;
  };
  const { client_id: id, client_secret: secret, private_key_pem: pem } = context;
  const scenario = process.env.MCP_CONFORMANCE_SCENARIO ?? '';
  if (scenario.startsWith('auth/dpop')) return { client: { id: DOCUMENT }, dpop: keep('proof', proofKey()) };
  if (typeof id !== 'string') return { client: { id: DOCUMENT } };
  const issuer = await issuerOf(url);
  switch (scenario) {
    case 'auth/wif-jwt-bearer':
      return {
        ...{ grant: 'workload_identity', issuer, client: { id } },
        workload: { token: keep('workload', context['valid_jwt']) },
      };
    case 'auth/enterprise-managed-authorization':
      return {
        ...{ grant: 'enterprise_managed', issuer, client: { id, secret: keep('secret', secret) } },
        enterprise: {
          issuer: context['idp_issuer']!,
          client: { id: context['idp_client_id']! },
          subject: keep('subject', context['idp_id_token']),
        },
      };
    case 'auth/client-credentials-jwt':
      return { grant: 'client_credentials', issuer, client: { id, key: keep('key', pem) } };
    case 'auth/client-credentials-basic':
      return { grant: 'client_credentials', issuer, client: { id, secret: keep('secret', secret) } };
    default:
      return { issuer, client: { id, secret: keep('secret', secret) } };
  }
}

function proofKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return String(privateKey.export({ type: 'pkcs8', format: 'pem' }));
}

async function issuerOf(url: string): Promise<string> {
  const { origin, pathname } = new URL(url);
  const found = await fetch(`${origin}/.well-known/oauth-protected-resource${pathname}`);
  const { authorization_servers } = (await found.json()) as { authorization_servers: string[] };
  return authorization_servers[0]!;
}
