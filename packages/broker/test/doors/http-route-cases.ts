// One row a route: a request that works, who may make it, and which of its parts name something that exists.
import { randomBytes } from 'node:crypto';
import { newId } from '@countersign/contract/ids.ts';
import { openSession } from '#admin/sessions.ts';
import { listAlerts, raiseAlert } from '#store/alerts.ts';
import { insertGlass } from '#store/break-glass.ts';
import { insertCall } from '#store/calls.ts';
import { insertPasskey } from '#store/passkeys.ts';
import type { HttpBroker } from './http-broker.ts';

/** What exists in tenant `default` before the rows are tried. */
export interface Exhibits {
  readonly call: string;
  /** A call whose outcome is not known. */
  readonly doubtful: string;
  readonly run: string;
  readonly approval: string;
  readonly deed_digest: string;
  readonly halt: string;
  readonly alert: string;
  /** Of paul. */
  readonly session: string;
  readonly passkey: string;
  readonly glass: string;
  readonly secret: string;
  readonly log: string;
  /** Number of an entry whose payload nothing needs. */
  readonly entry: number;
}

export interface RouteCase {
  readonly id: string;
  readonly method: string;
  readonly path: (exhibits: Exhibits) => string;
  readonly body?: (exhibits: Exhibits) => unknown;
  readonly status: number;
  /** Names of the principals whom the route answers; `anyone` needs no credentials. */
  readonly who: 'anyone' | readonly string[];
  /** The same request for something that does not exist. */
  readonly absent?: (exhibits: Exhibits) => string;
}

const EVERYBODY = ['olga', 'paul', 'amir', 'nils', 'spare-sam', 'far-fran'];
const EVERY_ROLE = ['olga', 'paul', 'amir'];
/** Agents for whom an answer is there, whatever they ask for. */
const AGENTS = ['desk-agent', 'other-agent', 'far-agent', 'spare-agent', 'spare-agent-2'];
const ORCHESTRATORS = ['desk-orchestrator', 'far-orchestrator', 'spare-orchestrator', 'spare-orchestrator-2'];
const NOBODY = '01k9zzzzzzzzzzzzzzzzzzzzzz';

