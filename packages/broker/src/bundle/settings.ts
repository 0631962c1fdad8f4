// Compiles countersign.yaml into settings: every default in one place, every limit checked.
import { resolve } from 'node:path';
import type { JsonObject } from '@countersign/contract/json.ts';
import { type ApprovalText, parseApproval } from '#rules/approval.ts';
import { compileSchema } from '#rules/json-schema.ts';
import { BASELINE_IDS, UNWAIVABLE } from './baseline.ts';
import type { Settings, Webhook } from './bundle.ts';
import { referenceOf } from './connector-credential.ts';
import { parseDuration } from './duration.ts';
import { issuersOf } from './issuers.ts';
import { unboundedReason } from './lint-schema.ts';
import { hintFor, type Mistakes } from './mistake.ts';
import type { Source } from './parse-yaml.ts';
import { peopleSettings } from './people-settings.ts';
import { quotasOf } from './quotas.ts';
import { overlaps, realPath } from './reach.ts';
import { sealingOf } from './sealing.ts';

export interface CompiledSettings {
  readonly settings: Settings;
  /** `approvals.default`, parsed. */
  readonly ask: ApprovalText | null;
  /** Null where the file is broken or missing. */
  readonly declared: Declared | null;
}

/** What the file declares, its mistakes aside: nobody who refers to these is blamed for them. */
export interface Declared {
  readonly context: readonly string[];
  readonly labels: readonly string[];
  readonly tenants: readonly string[];
}

/** What holds where the file says nothing. */
const DEFAULTS = {
  host: '127.0.0.1',
  port: 8787,
  data_dir: '../.countersign',
  tenants: ['default'],
  ttl: '1h',
  max_open_per_agent: 20,
  access_ttl: '5m',
  run_ttl: '8h',
  one_call_ttl: '60s',
  rotate_keys: '90d',
  dpop: 'optional',
  dpop_nonce: false,
  ambient_idle: '30m',
  keep: '48h',
  content_key: 'off',
  identical: 20,
  identical_reads: 120,
  failing: 8,
  window: '10m',
  key_max_age: '90d',
  unused_after: '30d',
  body_bytes: 1_048_576,
  depth: 32,
  result_bytes: 4_194_304,
} as const;

/** Keys of the file that hold a duration. */
type Duration =
  | 'ttl'
  | 'access_ttl'
  | 'run_ttl'
  | 'one_call_ttl'
  | 'rotate_keys'
  | 'ambient_idle'
  | 'keep'
  | 'window'
  | 'key_max_age'
  | 'unused_after';

/** Longest life of an access token: revoking an agent must take effect within it. */
const ACCESS_TTL_MAX_MS = 300_000;

/**
 * `value` has the right shape (countersign.schema.json); null where the file is broken or missing, and then every
 * default holds for the rest of the check. `root`: real path of the bundle folder.
 */
export function compileSettings(
  written: JsonObject | null,
  source: Source,
  root: string,
  mistakes: Mistakes,
): CompiledSettings {
  const value = written ?? {};
  const part = (key: string): Record<string, never> => (value[key] ?? {}) as never;
  const wrong = (pointer: string, message: string, hint?: string): void =>
    mistakes.error(source.file, source.at(pointer), message, hint);
  const ms = (section: string, key: Duration): number =>
    parseDuration((part(section)[key] as string | undefined) ?? DEFAULTS[key]);

  const access_ttl_ms = ms('tokens', 'access_ttl');
  if (access_ttl_ms > ACCESS_TTL_MAX_MS) wrong('/tokens/access_ttl', 'expected at most 5m');
  const quorum = (part('activation').quorum as number | undefined) ?? 0;
  if (quorum !== 0)
    wrong('/activation/quorum', `a quorum of ${quorum} is not supported yet`, 'use 0 for now');
  const data_dir = realPath(resolve(root, (value.data_dir as string | undefined) ?? DEFAULTS.data_dir));
  if (overlaps(data_dir, root)) {
    wrong('/data_dir', 'state and bundle must lie apart', 'use a folder outside, e.g. ../.countersign');
  }
  const listen = part('listen');
  const limits = part('limits');
  const loops = part('loops');
  const tokens = part('tokens');
  const approvals = part('approvals');
  const tenants = (value.tenants as readonly string[] | undefined) ?? DEFAULTS.tenants;
  const labels = (value.labels as readonly string[] | undefined) ?? [];
  return {
    ask: askOf(approvals.default as string | undefined, wrong),
    declared: written === null ? null : { context: Object.keys(value.context ?? {}), labels, tenants },
    settings: {
      listen: { host: listen.host ?? DEFAULTS.host, port: listen.port ?? DEFAULTS.port },
      public_url: (value.public_url as string | undefined) ?? null,
      data_dir,
      tenants,
      issuers: issuersOf(
        (value.issuers ?? []) as readonly JsonObject[],
        { tenants, ...contextKeys((value.context ?? {}) as JsonObject) },
        wrong,
      ),
      context: contextOf((value.context ?? {}) as JsonObject, wrong),
      labels,
      approvals: {
        default: approvals.default ?? null,
        ttl_ms: ms('approvals', 'ttl'),
        max_open_per_agent: approvals.max_open_per_agent ?? DEFAULTS.max_open_per_agent,
      },
      tokens: {
        access_ttl_ms,
        run_ttl_ms: ms('tokens', 'run_ttl'),
        one_call_ttl_ms: Math.min(access_ttl_ms, ms('tokens', 'one_call_ttl')),
        rotate_keys_ms: ms('tokens', 'rotate_keys'),
        dpop: tokens.dpop ?? DEFAULTS.dpop,
        dpop_nonce: tokens.dpop_nonce ?? DEFAULTS.dpop_nonce,
      },
      people: peopleSettings(value, tenants, root, wrong),
      runs: { ambient_idle_ms: ms('runs', 'ambient_idle') },
      idempotency: {
        keep_ms: ms('idempotency', 'keep'),
        content_key: part('idempotency').content_key ?? DEFAULTS.content_key,
      },
      limits: {
        body_bytes: limits.body_bytes ?? DEFAULTS.body_bytes,
        depth: limits.depth ?? DEFAULTS.depth,
        result_bytes: limits.result_bytes ?? DEFAULTS.result_bytes,
      },
      quotas: quotasOf((value.quotas ?? []) as readonly JsonObject[], wrong),
      loops: {
        identical: loops.identical ?? DEFAULTS.identical,
        identical_reads: loops.identical_reads ?? DEFAULTS.identical_reads,
        failing: loops.failing ?? DEFAULTS.failing,
        window_ms: ms('loops', 'window'),
      },
      alerts: { webhooks: webhooksOf((part('alerts').webhooks ?? []) as JsonObject[], root, wrong) },
      agents: { key_max_age_ms: ms('agents', 'key_max_age'), unused_after_ms: ms('agents', 'unused_after') },
      sealing: sealingOf((value.sealing ?? {}) as JsonObject, root, wrong),
      activation: { quorum },
      waivers: waiversOf((value.waivers ?? []) as unknown as Settings['waivers'], wrong),
    },
  };
}

