// Turns the facts of a call into the requests that policy judges: one for each resource, typed as the schema says.
import type { JsonObject } from '@countersign/contract/json.ts';
import { datetimeOf, entityOf } from './cedar-fact.ts';
import { entityKey } from './cedar-value.ts';
import type { DecisionRequest, EntityUid, FactEntity, FactValue } from './decision.ts';
import { UNKNOWN } from './decision.ts';
import type { Agent } from './principal.ts';
import type { Tool } from './tool.ts';

type FactRecord = { readonly [key: string]: FactValue };

/** Types of bound context that policy sees: those that a declaration in `countersign.yaml` may have. */
export type ContextType = 'string' | 'integer' | 'boolean';

/** What never changes while a bundle is in force: entities, and how each tool's values become policy values. */
export interface FactBase {
  readonly entities: ReadonlyMap<string, FactEntity>;
  /** Declared keys of bound context with their types. */
  readonly context: readonly (readonly [string, ContextType])[];
  readonly tools: ReadonlyMap<string, ToolFacts>;
}

interface ToolFacts {
  readonly action: EntityUid;
  readonly connector: EntityUid;
  readonly args: View;
  /** By prepare step; empty for a tool that reads nothing first. */
  readonly prepared: readonly (readonly [string, View])[];
}

/** Keeps what policy can see of a JSON value, or answers undefined when nothing of it is visible. */
type View = (value: unknown) => FactValue | undefined;

export interface RunFacts {
  readonly id: string;
  readonly ambient: boolean;
  readonly trigger: string | null;
}

/** Everything known about one call. UNKNOWN marks what a later stage finds out. */
export interface CallFacts {
  readonly base: FactBase;
  readonly agent: Agent;
  readonly tool: Tool;
  readonly args: JsonObject;
  readonly prepared: JsonObject | typeof UNKNOWN;
  readonly bound: JsonObject;
  readonly claimed: JsonObject;
  readonly labels: readonly string[] | typeof UNKNOWN;
  readonly run: RunFacts;
  /** Whether the call undoes another, because an operator asked for that. */
  readonly undo: boolean;
  readonly now_ms: number;
  /** Null when the manifest names no cost. */
  readonly cost: { readonly minor: number; readonly currency: string } | null | typeof UNKNOWN;
  /** `system:kind/id` each; empty: the call is judged on its connector. */
  readonly resources: readonly string[] | typeof UNKNOWN;
}

/**
 * One request for each resource that the call touches, in order; all of them must be permitted. A malformed
 * resource is a broken invariant and throws: policy must never judge a resource other than the one touched.
 */
export function factsOf(call: CallFacts): DecisionRequest[] {
  const facts = call.base.tools.get(call.tool.name);
  if (facts === undefined) throw new Error(`no facts for tool ${call.tool.name}: it is not in this bundle`);
  const context = contextOf(call, facts);
  const principal: EntityUid = { type: 'Agent', id: call.agent.name };
  const shared = call.base.entities;
  const request = (resource: EntityUid | typeof UNKNOWN, own?: FactEntity): DecisionRequest => {
    const ownKey = own === undefined ? undefined : entityKey(own.uid);
    return {
      principal,
      action: facts.action,
      resource,
      context,
      entities: (key) => (key === ownKey ? own : shared.get(key)),
    };
  };
  if (call.resources === UNKNOWN) return [request(UNKNOWN)];
  if (call.resources.length === 0) return [request(facts.connector)];
  return call.resources.map((text) => {
    const entity = resourceEntity(text, facts.connector);
    return request(entity.uid, entity);
  });
}

/** The parts of `system:kind/id`, or null when the text is not of that form. */
export function resourceParts(text: string): { system: string; kind: string; id: string } | null {
  const colon = text.indexOf(':');
  const slash = text.indexOf('/', colon + 1);
  if (colon < 1 || slash < colon + 2 || slash === text.length - 1) return null;
  return { system: text.slice(0, colon), kind: text.slice(colon + 1, slash), id: text.slice(slash + 1) };
}

