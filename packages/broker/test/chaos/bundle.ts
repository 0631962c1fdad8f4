// The bundle of the run: two agents, a person who is asked about large amounts, and the three upstreams.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { FilesUpstream } from './files-upstream.ts';
import type { PostgresUpstream } from './postgres-upstream.ts';
import { STRIPE_DESCRIPTION } from './stripe-description.ts';
import type { StripeUpstream } from './stripe-upstream.ts';
import { toolFiles } from './tools.ts';

export const AGENTS = ['bot-1', 'bot-2'] as const;
export const PERSON = 'ana';
/** Above this a person is asked. */
export const ASK_ABOVE_MINOR = 5_000;

export interface Upstreams {
  readonly stripe: StripeUpstream;
  readonly postgres: PostgresUpstream;
  readonly files: FilesUpstream;
}

export interface ChaosBundle {
  readonly folder: string;
  readonly dataDir: string;
  readonly keys: ReadonlyMap<string, KeyObject>;
}

/** One quota is so small that it is used up now and then, the others are there to be counted. */
export const QUOTA_LIMITS: Readonly<Record<string, number>> = {
  'calls-a-day': 1_000_000,
  'writes-a-day': 1_000_000,
  'refunds-a-minute': 60,
};

const SETTINGS = `
data_dir: ../data
approvals: { default: "1 of finance", max_open_per_agent: 50 }
# Callers here repeat themselves and fail for reasons that are not theirs.
loops: { identical: 0, identical_reads: 0, failing: 0 }
quotas:
  - { name: calls-a-day, of: calls, per: tool, limit: ${QUOTA_LIMITS['calls-a-day']}, window: day }
  - { name: writes-a-day, of: writes, per: agent, limit: ${QUOTA_LIMITS['writes-a-day']}, window: day }
  - { name: refunds-a-minute, of: writes, per: tool, limit: ${QUOTA_LIMITS['refunds-a-minute']}, window: minute, tools: [refund_charge] }
`;

const POLICIES = `
@id("reads") permit (principal in Role::"desk", action in Action::"read", resource);
@id("writes") permit (principal in Role::"desk", action in Action::"write", resource);
@id("large-needs-a-person")
@approval("1 of finance")
@because("Large amounts need one person from finance.")
forbid (principal, action in [Action::"refund_charge", Action::"book_entry"], resource)
when { context.cost.minor > ${ASK_ABOVE_MINOR} };
`;

export function writeChaosBundle(root: string, { stripe, postgres, files }: Upstreams): ChaosBundle {
  const agent = (name: string): string =>
    `name: ${name}\nowner: ${PERSON}\npurpose: Works while the broker is killed.\nroles: [desk]\nmode: act\nkeys: ["file:keys/${name}.pub.jwk"]\n`;
  const texts: Record<string, string> = {
    'countersign.yaml': SETTINGS,
    ...Object.fromEntries(AGENTS.map((name) => [`agents/${name}.yaml`, agent(name)])),
    [`people/${PERSON}.yaml`]: `name: ${PERSON}\ndisplay_name: Ana\nroles: [approver, operator, auditor]\ngroups: [finance]\nkeys: ["file:keys/${PERSON}.pub.jwk"]\n`,
    'policies/desk.cedar': POLICIES,
    'specs/stripe.json': JSON.stringify(STRIPE_DESCRIPTION),
    'connectors/stripe.yaml': `name: stripe\nkind: openapi\nowner: ${PERSON}\nspec: specs/stripe.json\nservers: ["${stripe.url}"]\nallow_private: true\ncredential: { provider: static, header: Authorization, prefix: "Bearer ", value: "env:STRIPE_KEY" }\n`,
    'connectors/bank.yaml': `name: bank\nkind: sql\nowner: ${PERSON}\nengine: postgres\nhost: 127.0.0.1\nport: ${postgres.port}\ndatabase: postgres\nuser: chaos_login\ntls: false\ncredential: { provider: static, env: PGPASSWORD, value: "env:BANK_PASSWORD" }\n`,
    'connectors/files.yaml': `name: files\nkind: mcp\nowner: ${PERSON}\ntransport: { http: { url: "${files.url}", allow_private: true } }\nrefresh: 1s\n`,
    ...toolFiles(files),
  };
  const keys = new Map<string, KeyObject>();
  for (const name of [...AGENTS, PERSON]) {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    keys.set(name, privateKey);
    texts[`keys/${name}.pub.jwk`] = JSON.stringify(publicKey.export({ format: 'jwk' }));
  }
  const folder = join(root, 'bundle');
  for (const [path, text] of Object.entries(texts)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return { folder, dataDir: join(root, 'data'), keys };
}