export const routeCases: readonly RouteCase[] = [
  { id: 'exchangeToken', method: 'POST', path: () => '/oauth/token', status: 400, who: 'anyone' },
  { id: 'introspectToken', method: 'POST', path: () => '/oauth/introspect', status: 400, who: 'anyone' },
  { id: 'revokeToken', method: 'POST', path: () => '/oauth/revoke', status: 400, who: 'anyone' },
  {
    id: 'revokeAgentTokens',
    method: 'POST',
    path: () => '/v1/agents/lost-agent/revocation',
    body: () => ({ reason: 'test' }),
    status: 200,
    who: ['olga'],
    absent: () => '/v1/agents/nobody-of-this-name/revocation',
  },
  {
    id: 'rotateKeys',
    method: 'POST',
    path: () => '/v1/keys/rotation',
    body: () => ({ reason: 'test' }),
    status: 200,
    who: ['olga', 'far-fran'],
  },
  {
    id: 'authorizationServerMetadata',
    method: 'GET',
    path: () => '/.well-known/oauth-authorization-server',
    status: 200,
    who: 'anyone',
  },
  {
    id: 'apiResourceMetadata',
    method: 'GET',
    path: () => '/.well-known/oauth-protected-resource/v1',
    status: 200,
    who: 'anyone',
  },
  {
    id: 'mcpResourceMetadata',
    method: 'GET',
    path: () => '/.well-known/oauth-protected-resource/mcp',
    status: 200,
    who: 'anyone',
  },
  { id: 'keys', method: 'GET', path: () => '/.well-known/jwks.json', status: 200, who: 'anyone' },
  { id: 'isAlive', method: 'GET', path: () => '/healthz', status: 200, who: 'anyone' },
  { id: 'isReady', method: 'GET', path: () => '/readyz', status: 200, who: 'anyone' },
  { id: 'describeApi', method: 'GET', path: () => '/openapi.json', status: 200, who: 'anyone' },
  {
    id: 'performCall',
    method: 'POST',
    path: () => '/v1/calls',
    body: () => ({ tool: 'get_ticket', args: { id: '1' } }),
    status: 200,
    who: AGENTS,
  },
  {
    id: 'showCall',
    method: 'GET',
    path: ({ call }) => `/v1/calls/${call}`,
    status: 200,
    who: ['desk-agent', ...EVERY_ROLE],
    absent: () => `/v1/calls/call_${NOBODY}`,
  },
  {
    id: 'listCalls',
    method: 'GET',
    path: () => '/v1/calls?limit=5',
    status: 200,
    who: [...AGENTS, 'far-fran', ...EVERY_ROLE],
  },
  {
    id: 'listTools',
    method: 'GET',
    path: () => '/v1/tools',
    status: 200,
    who: AGENTS,
  },
  {
    id: 'showTool',
    method: 'GET',
    path: () => '/v1/tools/get_ticket',
    status: 200,
    who: AGENTS,
    absent: () => '/v1/tools/get_nothing',
  },
  {
    id: 'openRun',
    method: 'POST',
    path: () => '/v1/runs',
    body: () => ({ agent: 'desk-agent', trigger: 'desk:ticket/1' }),
    status: 201,
    who: ['desk-orchestrator'],
  },
  {
    id: 'listRuns',
    method: 'GET',
    path: () => '/v1/runs',
    status: 200,
    who: [...AGENTS, ...ORCHESTRATORS, 'far-fran', ...EVERY_ROLE],
  },
  {
    id: 'showRun',
    method: 'GET',
    path: ({ run }) => `/v1/runs/${run}`,
    status: 200,
    who: ['desk-orchestrator', ...EVERY_ROLE],
    absent: () => `/v1/runs/run_${NOBODY}`,
  },
  {
    id: 'endRun',
    method: 'POST',
    path: ({ run }) => `/v1/runs/${run}/end`,
    status: 200,
    who: ['desk-orchestrator', 'olga'],
    absent: () => `/v1/runs/run_${NOBODY}/end`,
  },
  {
    id: 'listApprovals',
    method: 'GET',
    path: () => '/v1/approvals?status=open',
    status: 200,
    who: ['far-fran', ...EVERY_ROLE],
  },
  {
    id: 'showApproval',
    method: 'GET',
    path: ({ approval }) => `/v1/approvals/${approval}`,
    status: 200,
    who: ['desk-agent', ...EVERY_ROLE],
    absent: () => `/v1/approvals/apr_${NOBODY}`,
  },
  {
    id: 'vote',
    method: 'POST',
    path: ({ approval }) => `/v1/approvals/${approval}/votes`,
    body: ({ deed_digest }) => ({ verdict: 'approve', deed_digest }),
    status: 200,
    who: ['paul'],
    absent: () => `/v1/approvals/apr_${NOBODY}/votes`,
  },
  {
    id: 'resolveCall',
    method: 'POST',
    path: ({ doubtful }) => `/v1/calls/${doubtful}/resolution`,
    body: () => ({ outcome: 'failed', evidence: 'The desk has no such deed.' }),
    status: 200,
    who: ['olga'],
    absent: () => `/v1/calls/call_${NOBODY}/resolution`,
  },
  { id: 'listQuotas', method: 'GET', path: () => '/v1/quotas', status: 200, who: ['olga', 'far-fran'] },
  {
    id: 'listConnectors',
    method: 'GET',
    path: () => '/v1/connectors',
    status: 200,
    who: ['olga', 'far-fran'],
  },
  {
    id: 'undoCall',
    method: 'POST',
    path: ({ doubtful }) => `/v1/calls/${doubtful}/undo`,
    body: () => ({ dry_run: true }),
    status: 200,
    who: ['olga'],
    absent: () => `/v1/calls/call_${NOBODY}/undo`,
  },
  {
    id: 'undoRun',
    method: 'POST',
    path: ({ run }) => `/v1/runs/${run}/undo`,
    body: () => ({ dry_run: true }),
    status: 200,
    who: ['olga'],
    absent: () => `/v1/runs/run_${NOBODY}/undo`,
  },
  {
    id: 'listAgents',
    method: 'GET',
    path: () => '/v1/agents',
    status: 200,
    who: ['olga', 'amir', 'far-fran'],
  },
  {
    id: 'showAgent',
    method: 'GET',
    path: () => '/v1/agents/desk-agent',
    status: 200,
    who: ['olga', 'amir'],
    absent: () => '/v1/agents/no-agent',
  },
  ...statusCases('Agent', 'agents', 'spare-agent', ['olga']),
  ...statusCases('Orchestrator', 'orchestrators', 'spare-orchestrator', ['olga']),
  ...statusCases('Person', 'people', 'spare-sam', ['olga']),
  { id: 'listHalts', method: 'GET', path: () => '/v1/halts', status: 200, who: ['olga', 'far-fran'] },
  {
    id: 'setHalt',
    method: 'POST',
    path: () => '/v1/halts',
    body: () => ({ scope: 'tool', target: 'unused', reason: 'test' }),
    status: 201,
    who: ['olga', 'far-fran'],
  },
  {
    id: 'liftHalt',
    method: 'DELETE',
    path: ({ halt }) => `/v1/halts/${halt}`,
    status: 200,
    who: ['olga'],
    absent: () => `/v1/halts/hlt_${NOBODY}`,
  },
  {
    id: 'listAlerts',
    method: 'GET',
    path: () => '/v1/alerts?acknowledged=no',
    status: 200,
    who: ['olga', 'amir', 'far-fran'],
  },
  {
    id: 'ackAlert',
    method: 'POST',
    path: ({ alert }) => `/v1/alerts/${alert}/ack`,
    status: 200,
    who: ['olga'],
    absent: () => `/v1/alerts/alr_${NOBODY}/ack`,
  },
  {
    id: 'readLedger',
    method: 'GET',
    path: ({ log }) => `/v1/ledger/entries?from=0&limit=3&log=${encodeURIComponent(log)}`,
    status: 200,
    who: ['olga', 'amir'],
    absent: () => `/v1/ledger/entries?from=0&limit=3&log=${encodeURIComponent('tenant/nowhere')}`,
  },
  {
    id: 'showReceipt',
    method: 'GET',
    path: ({ log }) => `/v1/ledger/receipts/${encodeURIComponent(log)}/0`,
    status: 200,
    who: ['olga', 'amir'],
    absent: ({ log }) => `/v1/ledger/receipts/${encodeURIComponent(log)}/999999`,
  },
  {
    id: 'erasePayload',
    method: 'POST',
    path: ({ log, entry }) => `/v1/ledger/entries/${encodeURIComponent(log)}/${entry}/erase`,
    body: () => ({ reason: 'test' }),
    status: 200,
    who: ['olga'],
    absent: ({ log }) => `/v1/ledger/entries/${encodeURIComponent(log)}/999999/erase`,
  },
  {
    id: 'latestCheckpoint',
    method: 'GET',
    path: ({ log }) => `/v1/ledger/checkpoint?log=${encodeURIComponent(log)}`,
    status: 200,
    who: ['olga', 'amir'],
    absent: () => `/v1/ledger/checkpoint?log=${encodeURIComponent('tenant/nowhere')}`,
  },
  {
    id: 'showBundle',
    method: 'GET',
    path: () => '/v1/bundle',
    status: 200,
    who: ['olga', 'amir', 'far-fran'],
  },
  { id: 'listSecrets', method: 'GET', path: () => '/v1/secrets', status: 200, who: ['olga', 'amir'] },
  {
    id: 'setSecret',
    method: 'POST',
    path: () => '/v1/secrets/door-key',
    body: () => ({ value: 'a value' }),
    status: 201,
    who: ['olga'],
  },
  {
    id: 'removeSecret',
    method: 'DELETE',
    path: ({ secret }) => `/v1/secrets/${secret}`,
    status: 200,
    who: ['olga'],
    absent: () => '/v1/secrets/no-such-secret',
  },
  {
    id: 'rotateSealingKey',
    method: 'POST',
    path: () => '/v1/sealing-key/rotation',
    status: 200,
    who: ['olga'],
  },
  { id: 'activateBundle', method: 'POST', path: () => '/v1/bundle', status: 200, who: ['olga', 'far-fran'] },
  { id: 'whoAmI', method: 'GET', path: () => '/v1/me', status: 200, who: EVERYBODY },
  { id: 'listSessions', method: 'GET', path: () => '/v1/sessions', status: 200, who: EVERYBODY },
  {
    id: 'endSession',
    method: 'DELETE',
    path: ({ session }) => `/v1/sessions/${session}`,
    status: 200,
    who: ['paul', 'olga'],
    absent: () => `/v1/sessions/ses_${NOBODY}`,
  },
  {
    id: 'listPeople',
    method: 'GET',
    path: () => '/v1/people',
    status: 200,
    who: ['olga', 'amir', 'far-fran'],
  },
  {
    id: 'revokePerson',
    method: 'POST',
    path: () => '/v1/people/paul/revoke',
    status: 200,
    who: ['paul', 'olga'],
  },
  {
    id: 'invitePasskey',
    method: 'POST',
    path: () => '/v1/people/paul/passkeys',
    status: 201,
    who: ['paul', 'olga'],
  },
  { id: 'listPasskeys', method: 'GET', path: () => '/v1/passkeys', status: 200, who: EVERYBODY },
  {
    id: 'removePasskey',
    method: 'DELETE',
    path: ({ passkey }) => `/v1/passkeys/${passkey}?person=paul`,
    status: 200,
    who: ['paul', 'olga'],
    absent: () => '/v1/passkeys/none?person=paul',
  },
  {
    id: 'beginBreakGlass',
    method: 'POST',
    path: () => '/v1/break-glass',
    body: () => ({ reason: 'test' }),
    status: 201,
    who: ['paul'],
  },
  { id: 'listBreakGlass', method: 'GET', path: () => '/v1/break-glass', status: 200, who: EVERYBODY },
  {
    id: 'endBreakGlass',
    method: 'DELETE',
    path: ({ glass }) => `/v1/break-glass/${glass}`,
    status: 200,
    who: ['paul', 'olga'],
    absent: () => `/v1/break-glass/glass_${NOBODY}`,
  },
  {
    id: 'authorizeDevice',
    method: 'POST',
    path: () => '/oauth/device_authorization',
    status: 400,
    who: 'anyone',
  },
];

