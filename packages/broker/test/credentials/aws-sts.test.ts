// Provider aws-sts against moto, which checks our signature as botocore computes it; and against a wire that answers as AWS documents.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { after, before, type TestContext, test } from 'node:test';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { AwsClient } from 'aws4fetch';
import { createConnector } from '#connectors/create-connector.ts';
import { awsStsKind } from '#credentials/aws-sts/aws-sts-kind.ts';
import type { MintRequest } from '#rules/credential.ts';
import { attemptOf, listen, testDeps, withConnector } from '../connectors/fixture.ts';
import { openapiSpec, operationOf } from '../connectors/openapi-fixture.ts';
import { type Moto, startMoto } from '../standins/moto.ts';
import { providerWorld } from './provider-world.ts';

/** Requests that set the stage, before moto checks who asks. */
const STAGE = 5;
const REGION = 'eu-central-1';
const ROLE = 'arn:aws:iam::123456789012:role/countersign-billing';
const POLICY = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::invoices/2026/7.pdf' }],
};
let moto: Moto;
let why: string | null = null;
let keys: { id: string; secret: string };

before(async () => {
  const started = await startMoto(STAGE);
  if ('why' in started) {
    why = started.why;
    return;
  }
  moto = started;
  const admin = new AwsClient({
    accessKeyId: 'x',
    secretAccessKey: 'x',
    service: 'iam',
    region: 'us-east-1',
  });
  const iam = async (parameters: Record<string, string>): Promise<string> => {
    const body = new URLSearchParams({ Version: '2010-05-08', ...parameters }).toString();
    const headers = { 'content-type': 'application/x-www-form-urlencoded', host: 'iam.amazonaws.com' };
    const answer = await admin.fetch(moto.url, { method: 'POST', headers, body });
    const text = await answer.text();
    assert.ok(answer.ok, text);
    return text;
  };
  const statement = (Action: string) =>
    JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action, Resource: '*' }] });
  await iam({ Action: 'CreateUser', UserName: 'broker' });
  await iam({
    Action: 'PutUserPolicy',
    UserName: 'broker',
    PolicyName: 'p',
    PolicyDocument: statement('sts:AssumeRole'),
  });
  const trust = statement('sts:AssumeRole');
  await iam({ Action: 'CreateRole', RoleName: 'countersign-billing', AssumeRolePolicyDocument: trust });
  await iam({
    Action: 'PutRolePolicy',
    RoleName: 'countersign-billing',
    PolicyName: 'p',
    PolicyDocument: statement('sts:GetCallerIdentity'),
  });
  const made = await iam({ Action: 'CreateAccessKey', UserName: 'broker' });
  const field = (name: string) => new RegExp(`<${name}>([^<]+)<`).exec(made)![1]!;
  keys = { id: field('AccessKeyId'), secret: field('SecretAccessKey') };
});
after(() => moto?.stop());

function given(name: string, body: (t: TestContext) => Promise<void>): void {
  test(name, async (t) => (why === null ? body(t) : t.skip(why)));
}

given('a session is assumed with a signature that AWS’s own library accepts, and its keys work', async () => {
  const told = await provider(moto.url, { secret: keys.secret, id: keys.id }).mint(request(POLICY));
  assert.ok(told.ok, JSON.stringify(told));
  const { credential } = told;
  const env = credential.inject.env!;
  assert.match(credential.id, /^aws-sts:ASIA/);
  assert.deepEqual(credential.secrets, [env.AWS_SECRET_ACCESS_KEY, env.AWS_SESSION_TOKEN]);
  assert.ok(credential.expires_at_ms! > Date.now());
  const session = new AwsClient({
    ...{ accessKeyId: env.AWS_ACCESS_KEY_ID!, secretAccessKey: env.AWS_SECRET_ACCESS_KEY! },
    ...{ sessionToken: env.AWS_SESSION_TOKEN!, service: 'sts', region: REGION },
  });
  const body = 'Action=GetCallerIdentity&Version=2011-06-15';
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const who = await (await session.fetch(moto.url, { method: 'POST', headers, body })).text();
  assert.match(who, /assumed-role\/countersign-billing\/call_01k9/);
});

given(
  'requests of a connector are signed so that AWS’s own library accepts them, and the keys are not in them',
  async () => {
    const told = await provider(moto.url, { secret: keys.secret, id: keys.id }, { service: 'sts' }).mint(
      request(POLICY),
    );
    assert.ok(told.ok, JSON.stringify(told));
    const { inject, secrets } = told.credential;
    assert.deepEqual([inject.env, inject.headers], [undefined, undefined]);
    const body = 'Action=GetCallerIdentity&Version=2011-06-15';
    const own = { 'content-type': 'application/x-www-form-urlencoded', 'user-agent': 'countersign' };
    const url = `${moto.url}/`;
    const signed = await inject.sign!({ method: 'POST', url, headers: own, body });
    const ask = (headers: Record<string, string>, sent = body) =>
      fetch(url, { method: 'POST', headers: { ...own, ...headers }, body: sent });
    assert.match(await (await ask(signed)).text(), /assumed-role\/countersign-billing\/call_01k9/);
    const other = await ask({ ...signed, 'x-amz-date': '20200101T000000Z' });
    assert.equal(other.status, 403, 'control: a changed header is noticed');
    assert.ok(!JSON.stringify(signed).includes(secrets[0]!), 'the secret key is not in the request');
  },
);

