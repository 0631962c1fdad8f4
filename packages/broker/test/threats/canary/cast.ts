// A bundle with a connector for each provider, and the secrets that are planted for it.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { digestOfOperation } from '../../connectors/openapi-fixture.ts';
import { type Planted, spellingsOf } from './spellings.ts';

const DESCRIPTION = {
  openapi: '3.0.3',
  info: { title: 'Echo', version: '1' },
  paths: {
    '/echo': {
      get: {
        operationId: 'echo',
        parameters: [{ name: 'how', in: 'query', schema: { type: 'string', maxLength: 40 } }],
        responses: { 200: { description: 'What was sent.' } },
      },
    },
  },
} satisfies JsonObject;

/** Secrets of the broker's own, by the variable or file that holds each. */
export interface Cast {
  readonly planted: Planted[];
  /** Path below the folder of secrets → text. */
  readonly files: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string>>;
  /** What `countersign secrets set` is given, by name. */
  readonly sealed: Readonly<Record<string, string>>;
}

export function plantSecrets(): Cast {
  const planted: Planted[] = [];
  const pem = (name: string, rsa: boolean): string => {
    const pair = rsa
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const text = pair.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
    planted.push({ name, secret: text.split('\n')[1]! });
    return text;
  };
  const plain = (name: string): string => {
    // Letters that encodings change, and that a header may carry.
    const secret = `CaNaRy-${name}+/${randomBytes(9).toString('hex')}~=`;
    planted.push({ name, secret });
    return secret;
  };
  const hook = randomBytes(32).toString('base64');
  planted.push({ name: 'webhook secret', secret: hook });
  return {
    planted,
    environment: { CANARY_STATIC: plain('static'), CANARY_HOOK: `whsec_${hook}` },
    sealed: { leased: plain('static-lease'), client: plain('sealed client secret') },
    files: {
      'github.pem': pem('github-app key', true),
      'jwt.pem': pem('jwt-bearer key', false),
      'refresh.txt': plain('first refresh token'),
      'aws-id.txt': 'AKIAIOSFODNN7EXAMPLE',
      'aws.txt': plain('aws secret key'),
      'gcp.txt': plain('gcp access token'),
      'vault.jwt': plain('vault jwt'),
      'k8s.txt': plain('k8s token'),
      'azure.jwt': plain('azure assertion'),
      'exchange.jwt': plain('token-exchange subject'),
    },
  };
}

interface Connecting {
  readonly credential: JsonObject;
  readonly scope?: JsonObject;
  /** A command that prints its environment, in place of a request over HTTP. */
  readonly command?: true;
}

/** By the name of connector and tool. `at`: the issuers; `secrets`: the folder of secrets. */
export function connectorsOf(at: string, secrets: string): Readonly<Record<string, Connecting>> {
  const file = (name: string): string => `file:${secrets}/${name}`;
  const client = { id: 'countersign', secret: 'sealed:client' };
  const more = { allow_private: true };
  const token_endpoint = (name: string): JsonObject => ({ token_endpoint: `${at}/${name}/token`, ...more });
  const vault = {
    ...{
      address: at,
      auth: { role: 'broker', jwt: file('vault.jwt') },
      paths: ['database/creds/read'],
      ...more,
    },
  };
  const scope = { path: 'database/creds/read' };
  const policy = { Version: '2012-10-17', Statement: [] };
  return {
    static: {
      credential: {
        provider: 'static',
        header: 'Authorization',
        prefix: 'Bearer ',
        value: 'env:CANARY_STATIC',
      },
    },
    'static-env': {
      credential: { provider: 'static', env: 'TOKEN', value: 'env:CANARY_STATIC' },
      command: true,
    },
    'static-lease': {
      credential: {
        provider: 'static-lease',
        header: 'Authorization',
        prefix: 'Bearer ',
        value: 'sealed:leased',
      },
    },
    'github-app': {
      credential: {
        provider: 'github-app',
        app_id: 1,
        installation_id: 7,
        key: file('github.pem'),
        api: at,
        ...more,
      },
      scope: { repositories: ['demo'], permissions: { contents: 'read' } },
    },
    'oauth-client-credentials': {
      credential: {
        provider: 'oauth-client-credentials',
        client,
        ...token_endpoint('oauth-client-credentials'),
      },
    },
    'oauth-refresh': {
      credential: {
        ...{ provider: 'oauth-refresh', client, refresh_token: file('refresh.txt') },
        ...token_endpoint('oauth-refresh'),
      },
    },
    'jwt-bearer': {
      credential: {
        provider: 'jwt-bearer',
        issuer: 'me',
        key: file('jwt.pem'),
        ...token_endpoint('jwt-bearer'),
      },
    },
    'token-exchange': {
      credential: {
        ...{ provider: 'token-exchange', client, subject: { token: file('exchange.jwt') } },
        ...token_endpoint('token-exchange'),
      },
    },
    'k8s-token-request': {
      credential: {
        ...{ provider: 'k8s-token-request', api: at, token: file('k8s.txt'), namespace: 'ops', ...more },
        service_accounts: ['reader'],
      },
      scope: { service_account: 'reader' },
    },
    'azure-federated': {
      credential: {
        ...{ provider: 'azure-federated', tenant_id: 't', client_id: 'c', authority: at, ...more },
        ...{ assertion: { token: file('azure.jwt') }, resources: ['https://management.azure.com'] },
      },
      scope: { resource: 'https://management.azure.com' },
    },
    'gcp-impersonate': {
      credential: {
        ...{ provider: 'gcp-impersonate', service_account: 'a@b.example', token: file('gcp.txt') },
        ...{ iam_credentials: at, sts: at, ...more },
      },
      scope: { scopes: ['https://www.googleapis.com/auth/drive.file'] },
    },
    'vault-dynamic': {
      credential: {
        provider: 'vault-dynamic',
        ...vault,
        header: 'Authorization',
        prefix: 'Bearer ',
        field: 'password',
      },
      scope,
    },
    'vault-env': {
      credential: { provider: 'vault-dynamic', ...vault, env: { PW: 'password' } },
      scope,
      command: true,
    },
    'aws-sts': {
      credential: {
        ...{
          provider: 'aws-sts',
          role_arn: 'arn:aws:iam::123456789012:role/x',
          region: 'eu-central-1',
          endpoint: at,
        },
        ...{ keys: { access_key_id: file('aws-id.txt'), secret: file('aws.txt') }, ...more },
      },
      scope: { policy },
      command: true,
    },
  };
}