/** A principal that nothing else needs is suspended, or one that is gone already. */
function statusCases(word: string, folder: string, name: string, who: readonly string[]): RouteCase[] {
  const body = () => ({ reason: 'test' });
  return (['suspend', 'resume', 'retire'] as const).map((verb) => ({
    id: `${verb}${word}`,
    method: 'POST',
    path: () => `/v1/${folder}/${verb === 'retire' ? `${name}-2` : name}/${verb}`,
    body,
    status: 200,
    who,
    absent: () => `/v1/${folder}/nobody-of-this-name/${verb}`,
  }));
}

/** A call, a run, an open approval, a halt and an alert of tenant `default`; new ones at every call. */
export async function exhibit(broker: HttpBroker): Promise<Exhibits> {
  const opened = await broker.ask('POST', '/v1/runs', {
    as: 'desk-orchestrator',
    body: { agent: 'desk-agent', trigger: 'desk:ticket/1' },
  });
  const run = opened.json.run_id as string;
  const held = await broker.ask('POST', '/v1/calls', {
    token: broker.token('desk-agent', { run_id: run }),
    body: { tool: 'refund', args: { id: `${Math.random()}` } },
  });
  const approval = held.json.approval.approval_id as string;
  const shown = await broker.ask('GET', `/v1/approvals/${approval}`, { as: 'paul' });
  const halt = await broker.ask('POST', '/v1/halts', {
    as: 'olga',
    body: { scope: 'agent', target: 'idle-agent', reason: 'test' },
  });
  const call_id = held.json.call_id as string;
  const alert = await broker.world.store.write(async (tx) => {
    await raiseAlert(tx, { call_id, kind: 'needs_person', status: 'held', at_ms: Date.now() });
    return (await listAlerts(tx, { tenant: 'default', limit: 1 }))[0]!.id;
  });
  const secret = `exhibit-${randomBytes(4).toString('hex')}`;
  await broker.ask('POST', `/v1/secrets/${secret}`, { as: 'olga', body: { value: 'a value' } });
  return {
    ...(await exhibitPaul(broker)),
    alert,
    secret,
    entry: await lastHalt(broker),
    doubtful: await leaveInDoubt(broker, run),
    ...{ run, approval, call: held.json.call_id as string, halt: halt.json.halt_id as string },
    ...{ deed_digest: shown.json.deed_digest as string, log: 'tenant/default' },
  };
}

