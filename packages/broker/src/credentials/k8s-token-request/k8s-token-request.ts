// Provider `k8s-token-request`: a service account token bound to an object of the call, which is deleted to revoke it.
import { randomUUID } from 'node:crypto';
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { Credential, MintRequest } from '#rules/credential.ts';
import { askedText, scopeObject } from '../asked-scopes.ts';
import { exchangeJson, grantedJson } from '../json-exchange.ts';
import { MintRefused, minting } from '../mint-refused.ts';
import type { CheckedNetwork } from '../network.ts';
import type { ProviderKind, ProviderWorld } from '../provider.ts';
import { secretOf } from '../secret-of.ts';
import { withNetwork } from '../with-network.ts';

interface Options {
  readonly api: string;
  /** Reference to the certificate of the cluster's authority. */
  readonly ca?: string;
  /** Reference to the broker's own token. */
  readonly token: string;
  readonly namespace: string;
  readonly service_accounts: readonly string[];
  readonly audiences?: readonly string[];
  readonly allow_private?: boolean | readonly string[];
}

/** What revokes a token. */
interface Bound {
  readonly name: string;
  readonly uid: string;
}

const WHAT = 'the Kubernetes API';
/** The API server takes nothing shorter. */
const SHORTEST_S = 600;
const LONGEST_S = 3_600;
const DEFAULT_S = 600;

/**
 * TokenRequest (authentication.k8s.io/v1) for a service account whose RBAC says what the tool may do, with
 * `boundObjectRef` to an empty Secret made for this call: the API server takes the token only while that very object
 * exists (KEP-1205), so that deleting it revokes the token at once.
 */
export const k8sTokenRequestKind: ProviderKind = {
  grade: () => ({
    grade: 'A',
    why: 'A token of a service account for the tool, bound to an object of one call that is deleted after it.',
  }),
  create(connector, given, world) {
    const options = given as unknown as Options;
    const secrets = `${options.api.replace(/\/$/, '')}/api/v1/namespaces/${options.namespace}/secrets`;
    const within = async <T>(use: (api: Api) => Promise<T>): Promise<T> => {
      const { ca, allow_private = false } = options;
      const authority = ca === undefined ? {} : { ca: await secretOf(ca, world.readSecret) };
      const token = await secretOf(options.token, world.readSecret);
      return withNetwork(world, { allow_private, ...authority }, (network) =>
        use({ network, headers: { authorization: `Bearer ${token}` } }),
      );
    };
    const unbind = ({ name, uid }: Bound): Promise<number> =>
      within(async ({ network, headers }) => {
        const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid } };
        const url = `${secrets}/${name}`;
        return (await exchangeJson(network, { method: 'DELETE', url, headers, body })).status;
      });
    return {
      mint: (request) =>
        minting(WHAT, async () => {
          const account = askedText(scopeObject(request.scope), 'service_account', options.service_accounts);
          if (account === undefined) throw new MintRefused('the scope names no service account');
          return within(async (api) => {
            const bound = await bind(api, secrets, request);
            try {
              const status = await tokenFor(api, options, account, bound, request);
              return credentialOf(connector, request.scope, status, bound, world);
            } catch (error) {
              // Nothing is bound to it, so that what is left of it is a name.
              await unbind(bound).catch(() => undefined);
              throw error;
            }
          });
        }),
      async revoke(handle) {
        try {
          const status = await unbind(handle as unknown as Bound);
          // Not there, or another object of that name: the one that the token was bound to is gone.
          if ([200, 202, 404, 409].includes(status)) return { ok: true };
          return { ok: false, reason: `${WHAT} answered with HTTP status ${status}` };
        } catch {
          return { ok: false, reason: `${WHAT} could not be reached` };
        }
      },
    };
  },
};

interface Api {
  readonly network: CheckedNetwork;
  readonly headers: Readonly<Record<string, string>>;
}

async function bind({ network, headers }: Api, secrets: string, { call }: MintRequest): Promise<Bound> {
  const name = `countersign-${randomUUID()}`;
  const made = await grantedJson(network, WHAT, {
    ...{ method: 'POST', url: secrets, headers },
    body: {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        name,
        labels: { 'app.kubernetes.io/managed-by': 'countersign' },
        ...(call === null ? {} : { annotations: { 'countersign.dev/call': call.id } }),
      },
      type: 'Opaque',
    },
  });
  const uid = isJsonObject(made['metadata']) ? made['metadata']['uid'] : null;
  if (typeof uid !== 'string') throw new MintRefused(`${WHAT} answered no uid of the object`);
  return { name, uid };
}

async function tokenFor(
  { network, headers }: Api,
  { api, namespace, audiences }: Options,
  account: string,
  bound: Bound,
  { max_ttl_ms }: MintRequest,
): Promise<JsonObject> {
  const asked_s = max_ttl_ms === null ? DEFAULT_S : Math.floor(max_ttl_ms / 1000);
  const answer = await grantedJson(network, WHAT, {
    method: 'POST',
    url: `${api.replace(/\/$/, '')}/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`,
    headers,
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        audiences: [...(audiences ?? [])],
        expirationSeconds: Math.min(LONGEST_S, Math.max(SHORTEST_S, asked_s)),
        boundObjectRef: { apiVersion: 'v1', kind: 'Secret', ...bound },
      },
    },
  });
  return isJsonObject(answer['status']) ? answer['status'] : {};
}

function credentialOf(
  connector: string,
  scope: Json,
  { token, expirationTimestamp }: JsonObject,
  bound: Bound,
  { clock }: ProviderWorld,
): Credential {
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token))
    throw new MintRefused(`${WHAT} answered no token that a header can carry`);
  const expires_at_ms = Date.parse(String(expirationTimestamp));
  return {
    id: `k8s-token-request:${connector}:${bound.uid}`,
    // A server that does not say when is taken to give no more than the longest that is ever asked for.
    expires_at_ms: Number.isNaN(expires_at_ms) ? clock.now() + LONGEST_S * 1000 : expires_at_ms,
    scope,
    inject: { headers: { authorization: `Bearer ${token}` } },
    secrets: [token],
    handle: { ...bound },
  };
}
