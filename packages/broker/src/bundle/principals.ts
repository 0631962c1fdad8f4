// Compiles agents, orchestrators and people: names unique across all of them, owners and tenants that exist.
import type { JsonObject } from '@countersign/contract/json.ts';
import { isJsonObject } from '@countersign/contract/json.ts';
import type { PrincipalStatus } from '@countersign/contract/wire-principals.ts';
import type { Agent, Orchestrator, Person, Principal } from '#rules/principal.ts';
import type { Settings } from './bundle.ts';
import { checkOf } from './check-shape.ts';
import { checkApart, identitiesOf, type PlacedIdentity } from './identities.ts';
import { hintFor, type Mistakes } from './mistake.ts';
import type { Source } from './parse-yaml.ts';
import type { FileTexts } from './read-files.ts';
import type { Declared } from './settings.ts';

export interface PrincipalFile {
  readonly kind: Principal['kind'];
  readonly source: Source;
  /** Of the shape that the schema of its kind says. */
  readonly value: JsonObject;
}

export interface Principals {
  readonly agents: ReadonlyMap<string, Agent>;
  readonly orchestrators: ReadonlyMap<string, Orchestrator>;
  readonly people: ReadonlyMap<string, Person>;
  readonly principals: ReadonlyMap<string, Principal>;
  readonly groups: ReadonlyMap<string, ReadonlySet<string>>;
  /** Groups that may have approvers whom only the identity provider knows. */
  readonly openGroups: ReadonlySet<string>;
}

export interface PrincipalWorld {
  readonly settings: Settings;
  /** Null: nobody knows what is declared, so nobody is blamed for what is not. */
  readonly declared: Declared | null;
  /** The files of the bundle, for keys that are given by reference. */
  readonly texts: FileTexts;
  /** Names in all files of a kind, also of files with mistakes of their own. */
  readonly named: (kind: 'agent' | 'person') => ReadonlySet<string>;
}

export function compilePrincipals(
  files: readonly PrincipalFile[],
  world: PrincipalWorld,
  mistakes: Mistakes,
): Principals {
  const agents = new Map<string, Agent>();
  const orchestrators = new Map<string, Orchestrator>();
  const people = new Map<string, Person>();
  const principals = new Map<string, Principal>();
  const where = new Map<string, string>();
  const keyOwners = new Map<string, string>();
  const identities: PlacedIdentity[] = [];
  for (const file of files) {
    const name = file.value.name as string;
    const first = where.get(name);
    if (first !== undefined) {
      const { source } = file;
      mistakes.error(
        source.file,
        source.at('/name'),
        `the name "${name}" is taken by ${first}`,
        'names are unique across agents, orchestrators and people',
      );
      continue;
    }
    where.set(name, file.source.file);
    const principal = principalOf(file, world, identities, mistakes);
    for (const [index, key] of principal.keys.entries()) sharedKey(key, index, file, keyOwners, mistakes);
    principals.set(name, principal);
    if (principal.kind === 'agent') agents.set(name, principal);
    else if (principal.kind === 'orchestrator') orchestrators.set(name, principal);
    else people.set(name, principal);
  }
  checkApart(identities, mistakes);
  for (const file of files) {
    checkReferences(file, world, mistakes);
    checkOwner(file, people, mistakes);
  }
  return {
    agents,
    orchestrators,
    people,
    principals,
    groups: groupsOf(people, world.settings),
    openGroups: openGroupsOf(world.settings),
  };
}

function principalOf(
  file: PrincipalFile,
  { settings, declared, texts }: PrincipalWorld,
  placed: PlacedIdentity[],
  mistakes: Mistakes,
): Principal {
  const { kind, source, value } = file;
  const name = value.name as string;
  const tenant = (value.tenant as string | undefined) ?? settings.tenants[0] ?? 'default';
  if (declared !== null && !declared.tenants.includes(tenant)) {
    mistakes.error(
      source.file,
      source.at('/tenant'),
      `no tenant "${tenant}"`,
      hintFor(tenant, declared.tenants),
    );
  }
  const identities = identitiesOf(file, tenant, declared === null ? null : settings.issuers, mistakes);
  placed.push(...identities);
  const base = {
    name,
    tenant,
    status: (value.status as PrincipalStatus | undefined) ?? 'active',
    ...(value.reinstates === undefined ? {} : { reinstates: value.reinstates as string }),
    keys: keysOf(file, texts, mistakes),
    identities: identities.map(({ identity }) => identity),
  };
  if (kind === 'person') {
    return {
      kind,
      ...base,
      display_name: (value.display_name as string | undefined) ?? name,
      roles: value.roles as unknown as Person['roles'],
      groups: (value.groups as readonly string[] | undefined) ?? [],
    };
  }
  const owned = { ...base, owner: value.owner as string, purpose: value.purpose as string };
  if (kind === 'orchestrator') {
    return {
      kind,
      ...owned,
      agents: value.agents as readonly string[],
      context: (value.context as readonly string[] | undefined) ?? [],
    };
  }
  const dpop = value.dpop as Agent['dpop'];
  return {
    kind,
    ...owned,
    roles: value.roles as readonly string[],
    mode: value.mode as Agent['mode'],
    ...(dpop === undefined ? {} : { dpop }),
  };
}

