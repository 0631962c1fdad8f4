// Routes of runs, approvals, halts, quotas, alerts and undoing: what orchestrators and people do.
import type { ApprovalStatus, RunRequest, UndoRequest, VoteRequest } from '@countersign/contract/wire.ts';
import type { AlertState, HaltRequest } from '@countersign/contract/wire-operations.ts';
import { answer, orchestratorOf, personOf, principalOf, type Route, viewerOf } from './route.ts';

const EVERYBODY_WITH_A_ROLE = ['approver', 'operator', 'auditor', 'admin'] as const;
const limit = { type: 'integer', minimum: 1, maximum: 200, default: 50 } as const;

const runRoutes: readonly Route[] = [
  {
    id: 'openRun',
    method: 'POST',
    path: '/v1/runs',
    summary: 'Opens a run for an agent, with the context that the orchestrator vouches for.',
    who: ['orchestrator'],
    body: { schema: 'RunRequest' },
    answers: { 201: 'RunOpened' },
    problems: ['invalid_arguments'],
    async handle(asking) {
      const { deeds, world } = asking.reach;
      const opened = await deeds.openRun(world, orchestratorOf(asking), asking.body as RunRequest);
      return answer(opened, (run) => run, 201);
    },
  },
  {
    id: 'listRuns',
    method: 'GET',
    path: '/v1/runs',
    summary: 'Runs, newest first.',
    who: ['agent', 'orchestrator', ...EVERYBODY_WITH_A_ROLE],
    query: { limit },
    answers: { 200: 'RunList' },
    async handle(asking) {
      const { deeds, world } = asking.reach;
      const filter = { limit: Number(asking.query.limit ?? 50) };
      return answer(await deeds.listRuns(world, viewerOf(asking), filter), (runs) => ({ runs }));
    },
  },
  {
    id: 'showRun',
    method: 'GET',
    path: '/v1/runs/{id}',
    summary: 'One run.',
    who: ['agent', 'orchestrator', ...EVERYBODY_WITH_A_ROLE],
    answers: { 200: 'RunView' },
    problems: ['not_found'],
    async handle(asking) {
      const { deeds, world } = asking.reach;
      return answer(await deeds.showRun(world, viewerOf(asking), asking.params.id!));
    },
  },
  {
    id: 'endRun',
    method: 'POST',
    path: '/v1/runs/{id}/end',
    summary: 'Ends a run: its later calls are refused. Ending it again changes nothing.',
    who: ['orchestrator', 'operator', 'admin'],
    body: { schema: 'Nothing', optional: true },
    answers: { 200: 'RunView' },
    problems: ['not_found'],
    async handle(asking) {
      const { deeds, world } = asking.reach;
      return answer(await deeds.endRun(world, principalOf(asking), asking.params.id!));
    },
  },
  {
    id: 'undoRun',
    method: 'POST',
    path: '/v1/runs/{id}/undo',
    summary: 'Undoes the writes of a run, the last one first, or says what would undo them.',
    who: ['operator', 'admin'],
    body: { schema: 'UndoRequest', optional: true },
    answers: { 200: 'UndoPlan' },
    problems: ['not_found'],
    async handle(asking) {
      const { deeds, world } = asking.reach;
      const request = (asking.body ?? {}) as UndoRequest;
      return answer(await deeds.undoRun(world, personOf(asking), asking.params.id!, request));
    },
  },
];

const approvalRoutes: readonly Route[] = [
  {
    id: 'listApprovals',
    method: 'GET',
    path: '/v1/approvals',
    summary: 'What waits for people, or waited; newest first.',
    who: EVERYBODY_WITH_A_ROLE,
    query: {
      status: { type: 'string', enum: ['open', 'approved', 'rejected', 'expired', 'spent', 'void'] },
      limit,
    },
    answers: { 200: 'ApprovalList' },
    async handle(asking) {
      const { deeds, world } = asking.reach;
      const filter = { limit: 50, ...asking.query } as { limit: number; status?: ApprovalStatus };
      return answer(await deeds.listApprovals(world, personOf(asking), filter), (approvals) => ({
        approvals,
      }));
    },
  },
  {
    id: 'showApproval',
    method: 'GET',
    path: '/v1/approvals/{id}',
    summary: 'One approval: the exact deed, what it rests on, and the votes. An agent sees less.',
    who: ['agent', ...EVERYBODY_WITH_A_ROLE],
    answers: { 200: 'ApprovalView' },
    problems: ['not_found'],
    async handle(asking) {
      const { deeds, world } = asking.reach;
      return answer(await deeds.showApproval(world, viewerOf(asking), asking.params.id!));
    },
  },
  {
    id: 'vote',
    method: 'POST',
    path: '/v1/approvals/{id}/votes',
    summary: 'Approves or rejects the deed that was shown, for every rule that asks this person.',
    who: EVERYBODY_WITH_A_ROLE,
    body: { schema: 'VoteRequest' },
    answers: { 200: 'ApprovalView' },
    problems: ['not_found', 'conflict'],
    async handle(asking) {
      const { deeds, world } = asking.reach;
      const request = asking.body as VoteRequest;
      return answer(await deeds.vote(world, personOf(asking), asking.params.id!, request));
    },
  },
];