test('an openapi connector signs what it sends, whole', async () => {
  await using wire = await answering([
    session(),
    { status: 200, body: '{"id":"t1"}', type: 'application/json' },
  ]);
  const told = await provider(wire.url, {}, { service: 'execute-api' }).mint(request(POLICY));
  assert.ok(told.ok, JSON.stringify(told));
  const inputs = { path: { owner: 'ann' }, body: { title: 'x' } };
  const more = { mode: 'write', credential: told.credential } as const;
  const attempt = attemptOf(operationOf('things/create'), inputs, more);
  await withConnector(await createConnector(openapiSpec(wire.url), testDeps()), async (connector) => {
    assert.equal((await connector.attempt(attempt)).kind, 'ok');
  });
  const sent = wire.headers[1]!;
  assert.match(
    String(sent.authorization),
    /^AWS4-HMAC-SHA256 Credential=ASIAIOSFODNN7EXAMPLE\/\d{8}\/eu-central-1\/execute-api\/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature=[0-9a-f]{64}$/,
  );
  assert.equal(sent['x-amz-content-sha256'], createHash('sha256').update('{"title":"x"}').digest('hex'));
  assert.equal(sent['x-amz-security-token'], told.credential.secrets[1]);
});

given(
  'control: with another secret key the same request is refused, so the signature is looked at',
  async () => {
    const told = await provider(moto.url, { secret: 'wrong', id: keys.id }).mint(request(POLICY));
    assert.equal(told.ok || told.reason, 'STS refused with 403 SignatureDoesNotMatch');
  },
);

test('what STS is asked for is named after the call and narrowed by the policy', async () => {
  await using wire = await answering([session()]);
  const told = await provider(wire.url).mint(
    request({ ...POLICY }, ['arn:aws:iam::aws:policy/ReadOnlyAccess']),
  );
  assert.ok(told.ok, JSON.stringify(told));
  const [asked] = wire.asked;
  assert.deepEqual(asked, {
    Action: 'AssumeRole',
    Version: '2011-06-15',
    RoleArn: ROLE,
    RoleSessionName: 'call_01k9',
    DurationSeconds: '900',
    Policy: JSON.stringify(POLICY),
    'PolicyArns.member.1.arn': 'arn:aws:iam::aws:policy/ReadOnlyAccess',
    SourceIdentity: 'billing-agent',
    ExternalId: 'external-1',
    'Tags.member.1.Key': 'countersign:run',
    'Tags.member.1.Value': 'run_01k9',
    'Tags.member.2.Key': 'countersign:tool',
    'Tags.member.2.Value': 'read_invoice',
    'Tags.member.3.Key': 'countersign:tenant',
    'Tags.member.3.Value': 'default',
  });
});

test('with a web identity nothing is signed, and the token of the pod is all that is shown', async () => {
  await using wire = await answering([session()]);
  const options = { keys: undefined, web_identity: { token: 'file:/token' } } as unknown as JsonObject;
  const told = await provider(wire.url, {}, options).mint(request(POLICY));
  assert.ok(told.ok, JSON.stringify(told));
  const [asked] = wire.asked;
  assert.equal(asked!.Action, 'AssumeRoleWithWebIdentity');
  assert.equal(asked!.WebIdentityToken, 'projected-token');
  for (const none of ['SourceIdentity', 'Tags.member.1.Key', 'ExternalId'])
    assert.equal(asked![none], undefined);
  assert.equal(wire.authorization[0], undefined);
});

test('where the policy has no room beside the tags, the tags go and the policy stays', async () => {
  await using wire = await answering([tooLarge, session()]);
  assert.ok((await provider(wire.url).mint(request(POLICY))).ok);
  assert.equal(wire.asked.length, 2);
  assert.equal(wire.asked[1]!['Tags.member.1.Key'], undefined);
  assert.equal(wire.asked[1]!.Policy, JSON.stringify(POLICY));
  assert.equal(wire.asked[1]!.SourceIdentity, 'billing-agent');
});

test('a policy that STS cannot pack is refused, never left out', async () => {
  await using wire = await answering([tooLarge, tooLarge]);
  const told = await provider(wire.url).mint(request(POLICY));
  assert.match(told.ok ? '' : told.reason, /too large for STS: name fewer resources/);
  assert.ok(wire.asked.every((asked) => asked.Policy !== undefined));
});