type Wrong = (pointer: string, message: string, hint?: string) => void;

function askOf(text: string | undefined, wrong: Wrong): ApprovalText | null {
  if (text === undefined) return null;
  const parsed = parseApproval(text);
  if (parsed.ok) return parsed.approval;
  wrong('/approvals/default', parsed.message.replace('@approval', 'approvals.default '));
  return null;
}

function webhooksOf(webhooks: readonly JsonObject[], root: string, wrong: Wrong): Webhook[] {
  const urls = webhooks.map(({ url }) => url as string);
  return webhooks.map(({ url, allow_private = false, secret = '', kinds = null }, index) => {
    const at = `/alerts/webhooks/${index}`;
    if (urls.indexOf(url as string) < index)
      wrong(`${at}/url`, 'this webhook exists twice', 'name all its kinds in one');
    const reference = referenceOf(secret, `${at}/secret`, root, wrong);
    return { url, allow_private, secret: reference, kinds } as unknown as Webhook;
  });
}

function contextOf(context: JsonObject, wrong: Wrong): Settings['context'] {
  const out: Record<string, JsonObject> = {};
  for (const [key, value] of Object.entries(context)) {
    const { verify: _, ...schema } = value as JsonObject;
    const pointer = `/context/${key}`;
    if (schema.type !== 'string' && schema.type !== 'integer' && schema.type !== 'boolean') {
      wrong(
        pointer,
        'bound context is text, a whole number, or true or false',
        'set type to string, integer or boolean',
      );
      continue;
    }
    const compiled = compileSchema(schema);
    if (!compiled.ok) {
      for (const fault of compiled.faults) wrong(`${pointer}${fault.pointer}`, fault.message, fault.hint);
      continue;
    }
    const reason = schema.type === 'string' && schema.pattern !== undefined ? null : unboundedReason(schema);
    if (reason !== null && schema.type === 'string') wrong(pointer, reason.message, reason.hint);
    out[key] = schema;
  }
  return out;
}

/** Only waivers without mistakes: the others set nothing aside. */
function waiversOf(waivers: Settings['waivers'], wrong: Wrong): Settings['waivers'] {
  return waivers.filter((waiver, index) => {
    const pointer = `/waivers/${index}`;
    const known = BASELINE_IDS.includes(waiver.policy);
    if (!known) {
      wrong(
        `${pointer}/policy`,
        `no baseline policy "${waiver.policy}"`,
        hintFor(waiver.policy, BASELINE_IDS),
      );
    } else if (waiver.policy === UNWAIVABLE) {
      wrong(`${pointer}/policy`, `"${waiver.policy}" cannot be waived`, 'review the tool and make it active');
    }
    const day = new Date(`${waiver.expires}T00:00:00Z`);
    const real = !Number.isNaN(day.getTime()) && day.toISOString().startsWith(waiver.expires);
    if (!real) wrong(`${pointer}/expires`, `"${waiver.expires}" is not a day`, 'write YYYY-MM-DD');
    return known && real;
  });
}

function contextKeys(context: JsonObject): { readonly context: string[]; readonly verified: string[] } {
  const keys = Object.keys(context);
  const isVerified = (key: string): boolean => (context[key] as JsonObject | null)?.verify !== undefined;
  return { context: keys, verified: keys.filter(isVerified) };
}