const haltRoutes: readonly Route[] = [
  {
    id: 'listHalts',
    method: 'GET',
    path: '/v1/halts',
    summary: 'Halts in force.',
    who: ['operator', 'admin'],
    answers: { 200: 'HaltList' },
    async handle(asking) {
      const { deeds, world } = asking.reach;
      return answer(await deeds.listHalts(world, personOf(asking)), (halts) => ({ halts }));
    },
  },
  {
    id: 'setHalt',
    method: 'POST',
    path: '/v1/halts',
    summary: 'Stops an agent, a tool, a connector, a run, the tenant or everything, from now on.',
    who: ['operator', 'admin'],
    body: { schema: 'HaltRequest' },
    answers: { 201: 'HaltView' },
    problems: ['invalid_arguments'],
    async handle(asking) {
      const { deeds, world } = asking.reach;
      return answer(
        await deeds.setHalt(world, personOf(asking), asking.body as HaltRequest),
        (halt) => halt,
        201,
      );
    },
  },
  {
    id: 'liftHalt',
    method: 'DELETE',
    path: '/v1/halts/{id}',
    summary: 'Ends a halt.',
    who: ['operator', 'admin'],
    answers: { 200: 'HaltView' },
    problems: ['not_found'],
    async handle(asking) {
      const { deeds, world } = asking.reach;
      return answer(await deeds.liftHalt(world, personOf(asking), asking.params.id!));
    },
  },
];

const quotaRoute: Route = {
  id: 'listQuotas',
  method: 'GET',
  path: '/v1/quotas',
  summary: 'How far quotas are used up: present windows, and earlier ones with something reserved.',
  who: ['operator', 'admin'],
  query: { limit: { type: 'integer', minimum: 1, maximum: 1_000, default: 200 } },
  answers: { 200: 'QuotaList' },
  async handle(asking) {
    const { deeds, world } = asking.reach;
    const filter = { limit: Number(asking.query.limit ?? 200) };
    return answer(await deeds.listQuotas(world, personOf(asking), filter), (quotas) => ({ quotas }));
  },
};

const alertRoutes: readonly Route[] = [
  {
    id: 'listAlerts',
    method: 'GET',
    path: '/v1/alerts',
    summary: 'Severe outcomes that people are told of, and how far telling them has come; newest first.',
    who: ['operator', 'auditor', 'admin'],
    query: {
      state: { type: 'string', enum: ['pending', 'delivered', 'failed', 'logged'] },
      acknowledged: { type: 'string', enum: ['yes', 'no'] },
      before: { type: 'string', maxLength: 64 },
      limit,
    },
    answers: { 200: 'AlertList' },
    async handle(asking) {
      const { deeds, world } = asking.reach;
      const { acknowledged, ...rest } = asking.query;
      const filter = {
        ...({ limit: 50, ...rest } as { limit: number; state?: AlertState; before?: string }),
        ...(acknowledged === undefined ? {} : { acknowledged: acknowledged === 'yes' }),
      };
      return answer(await deeds.listAlerts(world, personOf(asking), filter), (alerts) => ({ alerts }));
    },
  },
  {
    id: 'ackAlert',
    method: 'POST',
    path: '/v1/alerts/{id}/ack',
    summary: 'Records that this person has seen an alert. Doing it again changes nothing.',
    who: ['operator', 'admin'],
    body: { schema: 'Nothing', optional: true },
    answers: { 200: 'AlertView' },
    problems: ['not_found'],
    async handle(asking) {
      const { deeds, world } = asking.reach;
      return answer(await deeds.ackAlert(world, personOf(asking), asking.params.id!));
    },
  },
];

const connectorRoutes: readonly Route[] = [
  {
    id: 'listConnectors',
    method: 'GET',
    path: '/v1/connectors',
    summary: 'Connectors, sorted by name: what runs and waits at this broker, and which breakers are open.',
    who: ['operator', 'admin'],
    answers: { 200: 'ConnectorList' },
    async handle(asking) {
      const { deeds, world } = asking.reach;
      return answer(await deeds.listConnectors(world, personOf(asking)), (connectors) => ({ connectors }));
    },
  },
];

export const controlRoutes: readonly Route[] = [
  ...runRoutes,
  ...approvalRoutes,
  ...haltRoutes,
  ...connectorRoutes,
  quotaRoute,
  ...alertRoutes,
];
