// Agents and orchestrators as their keepers see them: who answers for each, how it stands, and what of it is stale.
import type { AgentList, AgentView, StaleFinding } from '@countersign/contract/wire-principals.ts';
import type { Bundle, Settings } from '#bundle/bundle.ts';
import { visibleTools } from '#call/visible.ts';
import type { World } from '#call/world.ts';
import type { Agent, Orchestrator, Person } from '#rules/principal.ts';
import { listStatuses, type StoredStatus } from '#store/statuses.ts';
import { firstSeen, listKeys, listToolUses, type StoredKey, tokenUses } from '#store/uses.ts';
import { thumbprintsOf } from './ages.ts';
import { hasRole, notFound, ok, type Result } from './result.ts';
import { statusView } from './statuses.ts';

/** Everything that the views of a tenant are made of. */
interface Known {
  readonly bundle: Bundle;
  readonly now_ms: number;
  readonly set: ReadonlyMap<string, StoredStatus>;
  readonly keys: readonly StoredKey[];
  readonly principalsSeen: ReadonlyMap<string, number>;
  readonly toolsSeen: ReadonlyMap<string, number>;
  readonly tokens: ReadonlyMap<string, number>;
  /** Agent → tool → when. */
  readonly tools: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

/** Of the person's tenant, by name; for operators, auditors and admins. */
export async function listAgents(world: World, person: Person): Promise<Result<AgentList>> {
  if (!hasRole(person, 'operator', 'auditor', 'admin')) return notFound();
  const known = await readKnown(world, person.tenant);
  const { bundle } = known;
  const agents = [...bundle.agents.values(), ...bundle.orchestrators.values()]
    .filter(({ tenant }) => tenant === person.tenant)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((each) => viewOf(each, known));
  return ok({ agents, unused_tools: unusedTools(known) });
}

export async function showAgent(world: World, person: Person, name: string): Promise<Result<AgentView>> {
  const { agents, orchestrators } = world.bundle();
  const each = agents.get(name) ?? orchestrators.get(name);
  if (each?.tenant !== person.tenant || !hasRole(person, 'operator', 'auditor', 'admin')) return notFound();
  return ok(viewOf(each, await readKnown(world, person.tenant)));
}

async function readKnown(world: World, tenant: string): Promise<Known> {
  const uses = world.uses.all().filter((use) => use.tenant === tenant);
  const read = await world.store.read(async (tx) => ({
    set: await listStatuses(tx),
    keys: await listKeys(tx, tenant),
    principalsSeen: await firstSeen(tx, 'principal'),
    toolsSeen: await firstSeen(tx, 'tool'),
    tokens: await tokenUses(tx, tenant),
    tools: await listToolUses(tx, tenant),
  }));
  const tools = new Map<string, Map<string, number>>();
  // What is not written down yet is newer.
  for (const { agent, tool, at_ms } of [...read.tools, ...uses]) {
    const ofAgent = tools.get(agent) ?? new Map<string, number>();
    tools.set(agent, ofAgent.set(tool, at_ms));
  }
  const set = read.set.filter((row) => row.tenant === tenant).map((row) => [row.principal, row] as const);
  return { ...read, bundle: world.bundle(), now_ms: world.clock.now(), set: new Map(set), tools };
}

function viewOf(each: Agent | Orchestrator, known: Known): AgentView {
  const { name, kind, owner, purpose } = each;
  const { bundle } = known;
  const uses = known.tools.get(name) ?? NO_USES;
  const names = kind === 'agent' ? [...visibleTools(bundle, each).keys()] : [];
  const view = {
    ...{ name, kind, owner, purpose },
    owner_status: bundle.people.get(owner)?.status ?? ('missing' as const),
    ...(kind === 'agent' ? { mode: each.mode } : {}),
    roles: kind === 'agent' ? each.roles : [],
    ...statusView(each.status, known.set.get(name) ?? null),
    last_used_at_ms: latest([known.tokens.get(name), ...uses.values()]),
    keys: keysOf(each, known),
    identities: each.identities as AgentView['identities'],
    tools: names.map((tool) => ({ name: tool, last_used_at_ms: uses.get(tool) ?? null })),
  };
  return { ...view, stale: each.status === 'retired' ? [] : staleOf(view, known) };
}

const NO_USES: ReadonlyMap<string, number> = new Map();

function keysOf(each: Agent | Orchestrator, { keys, now_ms }: Known): AgentView['keys'] {
  return thumbprintsOf(each).map((thumbprint) => {
    const row = keys.find((key) => key.principal === each.name && key.thumbprint === thumbprint);
    const { first_seen_at_ms = now_ms, last_used_at_ms = null } = row ?? {};
    return { thumbprint, first_seen_at_ms, last_used_at_ms };
  });
}

function staleOf(view: Omit<AgentView, 'stale'>, known: Known): StaleFinding[] {
  const { key_max_age_ms, unused_after_ms } = known.bundle.settings.agents;
  const findings: StaleFinding[] = [];
  if (view.owner_status !== 'active') findings.push({ kind: 'owner_left', what: view.owner });
  for (const { thumbprint, first_seen_at_ms: since_ms } of view.keys)
    if (known.now_ms - since_ms > key_max_age_ms)
      findings.push({ kind: 'old_key', what: thumbprint, since_ms });
  const seen_ms = known.principalsSeen.get(view.name) ?? known.now_ms;
  const since_ms = Math.max(view.last_used_at_ms ?? 0, seen_ms);
  // One that is not used at all needs no list of tools that it does not use.
  if (known.now_ms - since_ms > unused_after_ms)
    return [...findings, { kind: 'unused', what: view.name, since_ms }];
  for (const { name, last_used_at_ms } of view.tools) {
    const tool_ms = Math.max(last_used_at_ms ?? 0, seen_ms, known.toolsSeen.get(name) ?? known.now_ms);
    if (known.now_ms - tool_ms > unused_after_ms)
      findings.push({ kind: 'unused_tool', what: name, since_ms: tool_ms });
  }
  return findings;
}

/** Tools that no agent of the tenant has called for long; a new one is given that time first. */
function unusedTools(known: Known): AgentList['unused_tools'] {
  const { unused_after_ms }: Settings['agents'] = known.bundle.settings.agents;
  return [...known.bundle.tools.keys()].sort().flatMap((name) => {
    const last_used_at_ms = latest([...known.tools.values()].map((uses) => uses.get(name)));
    const since_ms = Math.max(last_used_at_ms ?? 0, known.toolsSeen.get(name) ?? known.now_ms);
    return known.now_ms - since_ms > unused_after_ms ? [{ name, last_used_at_ms }] : [];
  });
}

function latest(times: readonly (number | undefined)[]): number | null {
  const known = times.filter((each) => each !== undefined);
  return known.length === 0 ? null : Math.max(...known);
}