/** Arguments that the tools take. */
export const HOWS: readonly string[] = Object.keys(spellingsOf('x'));

export function bundleFiles(
  at: string,
  secrets: string,
  keys: Readonly<Record<'bot' | 'olga', Json>>,
  commands: boolean,
): Record<string, string> {
  const files: Record<string, Json | string> = {
    'countersign.yaml': {
      ...{ listen: { host: '127.0.0.1', port: 0 }, data_dir: '../data' },
      alerts: { webhooks: [{ url: `${at}/hook`, allow_private: true, secret: 'env:CANARY_HOOK' }] },
    },
    'people/olga.yaml': {
      name: 'olga',
      display_name: 'Olga',
      roles: ['admin', 'operator', 'auditor'],
      groups: [],
      keys: [keys.olga],
    },
    'agents/bot.yaml': {
      name: 'bot',
      owner: 'olga',
      purpose: 'Asks.',
      roles: [],
      mode: 'act',
      keys: [keys.bot],
    },
    'policies/all.cedar':
      '@id("all") permit (principal, action, resource);\n@id("never") forbid (principal, action, resource) when { context.args has how && context.args.how == "forbidden" };\n',
    'specs/echo.json': DESCRIPTION,
  };
  for (const [name, { credential, scope, command }] of Object.entries(connectorsOf(at, secrets))) {
    if (command === true && !commands) continue;
    const reach: JsonObject =
      command === true
        ? { kind: 'command', command: '/usr/bin/printenv' }
        : { kind: 'openapi', spec: 'specs/echo.json', servers: [`${at}/up`], allow_private: true };
    files[`connectors/${name}.yaml`] = { name, owner: 'olga', ...reach, credential };
    const bind: JsonObject =
      command === true
        ? { command: { argv: [] } }
        : {
            openapi: {
              operation: 'echo',
              digest: digestOfOperation('echo', DESCRIPTION),
              query: { how: '=args.how' },
            },
          };
    files[`tools/${toolOf(name)}.yaml`] = {
      ...{
        name: toolOf(name),
        version: '1.0.0',
        owner: 'olga',
        connector: name,
        description: 'Say again what was sent.',
      },
      ...{ effect: 'read', timeout: '1s', bind, output: { labels: ['untrusted'] } },
      input: {
        ...{ type: 'object', additionalProperties: false, required: ['how'] },
        properties: { how: { type: 'string', maxLength: 40 } },
      },
      ...(scope === undefined ? {} : { credential: { scope, max_ttl: '15m' } }),
    };
  }
  return Object.fromEntries(
    Object.entries(files).map(([path, content]) => [
      path,
      typeof content === 'string' ? content : JSON.stringify(content),
    ]),
  );
}

export function toolOf(connector: string): string {
  return `read_${connector.replaceAll('-', '_')}`;
}
