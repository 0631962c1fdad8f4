// Compiles what an OAuth connector says about who authorises it without a person, and about the key of its tokens.
import type { Json, JsonObject } from '@countersign/contract/json.ts';

export interface GrantChecks {
  readonly wrong: (pointer: string, message: string, hint?: string) => void;
  /** The reference with an absolute path. */
  readonly reference: (value: Json, pointer: string) => string;
  readonly client: (client: JsonObject, pointer: string) => JsonObject;
  readonly isIssuer: (text: string) => boolean;
}

/** The block that belongs to each grant, and to no other. */
const BLOCKS = { enterprise: 'enterprise_managed', workload: 'workload_identity' } as const;

/** The compiled keys `dpop`, `enterprise` and `workload`, as far as they are there. */
export function compileOauthGrant(credential: JsonObject, checks: GrantChecks): JsonObject {
  const { wrong, reference } = checks;
  const { grant = 'authorization_code', issuer, client, dpop } = credential;
  for (const [block, needed] of Object.entries(BLOCKS)) {
    if (grant === needed && credential[block] === undefined)
      wrong('/credential/grant', `${needed} needs the block "${block}"`);
    if (grant !== needed && credential[block] !== undefined)
      wrong(`/credential/${block}`, `"${block}" goes with grant ${needed} alone`);
  }
  // What vouches for the broker is as good as a secret: no server names the place that it is sent to.
  if (Object.values<Json>(BLOCKS).includes(grant) && issuer === undefined)
    wrong('/credential/grant', `${String(grant)} names the issuer that it is good at`, 'add issuer');
  if (grant === 'enterprise_managed' && client === undefined)
    wrong('/credential/grant', 'enterprise_managed needs the client that the authorization server knows');
  if (dpop === 'memory' && grant === 'authorization_code')
    wrong(
      '/credential/dpop',
      'a person authorises once, and a key in memory is gone at the next start',
      'write env:NAME or file:path of a P-256 key in PEM',
    );
  const compiled: Record<string, Json> = {};
  if (dpop !== undefined) compiled.dpop = dpop === 'memory' ? dpop : reference(dpop, '/credential/dpop');
  if (credential.enterprise !== undefined)
    compiled.enterprise = enterpriseOf(credential.enterprise as JsonObject, checks);
  if (credential.workload !== undefined)
    compiled.workload = workloadOf(credential.workload as JsonObject, checks);
  return compiled;
}

function enterpriseOf(
  enterprise: JsonObject,
  { wrong, reference, client, isIssuer }: GrantChecks,
): JsonObject {
  const at = '/credential/enterprise';
  if (!isIssuer(String(enterprise.issuer)))
    wrong(`${at}/issuer`, 'an issuer is an https URL without query or fragment');
  return {
    ...enterprise,
    client: client((enterprise.client ?? {}) as JsonObject, `${at}/client`),
    subject: reference(enterprise.subject ?? '', `${at}/subject`),
  };
}

function workloadOf(workload: JsonObject, { wrong, reference }: GrantChecks): JsonObject {
  const { token, key, issuer, subject } = workload;
  const at = '/credential/workload';
  const signs = issuer !== undefined && subject !== undefined && key !== undefined;
  const some = issuer !== undefined || subject !== undefined || key !== undefined;
  if (token === undefined ? !signs : some) wrong(at, 'expected either token, or issuer, subject and key');
  return {
    ...workload,
    ...(token === undefined ? {} : { token: reference(token, `${at}/token`) }),
    ...(key === undefined ? {} : { key: reference(key, `${at}/key`) }),
  };
}
