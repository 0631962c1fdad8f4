// Routes of the sealed store: admins set, list and remove secrets, and change the key that wraps them; nothing reads one.
import { answer, personOf, type Route } from './route.ts';

export const secretRoutes: readonly Route[] = [
  {
    id: 'listSecrets',
    method: 'GET',
    path: '/v1/secrets',
    summary:
      'Secrets of the sealed store by name: versions, who set them, where they are used. Never a value.',
    who: ['admin', 'auditor'],
    answers: { 200: 'SecretList' },
    async handle(asking) {
      const { deeds, world, sealed } = asking.reach;
      return answer(await deeds.listSecrets(world, sealed, personOf(asking)), (secrets) => ({ secrets }));
    },
  },
  {
    id: 'setSecret',
    method: 'POST',
    path: '/v1/secrets/{name}',
    summary: 'Sets a secret, or a new version of it; the version before is destroyed when its leases end.',
    who: ['admin'],
    body: { schema: 'SecretRequest' },
    answers: { 201: 'SecretView' },
    problems: ['invalid_arguments'],
    async handle(asking) {
      const { deeds, world, sealed } = asking.reach;
      const { value } = asking.body as { readonly value: string };
      const set = await deeds.setSecret(world, sealed, personOf(asking), asking.params.name!, value);
      return answer(set, (secret) => secret, 201);
    },
  },
  {
    id: 'removeSecret',
    method: 'DELETE',
    path: '/v1/secrets/{name}',
    summary: 'Destroys a secret with all its versions. Refused while the bundle refers to it, unless forced.',
    who: ['admin'],
    query: { force: { type: 'string', enum: ['yes'] } },
    answers: { 200: 'SecretView' },
    problems: ['not_found', 'conflict'],
    async handle(asking) {
      const { deeds, world, sealed } = asking.reach;
      const force = asking.query.force === 'yes';
      return answer(await deeds.removeSecret(world, sealed, personOf(asking), asking.params.name!, force));
    },
  },
  {
    id: 'rotateSealingKey',
    method: 'POST',
    path: '/v1/sealing-key/rotation',
    summary: 'Makes a new key-encryption key and wraps every data key with it; no secret is opened for it.',
    who: ['admin'],
    body: { schema: 'Nothing', optional: true },
    answers: { 200: 'SealingKeyRotation' },
    problems: ['conflict'],
    async handle(asking) {
      const { deeds, world, sealed } = asking.reach;
      return answer(await deeds.rotateSealingKey(world, sealed, personOf(asking)));
    },
  },
];
