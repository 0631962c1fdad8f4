// The required scenarios that do not pass, each with its reason. One that passes after all is stale and fails the test.
import type { Revision, Side } from './run-suite.ts';

const OAUTH =
  'the upstream client does not ask an authorization server for tokens: a connector holds a credential of its own';
const SUBSCRIBE = 'changes of an upstream resource are not watched, so no subscription is taken for one';

const AUTH_2025 = [
  ...['metadata-default', 'metadata-var1', 'metadata-var2', 'metadata-var3', 'basic-cimd'],
  ...['scope-from-www-authenticate', 'scope-from-scopes-supported', 'scope-omitted-when-undefined'],
  ...['scope-step-up', 'scope-retry-limit', 'token-endpoint-auth-basic', 'token-endpoint-auth-post'],
  ...['token-endpoint-auth-none', 'pre-registration'],
];
const AUTH_2026 = [
  ...AUTH_2025,
  ...['resource-mismatch', 'offline-access-scope', 'offline-access-not-supported'],
  ...['authorization-server-migration', 'iss-supported', 'iss-not-advertised', 'iss-supported-missing'],
  ...['iss-wrong-issuer', 'iss-unexpected', 'iss-normalized', 'metadata-issuer-mismatch'],
];

function oauth(names: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(names.map((name) => [`auth/${name}`, OAUTH]));
}

export const EXCEPTIONS: Readonly<
  Record<Revision, Readonly<Record<Side, Readonly<Record<string, string>>>>>
> = {
  '2026-07-28': { server: {}, client: oauth(AUTH_2026) },
  '2025-11-25': {
    server: { 'resources-subscribe': SUBSCRIBE, 'resources-unsubscribe': SUBSCRIBE },
    client: {
      ...oauth(AUTH_2025),
      'elicitation-sep1034-client-defaults':
        'an upstream of this revision cannot ask a caller for input: its requests are declined',
      'sse-retry':
        'a stream that breaks off is not taken up again: the call is unknown, and is looked up or settled',
    },
  },
};
