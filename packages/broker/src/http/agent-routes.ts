// Routes of agents, and of how every principal stands: listed for its keepers, suspended and retired at once.
import type { StatusRequest } from '@countersign/contract/wire-principals.ts';
import type { Principal } from '#rules/principal.ts';
import { answer, type Grantee, personOf, type Route } from './route.ts';

const KEEPERS = ['operator', 'auditor', 'admin'] as const;

/** Kind → its folder in the address, its word in operation ids, and who may set how it stands. */
const KINDS: readonly {
  readonly kind: Principal['kind'];
  readonly folder: string;
  readonly word: string;
  readonly who: readonly Grantee[];
}[] = [
  { kind: 'agent', folder: 'agents', word: 'Agent', who: ['operator', 'admin'] },
  { kind: 'orchestrator', folder: 'orchestrators', word: 'Orchestrator', who: ['operator', 'admin'] },
  { kind: 'person', folder: 'people', word: 'Person', who: ['admin'] },
];

const WORDS = {
  suspend: 'Suspends at once, beside the bundle: calls end within a second, tokens are worth nothing.',
  resume: 'Takes a suspension back that was set here; what the bundle says, and a retirement, stand.',
  retire: 'Retires at once and for good: only a reviewed change of its file takes that back.',
} as const;
type Verb = keyof typeof WORDS;

const statusRoutes: readonly Route[] = KINDS.flatMap(({ kind, folder, word, who }) =>
  (Object.keys(WORDS) as Verb[]).map(
    (verb): Route => ({
      id: `${verb}${word}`,
      method: 'POST',
      path: `/v1/${folder}/{name}/${verb}`,
      summary: WORDS[verb],
      who,
      body: { schema: 'StatusRequest' },
      answers: { 200: 'StatusView' },
      problems: ['not_found', 'conflict'],
      async handle(asking) {
        const { deeds, world } = asking.reach;
        const { reason } = asking.body as StatusRequest;
        const subject = { kind, name: asking.params.name! };
        const person = personOf(asking);
        if (verb === 'resume') return answer(await deeds.resumePrincipal(world, person, subject, { reason }));
        const status = verb === 'suspend' ? 'suspended' : 'retired';
        return answer(await deeds.setStatus(world, person, subject, { status, reason }));
      },
    }),
  ),
);

export const agentRoutes: readonly Route[] = [
  {
    id: 'listAgents',
    method: 'GET',
    path: '/v1/agents',
    summary:
      'Agents and orchestrators by name: who answers for each, how it stands, and what of it is stale.',
    who: KEEPERS,
    answers: { 200: 'AgentList' },
    async handle(asking) {
      const { deeds, world } = asking.reach;
      return answer(await deeds.listAgents(world, personOf(asking)));
    },
  },
  {
    id: 'showAgent',
    method: 'GET',
    path: '/v1/agents/{name}',
    summary: 'One agent or orchestrator.',
    who: KEEPERS,
    answers: { 200: 'AgentView' },
    problems: ['not_found'],
    async handle(asking) {
      const { deeds, world } = asking.reach;
      return answer(await deeds.showAgent(world, personOf(asking), asking.params.name!));
    },
  },
  ...statusRoutes,
];