/** Cedar action groups of a tool, without the `Action::` prefix. Everything irreversible is a write too. */
export function actionGroups(tool: Pick<Tool, 'effect' | 'egress' | 'connector' | 'lifecycle'>): string[] {
  const groups = [`connector:${tool.connector}`];
  if (tool.effect === 'read') groups.push('read');
  else groups.push('write');
  if (tool.effect === 'irreversible') groups.push('irreversible');
  if (tool.egress.length > 0) groups.push('egress');
  if (tool.lifecycle.status === 'imported') groups.push('imported');
  return groups;
}

/** Builds what the facts of all calls share. Once per bundle. */
export function factBase(parts: {
  readonly agents: Iterable<Agent>;
  readonly tools: Iterable<Tool>;
  readonly connectors: Iterable<string>;
  readonly context: Readonly<Record<string, JsonObject>>;
}): FactBase {
  const entities = new Map<string, FactEntity>();
  const add = (uid: EntityUid, attrs: FactRecord, ancestors: readonly EntityUid[]): void => {
    entities.set(entityKey(uid), { uid, attrs, ancestors: new Set(ancestors.map(entityKey)) });
  };
  for (const name of parts.connectors) add({ type: 'Connector', id: name }, { name }, []);
  for (const agent of parts.agents) {
    const tenant: EntityUid = { type: 'Tenant', id: agent.tenant };
    const roles = agent.roles.map((id): EntityUid => ({ type: 'Role', id }));
    const attrs: FactRecord = {
      owner: entityOf('Person', agent.owner),
      tenant: entityOf('Tenant', agent.tenant),
      mode: agent.mode,
      roles: [...agent.roles],
    };
    add({ type: 'Agent', id: agent.name }, attrs, [...roles, tenant]);
  }
  const tools = new Map<string, ToolFacts>();
  for (const tool of parts.tools) {
    const groups = actionGroups(tool).map((id): EntityUid => ({ type: 'Action', id }));
    add({ type: 'Action', id: tool.name }, {}, groups);
    tools.set(tool.name, toolFacts(tool));
  }
  const context = Object.entries(parts.context).map(
    ([key, schema]) => [key, schema.type as ContextType] as const,
  );
  return { entities, context, tools };
}

function toolFacts(tool: Tool): ToolFacts {
  return {
    action: { type: 'Action', id: tool.name },
    connector: { type: 'Connector', id: tool.connector },
    args: viewOf(tool.input) ?? (() => undefined),
    prepared: tool.prepare.map((step) => [step.id, viewOf(step.output) ?? (() => undefined)] as const),
  };
}

function contextOf(call: CallFacts, facts: ToolFacts): FactRecord {
  const context: Record<string, FactValue> = {
    args: facts.args(call.args) ?? {},
    prepared: preparedOf(call.prepared, facts),
    bound: boundOf(call.base, call.bound),
    claimed: claimedOf(call.base, call.claimed),
    effect: call.tool.effect,
    mode: call.agent.mode,
    undo: call.undo,
    labels: call.labels,
    run:
      call.run.trigger === null
        ? { id: call.run.id, ambient: call.run.ambient }
        : { id: call.run.id, ambient: call.run.ambient, trigger: call.run.trigger },
    now: datetimeOf(call.now_ms),
  };
  if (call.cost === UNKNOWN) context.cost = UNKNOWN;
  else if (call.cost !== null) context.cost = { minor: call.cost.minor, currency: call.cost.currency };
  return context;
}

function preparedOf(prepared: JsonObject | typeof UNKNOWN, facts: ToolFacts): FactValue {
  if (facts.prepared.length === 0) return {};
  if (prepared === UNKNOWN) return UNKNOWN;
  const out: Record<string, FactValue> = {};
  for (const [id, view] of facts.prepared) {
    const value = Object.hasOwn(prepared, id) ? view(prepared[id]) : undefined;
    if (value !== undefined) out[id] = value;
  }
  return out;
}