// A private key in a reviewed file is a leaked key; a key outside of the bundle could change without a review.
function keysOf({ source, value }: PrincipalFile, texts: FileTexts, mistakes: Mistakes): JsonObject[] {
  const keys: JsonObject[] = [];
  ((value.keys ?? []) as readonly (string | JsonObject)[]).forEach((given, index) => {
    const pointer = `/keys/${index}`;
    const wrong = (message: string, hint?: string): void =>
      mistakes.error(source.file, source.at(pointer), message, hint);
    let key: unknown = given;
    if (typeof given === 'string') {
      const path = given.slice('file:'.length);
      const text = texts.get(path);
      if (text === undefined) {
        wrong(
          `no file ${path} in the bundle`,
          hintFor(
            path,
            [...texts.keys()].filter((it) => it.startsWith('keys/')),
          ),
        );
        return;
      }
      try {
        key = JSON.parse(text);
      } catch {
        wrong(`${path} is not JSON`);
        return;
      }
    }
    if (isJsonObject(key) && ('d' in key || key.kty === 'oct')) {
      wrong(
        'a private or secret key is in the bundle',
        'replace it: it must be taken as known to others; keep only its public half here',
      );
      return;
    }
    const issues = checkOf('jwk')(key);
    for (const issue of issues)
      wrong(`not a public key: ${issue.pointer} ${issue.message}`.replace('  ', ' '));
    if (issues.length === 0) keys.push(key as JsonObject);
  });
  return keys;
}

// Two principals with one key are one identity with two names: an approver could sign as the agent.
function sharedKey(
  key: JsonObject,
  index: number,
  file: PrincipalFile,
  owners: Map<string, string>,
  mistakes: Mistakes,
): void {
  const name = file.value.name as string;
  const id = `${String(key.crv)}:${String(key.x)}`;
  const owner = owners.get(id);
  if (owner !== undefined && owner !== name) {
    const { source } = file;
    mistakes.error(
      source.file,
      source.at(`/keys/${index}`),
      `the key is that of "${owner}" too`,
      'give each principal a key of its own',
    );
  }
  owners.set(id, name);
}

function checkReferences(
  { kind, source, value }: PrincipalFile,
  { declared, named }: PrincipalWorld,
  mistakes: Mistakes,
): void {
  const missing = (pointer: string, what: string, name: string, names: Iterable<string>): void =>
    mistakes.error(source.file, source.at(pointer), `no ${what} "${name}"`, hintFor(name, names));
  if (kind !== 'person') {
    const owner = value.owner as string;
    if (!named('person').has(owner)) missing('/owner', 'person', owner, named('person'));
  }
  if (kind !== 'orchestrator') return;
  (value.agents as readonly string[]).forEach((name, index) => {
    if (!named('agent').has(name)) missing(`/agents/${index}`, 'agent', name, named('agent'));
  });
  ((value.context ?? []) as readonly string[]).forEach((key, index) => {
    if (declared !== null && !declared.context.includes(key))
      missing(`/context/${index}`, 'declared context key', key, declared.context);
  });
}

// A warning and no mistake: somebody who left must not keep the next bundle from being put in force.
function checkOwner(
  { kind, source, value }: PrincipalFile,
  people: ReadonlyMap<string, Person>,
  mistakes: Mistakes,
): void {
  if (kind === 'person' || (value.status ?? 'active') !== 'active') return;
  const owner = people.get(value.owner as string);
  if (owner === undefined || owner.status === 'active') return;
  mistakes.warn(
    source.file,
    source.at('/owner'),
    `its owner "${owner.name}" is ${owner.status}: nobody answers for "${String(value.name)}"`,
    'countersign agents set-owner',
  );
}

function openGroupsOf({ people: { login } }: Settings): Set<string> {
  const rules = (login?.roles ?? []).filter(({ roles }) => roles.includes('approver'));
  return new Set(rules.flatMap(({ groups }) => groups));
}

function groupsOf(
  people: ReadonlyMap<string, Person>,
  { people: { login } }: Settings,
): Map<string, Set<string>> {
  const groups = new Map<string, Set<string>>();
  // A group may have members whom only the provider knows.
  for (const { groups: named } of login?.roles ?? []) for (const group of named) groups.set(group, new Set());
  for (const person of people.values()) {
    for (const group of person.groups) {
      const members = groups.get(group) ?? new Set();
      members.add(person.name);
      groups.set(group, members);
    }
  }
  return groups;
}
