// Opens the checked network for one use and closes it after, however that went.
import type { CheckedNetwork, NetworkRules } from './network.ts';
import type { ProviderWorld } from './provider.ts';

export async function withNetwork<T>(
  world: Pick<ProviderWorld, 'network'>,
  rules: NetworkRules,
  use: (network: CheckedNetwork) => Promise<T>,
): Promise<T> {
  const network = world.network(rules);
  try {
    return await use(network);
  } finally {
    await network.close();
  }
}
