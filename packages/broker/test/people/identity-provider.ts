// A real OpenID provider (oidc-provider) on loopback, with people whose groups a test may change.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider, { type Configuration } from 'oidc-provider';

export const CLIENT_SECRET = 'a-secret-that-the-broker-shares-with-its-provider';

export interface IdentityProvider {
  readonly issuer: string;
  /** Groups by login name; whoever is not here has none. */
  readonly groups: Map<string, string[]>;
  /** Opens it for the broker whose log-ins come back to this address, and to no other. */
  open(redirect_uri: string): void;
  close(): Promise<void>;
}

export async function startProvider(more: Configuration = {}): Promise<IdentityProvider> {
  let provider: Provider | null = null;
  const server = createServer((request, response) => {
    if (provider === null) response.writeHead(503).end();
    else void provider.callback()(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const groups = new Map<string, string[]>();
  return {
    issuer,
    groups,
    open(redirect_uri) {
      provider = new Provider(issuer, {
        clients: [
          {
            client_id: 'countersign',
            client_secret: CLIENT_SECRET,
            redirect_uris: [redirect_uri],
            response_types: ['code'],
            grant_types: ['authorization_code'],
          },
        ],
        cookies: { keys: ['a-key-of-the-test'] },
        scopes: ['openid', 'profile', 'groups'],
        claims: { openid: ['sub'], profile: ['name', 'preferred_username'], groups: ['groups'] },
        pkce: { required: () => true },
        findAccount: (_context, id) => ({
          accountId: id,
          claims: () => ({
            sub: id,
            name: `${id} of the provider`,
            preferred_username: id,
            groups: groups.get(id) ?? [],
          }),
        }),
        features: { devInteractions: { enabled: true } },
        ...more,
      });
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
