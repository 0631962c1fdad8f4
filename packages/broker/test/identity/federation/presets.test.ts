// Each preset with a token in the shape that its vendor publishes: the workload gets in, its neighbours do not.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { ClaimRules } from '../../../src/rules/federation.ts';
import { ISSUER, NOW_S } from '../token-door.ts';
import { accessClaims, issuers, openFederationDoor, workload } from './federation-door.ts';
import { DISCOVERY, JWKS, openIssuer, signedBy, signingPair } from './issuer-stand-in.ts';

interface Vendor {
  readonly preset: string;
  readonly alg?: string;
  readonly header?: JsonObject;
  /** As the vendor documents them; `iss` is the stand-in's. */
  readonly claims: JsonObject;
  readonly identity: ClaimRules;
  /** Claims of somebody else whose token looks much the same. */
  readonly neighbours: Readonly<Record<string, JsonObject>>;
  readonly used_again: 'accepted' | 'refused';
}

const ACCOUNT = 'https://sts.amazonaws.com/';
const TENANT = '9188040d-6c67-4c5b-b112-36a304b66dad';
const OBJECT = '6f0b9a3e-2f4d-4c58-9a53-0d9f3a0e7b11';

const vendors: readonly Vendor[] = [
  {
    preset: 'github-actions',
    claims: {
      jti: randomUUID(),
      sub: 'repo:octo-org@65/octo-repo@74:environment:prod',
      environment: 'prod',
      aud: ISSUER,
      ref: 'refs/heads/main',
      sha: 'example-sha',
      repository: 'octo-org/octo-repo',
      repository_owner: 'octo-org',
      actor_id: '12',
      repository_visibility: 'private',
      repository_id: '74',
      repository_owner_id: '65',
      run_id: 'example-run-id',
      run_number: '10',
      run_attempt: '2',
      runner_environment: 'github-hosted',
      actor: 'octocat',
      workflow: 'example-workflow',
      head_ref: '',
      base_ref: '',
      event_name: 'workflow_dispatch',
      ref_type: 'branch',
      job_workflow_ref: 'octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main',
      iat: NOW_S,
      nbf: NOW_S - 600,
      exp: NOW_S + 300,
    },
    identity: {
      repository_id: '74',
      repository_owner_id: '65',
      job_workflow_ref: 'octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main',
    },
    neighbours: {
      'a repository of the same name, made anew': { repository_id: '75' },
      'an owner of the same name, registered anew': { repository_owner_id: '66' },
      'another workflow of the repository': {
        job_workflow_ref: 'octo-org/octo-repo/.github/workflows/lint.yml@refs/heads/main',
      },
      'the same workflow of a branch': {
        job_workflow_ref: 'octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/mine',
      },
      'ids as numbers': { repository_id: 74 },
    },
    used_again: 'refused',
  },
  {
    preset: 'kubernetes',
    header: { typ: undefined as never },
    claims: {
      aud: [ISSUER],
      exp: NOW_S + 3_600,
      iat: NOW_S,
      jti: randomUUID(),
      'kubernetes.io': {
        namespace: 'agents',
        node: { name: 'node-1', uid: '646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1' },
        pod: { name: 'refunds-69cbb8-r2xzp', uid: '5e0bd49b-f040-43b0-99b7-22765a53f7f3' },
        serviceaccount: { name: 'refunds', uid: '14ee3fa4-a7e2-420f-9f9a-dbc4507c3798' },
      },
      nbf: NOW_S,
      sub: 'system:serviceaccount:agents:refunds',
    },
    identity: { 'kubernetes.io': { namespace: 'agents', serviceaccount: { name: 'refunds' } } },
    neighbours: {
      'the account of that name in another namespace': {
        'kubernetes.io': { namespace: 'default', serviceaccount: { name: 'refunds' } },
      },
      'another account of the namespace': {
        'kubernetes.io': { namespace: 'agents', serviceaccount: { name: 'default' } },
      },
      'the claims flat, not nested': { 'kubernetes.io': undefined as never, namespace: 'agents' },
      'a list of accounts': {
        'kubernetes.io': { namespace: 'agents', serviceaccount: [{ name: 'refunds' }] },
      },
    },
    used_again: 'accepted',
  },
  {
    preset: 'okta',
    header: { typ: undefined as never },
    claims: {
      ver: 1,
      jti: 'AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE',
      aud: ISSUER,
      sub: '0oa8vivxBfkHnPl3e0g4',
      iat: NOW_S,
      exp: NOW_S + 3_600,
      cid: '0oa8vivxBfkHnPl3e0g4',
      scp: ['agents'],
    },
    identity: { sub: '0oa8vivxBfkHnPl3e0g4', cid: '0oa8vivxBfkHnPl3e0g4' },
    neighbours: {
      'another client': { sub: '0oa9', cid: '0oa9' },
      'a user who calls himself like the client': { cid: '0oa9' },
      'the user of that client': { sub: 'mallory@example.com' },
    },
    used_again: 'refused',
  },
  {
    preset: 'entra',
    claims: {
      aud: ISSUER,
      iat: NOW_S,
      nbf: NOW_S,
      exp: NOW_S + 86_400,
      aio: 'E2NgYPj/1Y9p6kBBTLgA',
      azp: '1f4c7a10-6d1e-4c2b-8f0a-2b9b2b5a1c01',
      azpacr: '2',
      idtyp: 'app',
      oid: OBJECT,
      rh: '0.AXoA',
      sub: OBJECT,
      tid: TENANT,
      uti: 'q3Ew',
      ver: '2.0',
    },
    identity: { oid: OBJECT, tid: TENANT, azp: '1f4c7a10-6d1e-4c2b-8f0a-2b9b2b5a1c01' },
    neighbours: {
      'the object of that id in another tenant': { tid: 'f8cdef31-a31e-4b4a-93e4-5f571e91255a' },
      'another object of the tenant': { oid: 'f8cdef31-a31e-4b4a-93e4-5f571e91255a' },
      'another application that acts for the object': { azp: 'f8cdef31-a31e-4b4a-93e4-5f571e91255a' },
    },
    used_again: 'accepted',
  },
  {
    preset: 'google',
    claims: {
      aud: ISSUER,
      azp: '113774264463038321964',
      email: 'refunds@project.iam.gserviceaccount.com',
      email_verified: true,
      exp: NOW_S + 3_600,
      google: {
        compute_engine: {
          instance_creation_timestamp: NOW_S - 9_999,
          instance_id: '152986662232938449',
          instance_name: 'example',
          project_id: 'my-project',
          project_number: 739419398126,
          zone: 'us-west1-a',
        },
      },
      iat: NOW_S,
      sub: '113774264463038321964',
    },
    identity: { sub: '113774264463038321964' },
    neighbours: {
      'an account made anew under that address': { sub: '113774264463038321965' },
      'the id as a number': { sub: 113774264463038 },
    },
    used_again: 'accepted',
  },
  {
    preset: 'aws',
    alg: 'ES384',
    claims: {
      aud: ISSUER,
      sub: 'arn:aws:iam::123456789012:role/RefundsAgent',
      iat: NOW_S,
      exp: NOW_S + 900,
      jti: randomUUID(),
      [ACCOUNT]: {
        aws_account: '123456789012',
        source_region: 'us-east-1',
        org_id: 'o-abc1234567',
        ou_path: 'o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/',
        principal_tags: { team: 'refunds' },
        request_tags: { 'job-id': 'job-2024-001' },
      },
    },
    identity: {
      sub: 'arn:aws:iam::123456789012:role/RefundsAgent',
      [ACCOUNT]: { aws_account: '123456789012' },
    },
    neighbours: {
      'the role of that name in another account': { sub: 'arn:aws:iam::210987654321:role/RefundsAgent' },
      'another role': { sub: 'arn:aws:iam::123456789012:role/RefundsAgent2' },
      'a tag that says the account': { [ACCOUNT]: { request_tags: { aws_account: '123456789012' } } },
    },
    used_again: 'refused',
  },
  {
    preset: 'oidc',
    alg: 'ES256',
    header: { typ: 'at+jwt' },
    claims: {
      ...{ aud: ISSUER, sub: 'refunds', client_id: 'refunds', jti: randomUUID(), scope: '' },
      ...{ iat: NOW_S, exp: NOW_S + 600 },
    },
    identity: { sub: 'refunds' },
    neighbours: {
      'another client': { sub: 'lookups' },
      'the name in other letters': { sub: 'Refunds' },
      'a longer name': { sub: 'refunds ' },
    },
    used_again: 'refused',
  },
];

