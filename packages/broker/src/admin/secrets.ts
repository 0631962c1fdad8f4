// The sealed store as admins see it: set, list, remove, change the wrapping key; each recorded, none with a value.
import type { Json } from '@countersign/contract/json.ts';
import type { SealingKeyRotation, SecretView } from '@countersign/contract/wire-operations.ts';
import type { Bundle } from '#bundle/bundle.ts';
import { SECRET_NAME } from '#bundle/connector-credential.ts';
import { INSTALLATION_LOG } from '#call/logs.ts';
import type { World } from '#call/world.ts';
import type { SealedStore } from '#credentials/sealed/sealed-store.ts';
import { SecretText } from '#credentials/sealed/secret-text.ts';
import type { EntryKind } from '#rules/ledger-entry.ts';
import { type Person, underGlass } from '#rules/principal.ts';
import { SHORTEST_SECRET } from '#rules/redact-secrets.ts';
import { appendEntry } from '#store/ledger.ts';
import type { ListedSecret } from '#store/secrets.ts';
import type { WriteTx } from '#store/tx.ts';
import { fail, hasRole, notFound, ok, type Result } from './result.ts';

/** Secrets by name, with where the bundle in force refers to each. */
export async function listSecrets(
  world: World,
  sealed: SealedStore,
  person: Person,
): Promise<Result<SecretView[]>> {
  const refused = refuse(sealed, person, 'admin', 'auditor');
  if (refused !== null) return refused;
  const listed = await sealed.list();
  return ok(listed.map((secret) => viewOf(secret, world.bundle())));
}

/** A new version in force, recorded in the same transaction. */
export async function setSecret(
  world: World,
  sealed: SealedStore,
  person: Person,
  name: string,
  value: string,
): Promise<Result<SecretView>> {
  const refused = refuse(sealed, person, 'admin');
  if (refused !== null) return refused;
  if (!SECRET_NAME.test(name))
    return fail('invalid_arguments', `A secret's name is of the form ${SECRET_NAME.source}.`);
  if (value.length < SHORTEST_SECRET)
    return fail(
      'invalid_arguments',
      `Expected at least ${SHORTEST_SECRET} characters: a shorter secret could not be kept out of what upstreams say.`,
    );
  const version = await sealed.set(name, new SecretText(value), person.name, (tx, set) =>
    record(world, tx, 'secret.set', { secret: name, version: set.version }, person),
  );
  const listed = (await sealed.list()).find((each) => each.name === name && each.version === version);
  // Somebody has set or removed it in this moment.
  if (listed === undefined) return fail('conflict', 'The secret was changed at the same time; list them.');
  return ok(viewOf(listed, world.bundle()));
}

/** Every version is destroyed at once, leases or not: what still holds a value keeps it until its call ends. */
export async function removeSecret(
  world: World,
  sealed: SealedStore,
  person: Person,
  name: string,
  force: boolean,
): Promise<Result<SecretView>> {
  const refused = refuse(sealed, person, 'admin');
  if (refused !== null) return refused;
  const uses = usesOf(world.bundle(), name);
  if (uses.length > 0 && !force)
    return fail('conflict', `It is used by ${uses.join(', ')}. Change the bundle first, or force it.`);
  const removed = await sealed.remove(name, (tx, { version }) =>
    record(world, tx, 'secret.removed', { secret: name, version }, person),
  );
  return removed === null ? notFound() : ok(viewOf(removed, world.bundle()));
}

/** A new key-encryption key where the broker may make one; else what its owner changed is taken up. */
export async function rotateSealingKey(
  world: World,
  sealed: SealedStore,
  person: Person,
): Promise<Result<SealingKeyRotation>> {
  const refused = refuse(sealed, person, 'admin');
  if (refused !== null) return refused;
  const { key_id, rewrapped, failed } = await sealed.rotate();
  await world.store.write((tx) =>
    record(world, tx, 'sealing_key.rotated', { key: key_id, rewrapped, failed: failed.length }, person),
  );
  return ok({ where: sealed.where, key_id, rewrapped, failed });
}

/** Where a bundle refers to a secret of the sealed store. */
function usesOf(bundle: Bundle, name: string): string[] {
  const reference = `sealed:${name}`;
  const connectors = [...bundle.connectors.values()]
    .filter(({ credential }) => credential != null && mentions(credential.options, reference))
    .map((connector) => `connector ${connector.name}`);
  const webhooks = bundle.settings.alerts.webhooks
    .filter(({ secret }) => secret === reference)
    .map(({ url }) => `webhook ${new URL(url).origin}`);
  return [...connectors, ...webhooks];
}

function mentions(value: Json, reference: string): boolean {
  if (value === null || typeof value !== 'object') return value === reference;
  return Object.values(value).some((each: Json) => mentions(each, reference));
}

/** Connectors and webhooks belong to the installation: their secrets are kept by admins of its first tenant. */
function refuse(
  sealed: SealedStore,
  person: Person,
  ...roles: ('admin' | 'auditor')[]
): Result<never> | null {
  if (!hasRole(person, ...roles)) return fail('forbidden', `This is for people who are ${roles.join(', ')}.`);
  if (person.tenant === sealed.tenant) return null;
  return fail('forbidden', 'The secrets of this installation are kept by another tenant.');
}

async function record(
  world: World,
  tx: WriteTx,
  kind: EntryKind,
  facts: Readonly<Record<string, string | number>>,
  person: Person,
): Promise<void> {
  await appendEntry(tx, {
    ...{ log: INSTALLATION_LOG, at_ms: world.clock.now(), kind },
    facts: { ...facts, ...underGlass(person) },
    payload: { by: person.name },
  });
}

function viewOf({ name, version, set_by, set_at_ms, kept }: ListedSecret, bundle: Bundle): SecretView {
  return { name, version, set_by, set_at_ms, kept, used_by: usesOf(bundle, name) };
}
