// Provider `github-app`: an installation token for the repositories and permissions of one call, revoked after it.
import { randomUUID } from 'node:crypto';
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { Credential, CredentialProvider } from '#rules/credential.ts';
import { exchangeJson, grantedJson } from '../json-exchange.ts';
import { MintRefused, minting } from '../mint-refused.ts';
import type { CheckedNetwork } from '../network.ts';
import type { ProviderKind, ProviderWorld } from '../provider.ts';
import { secretOf } from '../secret-of.ts';
import { signAssertion } from '../sign-assertion.ts';
import { withNetwork } from '../with-network.ts';

interface Options {
  readonly app_id: string | number;
  readonly installation_id: string | number;
  /** Reference to the App's private key. */
  readonly key: string;
  readonly api?: string;
  readonly allow_private?: boolean | readonly string[];
}

interface Scope {
  readonly repositories: readonly string[];
  readonly permissions: Readonly<Record<string, string>>;
}

const WHAT = 'GitHub';
/** "POST /app/installations/{installation_id}/access_tokens": at most 500 repositories. */
const MOST_REPOSITORIES = 500;
const REPOSITORY = /^[A-Za-z0-9._-]{1,100}$/;
const LEVELS = ['read', 'write', 'admin'];
/** GitHub takes an App's JWT for ten minutes at most; a clock that is ahead of GitHub's must not spoil it. */
const JWT_BEFORE_S = 60;
const JWT_LIFE_S = 540;

/**
 * The App's JWT (RS256) is exchanged for a token that reaches the named repositories with the named permissions, and
 * nothing else. GitHub says what it granted; more than was asked for is revoked and refused. A token lives an hour, and
 * is revoked when the call is over (`DELETE /installation/token`). Its form is GitHub's affair: any length, any prefix.
 */
export const githubAppKind: ProviderKind = {
  grade: () => ({
    grade: 'A',
    why: 'A token for the repositories and permissions of one call, revoked after it.',
  }),
  create(connector, given, world) {
    const options = given as unknown as Options;
    const api = (options.api ?? 'https://api.github.com').replace(/\/$/, '');
    const within = <T>(use: (network: CheckedNetwork) => Promise<T>): Promise<T> =>
      withNetwork(world, { allow_private: options.allow_private ?? false }, use);
    const revoke = (token: string): Promise<number> =>
      within(async (network) => {
        const request = {
          method: 'DELETE',
          url: `${api}/installation/token`,
          headers: headersOf(token),
        } as const;
        return (await exchangeJson(network, request)).status;
      });
    const provider: CredentialProvider = {
      mint: ({ scope }) =>
        minting(WHAT, async () => {
          const asked = scopeOf(scope);
          const jwt = await appToken(options, world);
          const answer = await within((network) =>
            grantedJson(network, WHAT, {
              method: 'POST',
              url: `${api}/app/installations/${options.installation_id}/access_tokens`,
              headers: headersOf(jwt),
              body: { repositories: [...asked.repositories], permissions: { ...asked.permissions } },
            }),
          );
          const token = answer['token'];
          if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token))
            throw new MintRefused('GitHub answered no token that a header can carry');
          const wider = widerThan(asked, answer);
          if (wider !== null) {
            await revoke(token);
            throw new MintRefused(`GitHub granted ${wider}, which was not asked for`);
          }
          return credentialOf(connector, scope, token, answer);
        }),
      async revoke(handle) {
        try {
          const status = await revoke(String((handle as JsonObject)['token']));
          // A token that GitHub does not know any more is revoked.
          if (status === 204 || status === 401) return { ok: true };
          return { ok: false, reason: `${WHAT} answered with HTTP status ${status}` };
        } catch {
          return { ok: false, reason: `${WHAT} could not be reached` };
        }
      },
    };
    return provider;
  },
};

/** "Generating a JSON Web Token (JWT) for a GitHub App". */
async function appToken({ app_id, key }: Options, { readSecret, clock }: ProviderWorld): Promise<string> {
  const now_s = Math.floor(clock.now() / 1000);
  return signAssertion(
    { pem: await secretOf(key, readSecret), reference: key },
    { iat: now_s - JWT_BEFORE_S, exp: now_s + JWT_LIFE_S, iss: String(app_id) },
  );
}

function headersOf(token: string): Readonly<Record<string, string>> {
  return {
    accept: 'application/vnd.github+json',
    authorization: `Bearer ${token}`,
    'x-github-api-version': '2022-11-28',
  };
}

function scopeOf(scope: Json): Scope {
  const { repositories, permissions } = isJsonObject(scope) ? scope : {};
  if (!isRepositories(repositories))
    throw new MintRefused('the scope names no repositories, or what cannot be one; names are without owner');
  if (!isJsonObject(permissions) || Object.keys(permissions).length === 0)
    throw new MintRefused('the scope names no permissions');
  for (const [name, level] of Object.entries(permissions))
    if (!/^[a-z_]{1,60}$/.test(name) || !LEVELS.includes(String(level)))
      throw new MintRefused('the scope names a permission that is none of GitHub’s');
  return { repositories, permissions: permissions as Scope['permissions'] };
}

/** Without this, an empty list would mean every repository of the installation. */
function isRepositories(value: Json | undefined): value is readonly string[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MOST_REPOSITORIES) return false;
  return value.every((each) => typeof each === 'string' && REPOSITORY.test(each) && !/^\.+$/.test(each));
}

/** What GitHub granted beyond what was asked for, or null. It adds `metadata: read` to every token by itself. */
function widerThan(asked: Scope, answer: JsonObject): string | null {
  const { repository_selection, repositories, permissions } = answer;
  if (repository_selection === 'all') return 'every repository of the installation';
  const names = asked.repositories.map((each) => each.toLowerCase());
  for (const each of Array.isArray(repositories) ? repositories : []) {
    const name = isJsonObject(each) ? each['name'] : null;
    if (typeof name !== 'string' || !names.includes(name.toLowerCase())) return 'another repository';
  }
  for (const [name, level] of Object.entries(isJsonObject(permissions) ? permissions : {})) {
    const most = asked.permissions[name] ?? (name === 'metadata' ? 'read' : undefined);
    if (most === undefined || LEVELS.indexOf(String(level)) > LEVELS.indexOf(most))
      return 'another permission';
  }
  return null;
}

function credentialOf(connector: string, scope: Json, token: string, answer: JsonObject): Credential {
  const expires_at_ms = Date.parse(String(answer['expires_at']));
  const permissions = isJsonObject(answer['permissions']) ? Object.entries(answer['permissions']) : [];
  return {
    id: `github-app:${connector}:${randomUUID()}`,
    expires_at_ms: Number.isNaN(expires_at_ms) ? null : expires_at_ms,
    scope,
    granted: permissions.map(([name, level]) => `${name}:${String(level)}`).sort(),
    inject: { headers: { authorization: `Bearer ${token}` } },
    secrets: [token],
    handle: { token },
  };
}
