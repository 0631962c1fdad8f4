// Rotates the keys that sign tokens: on disk first, then in the ledger, then in force.
import type { TokenKeeper } from '#identity/create-identity.ts';
import { type Person, underGlass } from '#rules/principal.ts';
import { appendEntry } from '#store/ledger.ts';
import { INSTALLATION_LOG } from './logs.ts';
import type { World } from './world.ts';

/** Clocks of verifiers may be so far off. */
const SKEW_MS = 60_000;

export interface RotationAsked {
  /** The keys before stop verifying at once: somebody else may have one. */
  readonly drop: boolean;
  /** Who asked for it and why; null: its age. */
  readonly by: { readonly person: Person; readonly reason: string } | null;
}

/** Ids of the key that signs from now on, and of those that verify no longer. */
export interface Rotated {
  readonly kid: string;
  readonly retired: readonly string[];
}

/** Nothing changes where it cannot be recorded. */
export async function rotateKeys(
  world: World,
  keeper: TokenKeeper,
  { drop, by }: RotationAsked,
): Promise<Rotated> {
  const now_ms = world.clock.now();
  const rotation = keeper.keys.prepare(now_ms, drop);
  const { kid, retired } = rotation;
  try {
    await world.store.write((tx) =>
      appendEntry(tx, {
        log: INSTALLATION_LOG,
        at_ms: now_ms,
        kind: 'keys.rotated',
        facts: {
          ...{ kid, retired, because: by === null ? 'age' : drop ? 'exposed' : 'asked' },
          ...(by === null ? {} : underGlass(by.person)),
        },
        payload: by === null ? null : { by: by.person.name, reason: by.reason },
      }),
    );
  } catch (error) {
    rotation.abandon();
    throw error;
  }
  rotation.commit();
  if (drop) keeper.forgetTokens();
  return { kid, retired };
}

/** Rotates by age, and drops the keys whose last token has expired. */
export async function tendKeys(world: World, keeper: TokenKeeper): Promise<void> {
  const { rotate_keys_ms, run_ttl_ms, access_ttl_ms } = world.bundle().settings.tokens;
  const now_ms = world.clock.now();
  if (now_ms - keeper.keys.since_ms >= rotate_keys_ms) {
    await rotateKeys(world, keeper, { drop: false, by: null });
  }
  const gone = keeper.keys.retire(now_ms, Math.max(run_ttl_ms, access_ttl_ms) + SKEW_MS);
  for (const kid of gone) world.log.info('a key of tokens was retired', { kid });
}
