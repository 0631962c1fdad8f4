// Routes by which people revoke the tokens of an agent and rotate the keys that sign tokens.
import { answer, personOf, type Route } from './route.ts';

export const tokenRoutes: readonly Route[] = [
  {
    id: 'revokeAgentTokens',
    method: 'POST',
    path: '/v1/agents/{name}/revocation',
    summary: 'Makes every token of an agent worthless that was issued until now.',
    who: ['operator', 'admin'],
    body: { schema: 'RevocationRequest' },
    answers: { 200: 'AgentRevocation' },
    problems: ['not_found'],
    async handle(asking) {
      const { deeds, world, tokens } = asking.reach;
      const { reason } = asking.body as { reason: string };
      const { name } = asking.params;
      return answer(await deeds.revokeAgentTokens(world, tokens, personOf(asking), name!, reason));
    },
  },
  {
    id: 'rotateKeys',
    method: 'POST',
    path: '/v1/keys/rotation',
    summary:
      'A new key signs tokens from now on; those before it verify until all that they signed has expired.',
    who: ['admin'],
    body: { schema: 'RotationRequest' },
    answers: { 200: 'KeyRotation' },
    async handle(asking) {
      const { deeds, world, tokens } = asking.reach;
      const { drop = false, reason } = asking.body as { drop?: boolean; reason: string };
      return answer(await deeds.rotateKeys(world, tokens, personOf(asking), { drop, reason }));
    },
  },
];
