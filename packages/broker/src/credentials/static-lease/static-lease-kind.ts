// Provider `static-lease`: a fixed secret of the sealed store, lent to one call for a time and recorded with its version.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { CredentialProvider } from '#rules/credential.ts';
import { type Injection, inject, injectionMistakes } from '../injection.ts';
import type { ProviderKind, ProviderWorld } from '../provider.ts';

interface LeaseOptions extends Injection {
  /** `sealed:NAME`. */
  readonly value: string;
  readonly ttl_s?: number;
}

const SEALED = 'sealed:';
const TTL_S = 900;

export const staticLeaseKind: ProviderKind = {
  grade: () => ({
    grade: 'D',
    why: 'The lease ends, the secret does not: whoever kept it has all that it was given, until it is replaced.',
  }),
  mistakes(options) {
    const { value } = options as unknown as LeaseOptions;
    const mistakes = injectionMistakes(options as Injection);
    if (value.startsWith(SEALED)) return mistakes;
    return [...mistakes, { pointer: '/value', message: 'leases are of the sealed store: write sealed:NAME' }];
  },
  create: (connector, options, world) => createProvider(connector, options, world),
};

function createProvider(connector: string, options: JsonObject, world: ProviderWorld): CredentialProvider {
  const { value, ttl_s = TTL_S, ...injection } = options as unknown as LeaseOptions;
  const name = value.slice(SEALED.length);
  return {
    async mint({ scope, max_ttl_ms }) {
      if (world.sealed === null) return { ok: false, reason: 'there is no sealed store here' };
      const until = world.clock.now() + Math.min(max_ttl_ms ?? Number.POSITIVE_INFINITY, ttl_s * 1_000);
      let lease: Awaited<ReturnType<typeof world.sealed.lease>>;
      try {
        lease = await world.sealed.lease(name, until);
      } catch (error) {
        return { ok: false, reason: (error as Error).message };
      }
      const secret = lease.value.reveal();
      const injected = inject(secret, injection);
      if (injected === null)
        return {
          ok: false,
          reason: `secret ${name} is not plain ASCII on one line: a header cannot carry it`,
        };
      const nonce = Buffer.from(world.random(6)).toString('hex');
      return {
        ok: true,
        credential: {
          id: `static-lease:${connector}:${name}@${lease.version}:${nonce}`,
          ...{ expires_at_ms: until, scope, inject: injected, secrets: [secret] },
        },
      };
    },
  };
}
