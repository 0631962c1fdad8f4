// What STS is asked for: which role, how long, named after the call, and narrowed to what the call needs.
import { isJsonObject, type Json } from '@countersign/contract/json.ts';
import type { MintRequest } from '#rules/credential.ts';

export interface AwsOptions {
  readonly role_arn: string;
  readonly region: string;
  /** Whose requests are signed, e.g. s3 or execute-api; absent: the keys go into an environment. */
  readonly service?: string;
  /** Default: STS of the region. */
  readonly endpoint?: string;
  readonly external_id?: string;
  /** References to the keys of the broker's own principal. */
  readonly keys?: {
    readonly access_key_id: string;
    readonly secret: string;
    readonly session_token?: string;
  };
  /** A token of an OIDC provider that the role trusts: no AWS secret at all. */
  readonly web_identity?: { readonly token: string };
  readonly source_identity?: boolean;
  readonly session_tags?: boolean;
  readonly allow_private?: boolean | readonly string[];
}

/** What STS answers: the keys of a session. */
export interface Assumed {
  readonly access_key_id: string;
  readonly secret_access_key: string;
  readonly session_token: string;
  readonly expires_at_ms: number;
}

/** Parameters of AssumeRole that do not depend on how the broker shows who it is; `optional` go where STS has no room. */
export interface SessionParameters {
  readonly required: Readonly<Record<string, string>>;
  readonly optional: Readonly<Record<string, string>>;
}

/** Of both, STS says: 2 to 64 of these. */
const NAME = /^[\w+=,.@-]{2,64}$/;
/** What STS takes of an inline policy before it packs it. */
const POLICY_MAX = 2_048;
const SHORTEST_S = 900;
const ARN = /^arn:aws[a-z-]*:iam::(aws|[0-9]{12}):policy\/[\w+=,.@/-]+$/;
const ARNS_MAX = 10;

type Session =
  | { readonly ok: true; readonly parameters: SessionParameters }
  | { readonly ok: false; readonly reason: string };

export function sessionOf(options: AwsOptions, { call, scope, max_ttl_ms }: MintRequest): Session {
  const refuse = (reason: string): Session => ({ ok: false, reason });
  if (call === null)
    return refuse('aws-sts mints for calls: a connector that connects for itself has no call');
  if (max_ttl_ms !== null && max_ttl_ms < SHORTEST_S * 1_000)
    return refuse('the tool allows less than the 15 minutes that a session of STS lasts at least');
  if (!NAME.test(call.id)) return refuse('the id of the call cannot name a session');
  const narrowed = policyOf(scope);
  if (typeof narrowed === 'string') return refuse(narrowed);
  const { source_identity = true, session_tags = true, external_id } = options;
  // With a web identity both come from claims of the token, and STS takes no others.
  const ownPrincipal = options.keys !== undefined;
  if (ownPrincipal && source_identity && !NAME.test(call.agent))
    return refuse('the name of the agent cannot be a source identity');
  return {
    ok: true,
    parameters: {
      required: {
        RoleArn: options.role_arn,
        RoleSessionName: call.id,
        DurationSeconds: String(SHORTEST_S),
        ...narrowed,
        ...(ownPrincipal && source_identity ? { SourceIdentity: call.agent } : {}),
        ...(ownPrincipal && external_id !== undefined ? { ExternalId: external_id } : {}),
      },
      optional:
        ownPrincipal && session_tags ? tagsOf({ run: call.run, tool: call.tool, tenant: call.tenant }) : {},
    },
  };
}

/** The scope as STS takes it, or why not. A session without a policy has all that the role has: it is not asked for. */
function policyOf(scope: Json): Record<string, string> | string {
  if (!isJsonObject(scope))
    return 'the tool says nothing of what the session may do: credential.scope.policy';
  const { policy, policy_arns = [] } = scope;
  if (!isJsonObject(policy ?? null)) return 'credential.scope.policy must be an IAM policy';
  const text = JSON.stringify(policy);
  if (text.length > POLICY_MAX)
    return `the session policy of this call has ${text.length} characters, and STS takes ${POLICY_MAX}: name fewer resources`;
  if (!/^[\t\n\r\x20-\xff]+$/.test(text)) return 'the session policy holds letters that STS does not take';
  const arns = Array.isArray(policy_arns) ? policy_arns : [null];
  if (arns.length > ARNS_MAX || !arns.every((arn): arn is string => typeof arn === 'string' && ARN.test(arn)))
    return `credential.scope.policy_arns must be up to ${ARNS_MAX} ARNs of managed policies`;
  return {
    Policy: text,
    ...membersOf(
      'PolicyArns',
      arns.map((arn) => ({ arn })),
    ),
  };
}

function tagsOf(tags: Readonly<Record<string, string>>): Record<string, string> {
  const members = Object.entries(tags).map(([key, Value]) => ({ Key: `countersign:${key}`, Value }));
  return membersOf('Tags', members);
}

/** The Query protocol's spelling of a list of structures. */
function membersOf(
  list: string,
  members: readonly Readonly<Record<string, string>>[],
): Record<string, string> {
  return Object.fromEntries(
    members.flatMap((member, at) =>
      Object.entries(member).map(([key, value]) => [`${list}.member.${at + 1}.${key}`, value]),
    ),
  );
}
