// What providers reach the world through in tests: a network of loopback, and a clock that a test may hold.
import { randomBytes } from 'node:crypto';
import { createDiscoveredNetwork } from '#connectors/discovered-network.ts';
import type { ProviderWorld } from '#credentials/provider.ts';
import { createHandleSeal } from '#credentials/seal-handle.ts';
import { KEY_BYTES } from '#credentials/sealed/seal.ts';

export function providerWorld(given: Partial<ProviderWorld>): ProviderWorld {
  return {
    readSecret: async (reference) => Promise.reject(new Error(`there is no secret at ${reference}`)),
    clock: { now: () => 0 },
    random: randomBytes,
    seal: createHandleSeal(randomBytes(KEY_BYTES)),
    oauth: null,
    sealed: null,
    network: ({ allow_private, ca }) => createDiscoveredNetwork(allow_private, ca),
    ...given,
  };
}