/** A session, a passkey and an emergency of paul's. */
async function exhibitPaul({ world }: HttpBroker) {
  const paul = world.bundle().people.get('paul')!;
  const now = Date.now();
  const passkey = randomBytes(16).toString('base64url');
  const glass = newId('glass', now, randomBytes);
  const { session } = await world.store.write(async (tx) => {
    await insertPasskey(tx, {
      ...{ credential_id: passkey, tenant: paul.tenant, person: paul.name, label: 'test', public_key: '' },
      ...{ counter: 0, transports: '[]', created_at_ms: now, last_used_at_ms: null },
    });
    await insertGlass(tx, {
      ...{ id: glass, tenant: paul.tenant, person: paul.name, role: 'admin', reason: 'test' },
      ...{ begun_at_ms: now, ends_at_ms: now + 60_000 },
    });
    return openSession(tx, world, 'cli', paul, { via: 'passkey' });
  });
  return { session: session.id, passkey, glass };
}

async function leaveInDoubt(broker: HttpBroker, run: string): Promise<string> {
  const now = Date.now();
  const id = newId('call', now, randomBytes);
  await broker.world.store.write((tx) =>
    insertCall(tx, {
      ...{ id, run, tenant: 'default', agent: 'desk-agent', door: 'http', status: 'in_doubt' },
      ...{ tool: 'refund', tool_version: '1.0.0', tool_digest: 'sha256:refund', effect: 'write' },
      ...{ revision: 'sha256:test', request_digest: '', created_at_ms: now, updated_at_ms: now },
    }),
  );
  return id;
}

/** The newest entry of a halt. */
async function lastHalt(broker: HttpBroker): Promise<number> {
  let last = -1;
  for (let from = 0; ; from += 1000) {
    const page = await broker.ask('GET', `/v1/ledger/entries?from=${from}&limit=1000`, { as: 'olga' });
    const entries = page.json.entries as readonly { readonly seq: number; readonly entry: string }[];
    for (const { seq, entry } of entries) if (JSON.parse(entry).kind === 'halt.set') last = seq;
    if (entries.length < 1000) return last;
  }
}
