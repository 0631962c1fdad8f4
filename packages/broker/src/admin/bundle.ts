// The bundle in force, and its activation: an explicit, recorded act.
import type { Json } from '@countersign/contract/json.ts';
import type { Issue } from '@countersign/contract/problem.ts';
import type { Bundle, Loaded, Mistake } from '#bundle/bundle.ts';
import { INSTALLATION_LOG } from '#call/logs.ts';
import type { World } from '#call/world.ts';
import type { Facts } from '#rules/ledger-entry.ts';
import type { Person } from '#rules/principal.ts';
import { insertActivation, latestActivation } from '#store/activations.ts';
import { appendEntry } from '#store/ledger.ts';
import { noteAges } from './ages.ts';
import { fail, hasRole, ok, type Result } from './result.ts';
import { reinstate } from './statuses.ts';

/** What activation needs beyond the world: reading the folder, and putting a bundle in force. */
export interface Activation {
  readonly load: () => Promise<Loaded>;
  /** Starts what the bundle needs beside what runs. `commit` puts it in force in one step. */
  readonly prepare: (bundle: Bundle) => Promise<{ commit: () => void; abandon: () => Promise<void> }>;
}

export interface BundleView {
  readonly revision: string;
  readonly activated_at_ms: number;
  readonly tools: number;
  readonly agents: number;
}

/** Loads the folder and puts it in force; a broken bundle is refused and the old one goes on serving. */
export async function activateBundle(
  world: World,
  person: Person,
  activation: Activation,
): Promise<Result<BundleView & { readonly warnings: readonly Mistake[] }>> {
  if (!hasRole(person, 'admin')) return fail('forbidden', 'Admins activate bundles.');
  const loaded = await activation.load();
  if (!loaded.ok) {
    await record(
      world,
      'bundle.refused',
      {},
      { by: person.name, mistakes: loaded.mistakes as unknown as Json },
    );
    const issues = loaded.mistakes.map(issueOf);
    return fail(
      'bundle_invalid',
      `The bundle has ${issues.length} mistake${issues.length === 1 ? '' : 's'}; the old one goes on serving.`,
      {
        issues,
      },
    );
  }
  const { bundle, warnings } = loaded;
  let prepared: Awaited<ReturnType<Activation['prepare']>>;
  try {
    prepared = await activation.prepare(bundle);
  } catch (error) {
    const why = (error as Error).message;
    await record(world, 'bundle.refused', { bundle: bundle.revision }, { by: person.name, why });
    return fail('bundle_invalid', `A connector cannot be started: ${why}. The old bundle goes on serving.`);
  }
  let activated_at_ms: number;
  try {
    activated_at_ms = await recordActivation(world, bundle, person.name);
  } catch (error) {
    await prepared.abandon();
    throw error;
  }
  prepared.commit();
  // Agents that this bundle suspends end their calls now.
  world.signals.notify('halts');
  return ok({ ...viewOf(bundle, activated_at_ms), warnings });
}

/** Writes the activation down before it takes effect. `by`: a person, or `start` for the bundle served at start. */
export async function recordActivation(world: World, bundle: Bundle, by: string): Promise<number> {
  const now = world.clock.now();
  await world.store.write(async (tx) => {
    await reinstate(tx, bundle, by, now);
    await noteAges(tx, bundle, now);
    await insertActivation(tx, { revision: bundle.revision, at_ms: now, by, files: bundle.files });
    await appendEntry(tx, {
      log: INSTALLATION_LOG,
      at_ms: now,
      kind: 'bundle.activated',
      facts: { bundle: bundle.revision, tools: bundle.tools.size, agents: bundle.agents.size },
      payload: { by },
    });
  });
  return now;
}

/** For people with a role. */
export async function showBundle(world: World, person: Person): Promise<Result<BundleView>> {
  if (!hasRole(person, 'operator', 'auditor', 'admin')) return fail('forbidden', 'Not for this role.');
  const latest = await world.store.read((tx) => latestActivation(tx));
  return ok(viewOf(world.bundle(), latest?.at_ms ?? 0));
}

function viewOf(bundle: Bundle, activated_at_ms: number): BundleView {
  return { revision: bundle.revision, activated_at_ms, tools: bundle.tools.size, agents: bundle.agents.size };
}

function issueOf(mistake: Mistake): Issue {
  const hint = mistake.hint === undefined ? '' : ` (${mistake.hint})`;
  return {
    pointer: `${mistake.file}:${mistake.line}:${mistake.column}`,
    message: `${mistake.message}${hint}`,
  };
}

async function record(world: World, kind: 'bundle.refused', facts: Facts, payload: Json) {
  await world.store.write((tx) =>
    appendEntry(tx, { log: INSTALLATION_LOG, at_ms: world.clock.now(), kind, facts, payload }),
  );
}