for (const { preset, alg = 'RS256', header = {}, claims, identity, neighbours, used_again } of vendors) {
  test(`${preset}: the workload gets in at both doors, its neighbours at none`, async (t) => {
    const pair = signingPair(alg);
    const issuer = await openIssuer(t, [pair.publicJwk]);
    const trusted = issuers({ name: 'vendor', preset, issuer: issuer.url, allow_private: true });
    const door = await openFederationDoor(t, trusted, [workload('refunds', [['vendor', identity]])]);
    // A jti of its own for each: none is refused because another was used.
    const token = (change: JsonObject = {}) =>
      signedBy(
        pair,
        {
          ...{ iss: issuer.url, ...claims },
          ...('jti' in claims ? { jti: randomUUID() } : { fresh: randomUUID() }),
          ...change,
        },
        header,
      );

    const [granted, proved] = [await door.grant(token()), await door.prove(token())];
    assert.equal(accessClaims(granted).sub, 'refunds');
    assert.equal(accessClaims(proved).sub, 'refunds');
    assert.equal(accessClaims(proved).kind, 'agent');
    for (const [who, change] of Object.entries(neighbours)) {
      const [grant, proof] = [await door.grant(token(change)), await door.prove(token(change))];
      assert.ok(!grant.ok && grant.error.error === 'invalid_grant', who);
      assert.ok(!proof.ok && proof.error.error === 'invalid_client', who);
    }
    const twice = token();
    assert.ok((await door.prove(twice)).ok);
    assert.equal((await door.prove(twice)).ok, used_again === 'accepted');
    // However many tokens came, the keys were asked for once.
    assert.deepEqual(issuer.asked, [DISCOVERY, JWKS]);
  });
}

