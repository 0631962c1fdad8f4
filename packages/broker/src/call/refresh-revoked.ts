// Brings what identity knows of revoked tokens up to what the store says.
import type { TokenKeeper } from '#identity/create-identity.ts';
import { listRevoked } from '#store/revocations.ts';
import type { World } from './world.ts';

/** Also what another broker on the same store revoked. */
export async function refreshRevoked(world: World, keeper: TokenKeeper): Promise<void> {
  keeper.takeRevoked(await world.store.read((tx) => listRevoked(tx, world.clock.now())));
}
