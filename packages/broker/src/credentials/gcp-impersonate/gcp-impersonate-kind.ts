// Provider `gcp-impersonate`: an access token of a service account for one call, and for Storage one of a few objects only.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { Minted } from '#rules/credential.ts';
import { askJson } from '../ask-json.ts';
import type { CheckedNetwork } from '../network.ts';
import type { ProviderKind, ProviderWorld } from '../provider.ts';
import { accessBoundary } from './access-boundary.ts';

interface GcpOptions {
  readonly service_account: string;
  /** An access token that something else keeps fresh; or a token of an OIDC provider that a workload pool trusts. */
  readonly token?: string;
  readonly workload_identity?: { readonly audience: string; readonly token: string };
  readonly delegates?: readonly string[];
  readonly iam_credentials?: string;
  readonly sts?: string;
  readonly allow_private?: boolean | readonly string[];
}

const IAM_CREDENTIALS = 'https://iamcredentials.googleapis.com';
const STS = 'https://sts.googleapis.com';
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const JWT = 'urn:ietf:params:oauth:token-type:jwt';
const CLOUD_PLATFORM = 'https://www.googleapis.com/auth/cloud-platform';
const SCOPE = /^https:\/\/[\x21\x23-\x5b\x5d-\x7e]{1,200}$/;
const TTL_MS = 300_000;
/** Longer ones need an exception in the organisation's policy. */
const TTL_MAX_MS = 3_600_000;
const SHORTEST_MS = 1_000;

export const gcpImpersonateKind: ProviderKind = {
  grade: () => ({
    grade: 'B',
    why: 'Minutes, and the scopes of the call, for Storage its very objects; but Google ends no access token before its time.',
  }),
  mistakes(options) {
    const { token, workload_identity } = options as unknown as GcpOptions;
    return (token === undefined) === (workload_identity === undefined)
      ? [{ pointer: '', message: 'expected either token or workload_identity' }]
      : [];
  },
  create: (_connector, options, world) => ({
    async mint({ scope, max_ttl_ms }) {
      const settings = options as unknown as GcpOptions;
      const network = world.network({ allow_private: settings.allow_private ?? false });
      try {
        const wanted = wantedOf(scope);
        if (typeof wanted === 'string') return { ok: false, reason: wanted };
        const ttl_ms = Math.max(SHORTEST_MS, Math.min(max_ttl_ms ?? TTL_MS, TTL_MAX_MS));
        return await mintToken(settings, wanted, ttl_ms, scope, network, world);
      } finally {
        await network.close();
      }
    },
  }),
};

interface Wanted {
  readonly scopes: readonly string[];
  readonly boundary: JsonObject | null;
}

function wantedOf(scope: Json): Wanted | string {
  if (!isJsonObject(scope)) return 'the tool says nothing of what the token may do: credential.scope.scopes';
  const { scopes, objects } = scope;
  if (!Array.isArray(scopes) || scopes.length === 0 || !scopes.every((each) => SCOPE.test(String(each))))
    return 'credential.scope.scopes must be the addresses of OAuth scopes';
  if (objects === undefined) return { scopes: scopes as string[], boundary: null };
  const boundary = accessBoundary(objects);
  return typeof boundary === 'string' ? boundary : { scopes: scopes as string[], boundary };
}

async function mintToken(
  settings: GcpOptions,
  { scopes, boundary }: Wanted,
  ttl_ms: number,
  scope: Json,
  network: CheckedNetwork,
  world: ProviderWorld,
): Promise<Minted> {
  const own = await ownToken(settings, network, world);
  if (!own.ok) return own;
  const { service_account, delegates = [], iam_credentials = IAM_CREDENTIALS } = settings;
  const account = encodeURIComponent(service_account);
  const generated = await askJson(
    network,
    'IAM Credentials',
    `${iam_credentials}/v1/projects/-/serviceAccounts/${account}:generateAccessToken`,
    {
      method: 'POST',
      headers: { authorization: `Bearer ${own.token}` },
      body: {
        scope: [...scopes],
        lifetime: `${Math.floor(ttl_ms / 1_000)}s`,
        ...(delegates.length === 0
          ? {}
          : { delegates: delegates.map((each) => `projects/-/serviceAccounts/${each}`) }),
      },
    },
  );
  if (!generated.ok) return generated;
  const { accessToken: wide, expireTime } = generated.body;
  const expires_at_ms = Date.parse(String(expireTime));
  if (typeof wide !== 'string' || Number.isNaN(expires_at_ms))
    return { ok: false, reason: 'IAM Credentials answered without a token' };
  const narrow =
    boundary === null
      ? { ok: true as const, token: wide }
      : await downscope(settings, wide, boundary, network);
  if (!narrow.ok) return narrow;
  return {
    ok: true,
    credential: {
      id: `gcp-impersonate:${service_account}:${Buffer.from(world.random(9)).toString('base64url')}`,
      ...{ expires_at_ms, scope, granted: scopes },
      inject: { headers: { authorization: `Bearer ${narrow.token}` } },
      secrets: [...new Set([narrow.token, wide])],
    },
  };
}

type Token = { readonly ok: true; readonly token: string } | { readonly ok: false; readonly reason: string };

async function ownToken(
  { token, workload_identity, sts = STS }: GcpOptions,
  network: CheckedNetwork,
  world: ProviderWorld,
): Promise<Token> {
  const reference = token ?? workload_identity!.token;
  let shown: string;
  try {
    shown = (await world.readSecret(reference)).trim();
  } catch {
    return { ok: false, reason: `the secret behind ${reference} cannot be read` };
  }
  if (workload_identity === undefined) return { ok: true, token: shown };
  const form = new URLSearchParams({
    grant_type: TOKEN_EXCHANGE,
    audience: workload_identity.audience,
    scope: CLOUD_PLATFORM,
    requested_token_type: ACCESS_TOKEN,
    subject_token: shown,
    subject_token_type: JWT,
  });
  return exchange(sts, form, network);
}

/** Credential Access Boundaries: the token of the account becomes one that reaches these objects at most. */
function downscope(
  { sts = STS }: GcpOptions,
  wide: string,
  boundary: JsonObject,
  network: CheckedNetwork,
): Promise<Token> {
  const form = new URLSearchParams({
    grant_type: TOKEN_EXCHANGE,
    requested_token_type: ACCESS_TOKEN,
    subject_token: wide,
    subject_token_type: ACCESS_TOKEN,
    options: JSON.stringify(boundary),
  });
  return exchange(sts, form, network);
}

async function exchange(sts: string, form: URLSearchParams, network: CheckedNetwork): Promise<Token> {
  const told = await askJson(network, 'Google STS', `${sts}/v1/token`, { method: 'POST', body: form });
  if (!told.ok) return told;
  const { access_token: token } = told.body;
  return typeof token === 'string'
    ? { ok: true, token }
    : { ok: false, reason: 'Google STS answered without a token' };
}