for (const [what, scope, more, reason] of [
  ['without a scope', null, {}, /says nothing of what the session may do/],
  ['without a policy', {}, {}, /must be an IAM policy/],
  ['with a policy as text', { policy: '{}' }, {}, /must be an IAM policy/],
  ['with a policy that is too long', { policy: { a: 'x'.repeat(2_048) } }, {}, /has 2056 characters/],
  [
    'with letters that STS does not take',
    { policy: { a: '\u{1f600}' } },
    {},
    /letters that STS does not take/,
  ],
  ['with an ARN that is none', { policy: POLICY, policy_arns: ['*'] }, {}, /ARNs of managed policies/],
  ['for less than 15 minutes', { policy: POLICY }, { max_ttl_ms: 60_000 }, /15 minutes/],
  ['for the connector itself', { policy: POLICY }, { call: null }, /has no call/],
] as [string, Json, Partial<MintRequest>, RegExp][]) {
  test(`${what}, STS is not even asked`, async () => {
    await using wire = await answering([session()]);
    const told = await provider(wire.url).mint({ ...request(POLICY), scope, ...more });
    assert.match(told.ok ? '' : told.reason, reason);
    assert.equal(wire.asked.length, 0);
  });
}

test('what STS says when it refuses is told by its code, not by its text', async () => {
  await using wire = await answering([
    {
      status: 403,
      body: '<ErrorResponse><Error><Code>AccessDenied</Code><Message>echo of secret-key-canary</Message></Error></ErrorResponse>',
    },
    { status: 200, body: '<AssumeRoleResponse/>' },
    { status: 500, body: 'secret-key-canary' },
  ]);
  const one = provider(wire.url);
  for (const reason of [
    'STS refused with 403 AccessDenied',
    'STS answered without credentials',
    'STS refused with 500',
  ]) {
    const told = await one.mint(request(POLICY));
    assert.equal(told.ok || told.reason, reason);
  }
});

const tooLarge = {
  status: 400,
  body: '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>PackedPolicyTooLarge</Code><Message>Packed size of policy consumes 112% of allotted space, please use smaller policy.</Message></Error></ErrorResponse>',
};

/** As the API reference of AssumeRole shows it. */
function session() {
  return {
    status: 200,
    body: `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
      <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/demo/x</Arn><AssumedRoleId>ARO123EXAMPLE123:x</AssumedRoleId></AssumedRoleUser>
      <Credentials><AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId><SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY</SecretAccessKey>
      <SessionToken>AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI</SessionToken>
      <Expiration>${new Date(Date.now() + 900_000).toISOString()}</Expiration></Credentials>
      <PackedPolicySize>8</PackedPolicySize></AssumeRoleResult></AssumeRoleResponse>`,
  };
}

function request(policy: Json, policy_arns?: Json): MintRequest {
  const call = {
    id: 'call_01k9',
    run: 'run_01k9',
    tenant: 'default',
    agent: 'billing-agent',
    tool: 'read_invoice',
  };
  const scope = policy_arns === undefined ? { policy } : { policy, policy_arns };
  return { purpose: 'call', call, scope, max_ttl_ms: null };
}

function provider(
  endpoint: string,
  { id = 'AKIAIOSFODNN7EXAMPLE', secret = 'secret-key-canary' } = {},
  over: JsonObject = {},
) {
  const secrets: Record<string, string> = {
    'sealed:aws-id': id,
    'sealed:aws': secret,
    'file:/token': 'projected-token\n',
  };
  const options = {
    ...{ role_arn: ROLE, region: REGION, endpoint, external_id: 'external-1', allow_private: true },
    keys: { access_key_id: 'sealed:aws-id', secret: 'sealed:aws' },
    ...over,
  };
  assert.deepEqual(awsStsKind.mistakes!(options), []);
  const world = providerWorld({ clock: Date, readSecret: async (reference) => secrets[reference]! });
  return awsStsKind.create('billing', options, world);
}

interface Wire extends AsyncDisposable {
  readonly url: string;
  readonly asked: Record<string, string>[];
  readonly authorization: (string | undefined)[];
  readonly headers: IncomingHttpHeaders[];
}

async function answering(answers: readonly { status: number; body: string; type?: string }[]): Promise<Wire> {
  const asked: Record<string, string>[] = [];
  const authorization: (string | undefined)[] = [];
  const headers: IncomingHttpHeaders[] = [];
  const left = [...answers];
  const server = await listen((request, response) => {
    void (async () => {
      const text = (await request.toArray()).map(String).join('');
      asked.push(Object.fromEntries(new URLSearchParams(text)));
      authorization.push(request.headers.authorization);
      headers.push(request.headers);
      const { status, body, type = 'text/xml' } = left.shift()!;
      response.writeHead(status, { 'content-type': type }).end(body);
    })();
  });
  return { url: server.url, asked, authorization, headers, [Symbol.asyncDispose]: () => server.close() };
}
