// Destroys versions of secrets that a newer one has replaced, once the leases on them are over.
import { INSTALLATION_LOG } from '#call/logs.ts';
import type { World } from '#call/world.ts';
import type { SealedStore } from '#credentials/sealed/sealed-store.ts';
import { appendEntry } from '#store/ledger.ts';

export async function destroySecrets(world: World, sealed: SealedStore): Promise<void> {
  await sealed.destroySuperseded((tx, { name, version }) =>
    appendEntry(tx, {
      ...{ log: INSTALLATION_LOG, at_ms: world.clock.now(), kind: 'secret.destroyed' },
      ...{ facts: { secret: name, version }, payload: null },
    }),
  );
}