// A run outlives bundles: keys that are no longer declared, or of another type now, are not facts any more.
function boundOf(base: FactBase, bound: JsonObject): FactRecord {
  const out: Record<string, FactValue> = {};
  for (const [key, type] of base.context) {
    const value = Object.hasOwn(bound, key) ? bound[key] : undefined;
    const fits =
      type === 'string'
        ? typeof value === 'string'
        : type === 'boolean'
          ? typeof value === 'boolean'
          : Number.isSafeInteger(value);
    if (fits) out[key] = value as string | boolean | number;
  }
  return out;
}

// What the model claims is text and stays text: it can never pass for a bound value of another type.
function claimedOf(base: FactBase, claimed: JsonObject): FactRecord {
  const out: Record<string, FactValue> = {};
  const take = (key: string): void => {
    const value = Object.hasOwn(claimed, key) ? claimed[key] : undefined;
    if (typeof value === 'string') out[key] = value;
    else if (typeof value === 'number' || typeof value === 'boolean') out[key] = String(value);
  };
  for (const [key] of base.context) take(key);
  take('why');
  return out;
}

function resourceEntity(text: string, connector: EntityUid): FactEntity {
  const parts = resourceParts(text);
  if (parts === null) throw new Error(`resource "${text}" is not of the form system:kind/id`);
  return { uid: { type: 'Resource', id: text }, attrs: parts, ancestors: new Set([entityKey(connector)]) };
}

/**
 * How values of a JSON Schema become policy values, or null when policy cannot see them (number, null, unions).
 * Must agree with the generated Cedar schema: both ask `cedarKind`.
 */
function viewOf(schema: JsonObject): View | null {
  switch (cedarKind(schema)) {
    case 'string':
      return (value) => (typeof value === 'string' ? value : undefined);
    case 'integer':
      return (value) => (Number.isSafeInteger(value) ? (value as number) : undefined);
    case 'boolean':
      return (value) => (typeof value === 'boolean' ? value : undefined);
    case 'array':
      return listView(viewOf(schema.items as JsonObject));
    case 'object':
      return recordView((schema.properties ?? {}) as JsonObject);
    default:
      return null;
  }
}

function listView(item: View | null): View | null {
  if (item === null) return null;
  return (value) => {
    if (!Array.isArray(value)) return undefined;
    const out: FactValue[] = [];
    for (const element of value) {
      const seen = item(element);
      if (seen !== undefined) out.push(seen);
    }
    return out;
  };
}

function recordView(properties: JsonObject): View {
  const fields: [string, View][] = [];
  for (const [key, schema] of Object.entries(properties)) {
    const view = viewOf(schema as JsonObject);
    if (view !== null) fields.push([key, view]);
  }
  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    const out: Record<string, FactValue> = {};
    for (const [key, view] of fields) {
      if (!Object.hasOwn(value, key)) continue;
      const seen = view((value as Record<string, unknown>)[key]);
      if (seen !== undefined) out[key] = seen;
    }
    return out;
  };
}

/** The Cedar type that a JSON Schema stands for, or null when policy cannot see such a value. */
export function cedarKind(schema: JsonObject): 'string' | 'integer' | 'boolean' | 'array' | 'object' | null {
  const type = schema.type ?? typeOfLiterals(schema);
  switch (type) {
    case 'string':
    case 'integer':
    case 'boolean':
      return type;
    case 'array': {
      const items = schema.items;
      const closed = typeof items === 'object' && items !== null && !Array.isArray(items);
      return closed && cedarKind(items as JsonObject) !== null ? 'array' : null;
    }
    case 'object':
      return schema.additionalProperties === false ? 'object' : null;
    default:
      return null;
  }
}

function typeOfLiterals(schema: JsonObject): string | null {
  const values = schema.const !== undefined ? [schema.const] : Array.isArray(schema.enum) ? schema.enum : [];
  const kinds = new Set(values.map((value) => (Number.isSafeInteger(value) ? 'integer' : typeof value)));
  const [only] = kinds;
  return kinds.size === 1 && only !== undefined ? only : null;
}