test('spiffe: a JWT-SVID without iss is judged by its trust domain, with the keys of the bundle endpoint', async (t) => {
  const pair = signingPair('ES256');
  const other = signingPair('ES256', 'other-domain');
  const x509 = { ...signingPair('ES256', 'x509').publicJwk, use: 'x509-svid', x5c: ['AAAA'] };
  const svid = (pair: { publicJwk: JsonObject }) => ({ ...pair.publicJwk, use: 'jwt-svid' });
  const issuer = await openIssuer(t, [x509, svid(pair)]);
  const elsewhere = await openIssuer(t, [svid(other)]);
  const trusted = issuers(
    {
      name: 'mesh',
      preset: 'spiffe',
      issuer: 'spiffe://mesh.example',
      jwks_uri: issuer.jwks_uri,
      allow_private: true,
    },
    {
      name: 'far',
      preset: 'spiffe',
      issuer: 'spiffe://far.example',
      jwks_uri: elsewhere.jwks_uri,
      allow_private: true,
    },
  );
  const door = await openFederationDoor(t, trusted, [
    workload('refunds', [['mesh', { sub: 'spiffe://mesh.example/agents/refunds' }]]),
    workload('far', [['far', { sub: 'spiffe://far.example/agents/refunds' }]]),
  ]);
  const claims = { aud: [ISSUER], sub: 'spiffe://mesh.example/agents/refunds', exp: NOW_S + 300, iat: NOW_S };
  assert.equal(accessClaims(await door.prove(signedBy(pair, claims))).sub, 'refunds');
  assert.equal(accessClaims(await door.prove(signedBy(pair, claims, { typ: 'JOSE' }))).sub, 'refunds');
  for (const [wrong, change, signer] of [
    ['another path', { sub: 'spiffe://mesh.example/agents/lookups' }, pair],
    ['a longer path', { sub: 'spiffe://mesh.example/agents/refunds/x' }, pair],
    [
      'a trust domain that begins alike',
      { sub: 'spiffe://mesh.example.attacker.example/agents/refunds' },
      pair,
    ],
    ['the subject of one trust domain, signed by another that is trusted', {}, other],
    ['an issuer that is not the trust domain', { iss: 'https://mesh.example' }, pair],
    ['another audience', { aud: ['https://elsewhere.example'] }, pair],
  ] as const) {
    assert.equal((await door.prove(signedBy(signer, { ...claims, ...change }))).ok, false, wrong);
  }
  // Control: the other trust domain speaks for itself.
  const theirs = { ...claims, sub: 'spiffe://far.example/agents/refunds' };
  assert.equal(accessClaims(await door.prove(signedBy(other, theirs))).sub, 'far');
});
