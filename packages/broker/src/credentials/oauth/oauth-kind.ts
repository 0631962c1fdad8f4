// Provider `oauth`: OAuth 2.1 towards an MCP server over HTTP, authorised once by a person or by the broker as a client.
import type { ProviderKind } from '../provider.ts';

export const oauthKind: ProviderKind = {
  grade: () => ({
    grade: 'C',
    why: 'Its scopes are those that a person, or the client, was granted beforehand; the token is short.',
  }),
  create(connector, options, { oauth }) {
    if (oauth === null)
      throw new Error(`credential of connector ${connector}: oauth needs a broker, which keeps the tokens`);
    return oauth.provider(connector, options);
  },
};
