// What each kind of issuer is known for: its algorithms, how long its tokens live, and which claims name a workload for good.
import type { PresetName } from './federation.ts';

/** Every algorithm that a foreign token may be signed with (RFC 7518, RFC 8037): never `none`, never a shared secret. */
const FOREIGN_ALGORITHMS = [
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
] as const;

/** A claim that an identity must name: one of these, by path. */
export type Need = readonly (readonly string[])[];

export interface Form {
  readonly path: readonly string[];
  readonly pattern: RegExp;
  /** Completes "expected …". */
  readonly expected: string;
}

export interface Preset {
  /** The issuer, where there is only one in the world. */
  readonly issuer: string | null;
  readonly algorithms: readonly string[];
  /** Accepted `typ` in small letters, without `application/`; null: a token without one. */
  readonly typ: readonly (string | null)[];
  readonly max_life_ms: number;
  /**
   * Whether a token opens the door once. False where the platform hands out one token again and again until it
   * expires (a projected file, a metadata server that remembers): there a second use is no sign of theft.
   */
  readonly once: boolean;
  /** Whether the file may say `once: false`. */
  readonly reusable: boolean;
  /** Claims without which an identity could be taken over or matches too much. */
  readonly needs: readonly Need[];
  /** The same for agents and orchestrators only: a person's token has no such claims. */
  readonly workloadNeeds: readonly Need[];
  /** All claims that its tokens can have, as dotted paths; null: the issuer adds some of its own. */
  readonly knows: readonly string[] | null;
  readonly forms: readonly Form[];
  /** Why the claims that it needs are needed; completes a mistake as its hint. */
  readonly why: string;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** No token of any issuer lives longer, whatever the file says. */
export const FOREIGN_LIFE_MAX_MS = 24 * HOUR_MS;

const ANY_JWT = ['jwt', null];
const ANY_OAUTH = ['jwt', 'at+jwt', null];
const DIGITS = /^[0-9]{1,20}$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const KUBERNETES = 'kubernetes.io';
const SUB: Need = [['sub']];

const base = {
  issuer: null,
  algorithms: ['RS256', 'ES256', 'PS256', 'EdDSA'],
  typ: ANY_JWT,
  max_life_ms: HOUR_MS,
  once: true,
  reusable: false,
  needs: [SUB],
  workloadNeeds: [],
  knows: null,
  forms: [],
  why: 'sub is what the issuer never gives to two',
} as const satisfies Preset;

/** The claim shapes are those that the vendors publish; docs/how-to/let-agents-hold-no-secret.md has one of each. */
export const issuerPresets: Readonly<Record<PresetName, Preset>> = {
  oidc: { ...base, typ: ANY_OAUTH, reusable: true },
  kubernetes: {
    ...base,
    algorithms: ['RS256', 'ES256', 'ES384', 'ES512'],
    once: false,
    needs: [
      [[KUBERNETES, 'namespace']],
      [
        [KUBERNETES, 'serviceaccount', 'name'],
        [KUBERNETES, 'serviceaccount', 'uid'],
      ],
    ],
    knows: [
      'sub',
      'kubernetes.io.namespace',
      ...['serviceaccount', 'pod', 'node', 'secret'].flatMap((each) => [
        `kubernetes.io.${each}.name`,
        `kubernetes.io.${each}.uid`,
      ]),
    ],
    why: 'a service account is its namespace and its name or uid, under kubernetes.io',
  },
  'github-actions': {
    ...base,
    issuer: 'https://token.actions.githubusercontent.com',
    algorithms: ['RS256'],
    needs: [
      [['repository_id']],
      [['repository_owner_id']],
      [['job_workflow_ref'], ['job_workflow_sha'], ['workflow_ref'], ['workflow_sha'], ['environment']],
    ],
    knows: [
      ...['actor', 'actor_id', 'base_ref', 'check_run_id', 'enterprise', 'enterprise_id', 'environment'],
      ...['environment_node_id', 'event_name', 'head_ref', 'job_workflow_ref', 'job_workflow_sha', 'ref'],
      ...['ref_protected', 'ref_type', 'repository', 'repository_id', 'repository_owner'],
      ...['repository_owner_id', 'repository_visibility', 'run_attempt', 'run_id', 'run_number'],
      ...['runner_environment', 'sub', 'workflow', 'workflow_ref', 'workflow_sha'],
    ],
    forms: [
      { path: ['repository_id'], pattern: DIGITS, expected: 'the number of the repository, in quotes' },
      { path: ['repository_owner_id'], pattern: DIGITS, expected: 'the number of the owner, in quotes' },
    ],
    why: 'names of repositories and owners can be given up and taken by others, ids cannot; and not every workflow of a repository is the agent',
  },
  okta: {
    ...base,
    algorithms: ['RS256'],
    typ: ANY_OAUTH,
    workloadNeeds: [[['cid']]],
    why: 'sub alone may be a name that is given to somebody else; cid is the client that asked',
  },
  entra: {
    ...base,
    algorithms: ['RS256'],
    typ: ANY_OAUTH,
    max_life_ms: 24 * HOUR_MS,
    once: false,
    needs: [[['oid']], [['tid']]],
    forms: [
      { path: ['oid'], pattern: UUID, expected: 'an object id, a UUID in small letters' },
      { path: ['tid'], pattern: UUID, expected: 'a tenant id, a UUID in small letters' },
    ],
    why: 'oid in tid is the one object; sub differs by application, names change',
  },
  google: {
    ...base,
    issuer: 'https://accounts.google.com',
    algorithms: ['RS256'],
    once: false,
    forms: [
      {
        path: ['sub'],
        pattern: /^[0-9]{1,32}$/,
        expected: 'the unique numeric id of the account, in quotes',
      },
    ],
    why: 'an address can be given to somebody else, the number in sub cannot',
  },
  aws: {
    ...base,
    algorithms: ['ES384', 'RS256'],
    forms: [
      {
        path: ['sub'],
        pattern: /^arn:aws[a-z-]*:(iam|sts)::[0-9]{12}:[^*?]+$/,
        expected: 'the whole ARN of a role or user',
      },
    ],
    why: 'sub is the ARN of the role, with its account',
  },
  spiffe: {
    ...base,
    algorithms: [...FOREIGN_ALGORITHMS].filter((each) => each !== 'EdDSA'),
    typ: ['jwt', 'jose', null],
    once: false,
    knows: ['sub'],
    forms: [
      {
        path: ['sub'],
        pattern: /^spiffe:\/\/[a-z0-9._-]{1,255}(\/[A-Za-z0-9._-]+)+$/,
        expected: 'a whole SPIFFE id, spiffe://<trust domain>/<path>',
      },
    ],
    why: 'sub is the SPIFFE id',
  },
  'id-jag': {
    ...base,
    typ: ['oauth-id-jag+jwt'],
    max_life_ms: 5 * MINUTE_MS,
  },
};

export const presetNames = Object.keys(issuerPresets) as readonly PresetName[];
