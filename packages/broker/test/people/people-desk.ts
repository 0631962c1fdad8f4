// The desk of the walk's tests with a real identity provider: who logs in there, and what that makes of them here.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Configuration } from 'oidc-provider';
import { type Desk, FILES, startDesk } from '../call/desk.ts';
import type { BundleFiles } from '../harness.ts';
import { CLIENT_SECRET, type IdentityProvider, startProvider } from './identity-provider.ts';
import { type Page, UserAgent } from './user-agent.ts';

export interface PeopleDesk extends Desk {
  readonly provider: IdentityProvider;
  /** Where people's pages are. */
  readonly origin: string;
  /** Name of the session's cookie. */
  readonly cookie: string;
  /** A browser in which this person has logged in at the provider, and the page where that ended. */
  browser(login: string, query?: string): Promise<{ readonly agent: UserAgent; readonly page: Page }>;
  /** A request of a page's script: the session's cookie, our Origin, and its token where there is a body. */
  api(
    agent: UserAgent,
    method: string,
    path: string,
    body?: JsonObject,
  ): Promise<Page & { readonly json: JsonObject }>;
}

/** `more.yaml` is added to countersign.yaml. */
export async function startPeopleDesk(
  files: BundleFiles = {},
  more: Configuration = {},
): Promise<PeopleDesk> {
  process.env.COUNTERSIGN_TEST_CLIENT_SECRET = CLIENT_SECRET;
  const provider = await startProvider(more);
  const { 'more.yaml': _, ...rest } = files;
  const desk = await startDesk({
    ...rest,
    'countersign.yaml': `${FILES['countersign.yaml']}${settings(provider.issuer)}${files['more.yaml'] ?? ''}`,
  });
  const { port } = new URL(desk.url);
  const origin = `http://localhost:${port}`;
  provider.open(`${origin}/login/callback`);
  const close = desk.close.bind(desk);
  const people: PeopleDesk = Object.assign(Object.create(desk) as Desk, {
    ...{ provider, origin, cookie: `countersign-${port}` },
    async browser(login: string, query = '') {
      const agent = new UserAgent();
      return { agent, page: await agent.logIn(`${origin}/login/start${query}`, login) };
    },
    async api(agent: UserAgent, method: string, path: string, body?: JsonObject) {
      const me = method === 'GET' ? null : await agent.send(`${origin}/v1/me`);
      const csrf = me === null ? undefined : (JSON.parse(me.text) as { csrf_token?: string }).csrf_token;
      const page = await agent.send(`${origin}${path}`, {
        method,
        headers: {
          ...(method === 'GET' ? {} : { origin, 'x-csrf-token': csrf ?? '' }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { ...page, json: JSON.parse(page.text === '' ? '{}' : page.text) as JsonObject };
    },
    async close() {
      await close();
      await provider.close();
    },
  });
  return people;
}

function settings(issuer: string): string {
  return `
login:
  issuer: ${issuer}
  client_id: countersign
  client_secret: env:COUNTERSIGN_TEST_CLIENT_SECRET
  scopes: [openid, profile, groups]
  allow_private: true
  roles:
    - { group: idp-finance, roles: [approver], groups: [finance] }
    - { group: idp-ops, roles: [operator] }
    - { group: idp-globex, roles: [auditor], tenant: globex }
issuers:
  - { name: corp, issuer: "${issuer}", allow_private: true, tenants: [acme] }
break_glass: { people: [cleo], groups: [finance], roles: [operator, admin], max: 1h }
`;
}
