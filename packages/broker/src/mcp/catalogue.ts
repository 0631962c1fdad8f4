// The tools of an agent as the wire shows them: written once for each bundle and agent, then only looked up.
import { isJsonObject, type JsonObject } from '@countersign/contract/json.ts';
import type { Effect, ToolView } from '@countersign/contract/wire.ts';
import type { Bundle } from '#bundle/bundle.ts';
import type { World } from '#call/world.ts';
import type { Agent } from '#rules/principal.ts';
import type { Deeds } from './deeds.ts';
import { type ParamHeader, paramHeadersOf } from './param-headers.ts';
import { CALL_STATUS } from './status-tool.ts';
import type { Announced } from './tool-result.ts';

export interface Entry extends Announced {
  /** JSON text of the tool for `tools/list`. */
  readonly listed: string;
  readonly paramHeaders: readonly ParamHeader[];
}

/**
 * Entries hang on the bundle that they were made from, so a swapped bundle starts anew and an old one is collected.
 * Names that do not exist are never remembered: callers choose them.
 */
export class Catalogue {
  readonly #world: World;
  readonly #deeds: Deeds;
  readonly #byBundle = new WeakMap<Bundle, Map<string, Map<string, Entry>>>();

  constructor(world: World, deeds: Deeds) {
    this.#world = world;
    this.#deeds = deeds;
  }

  /** The agent's tools, in the order of their names. */
  list(agent: Agent): Entry[] {
    const views = this.#deeds.listTools(this.#world, agent).filter((view) => view.name !== CALL_STATUS);
    return views.map((view) => this.#entryOf(agent, view));
  }

  /** Undefined for a tool that the agent does not have. */
  find(agent: Agent, name: string): Entry | undefined {
    const known = this.#entriesOf(agent).get(name);
    if (known !== undefined) return known;
    const view = this.#deeds.findTool(this.#world, agent, name);
    return view === undefined ? undefined : this.#entryOf(agent, view);
  }

  #entryOf(agent: Agent, view: ToolView): Entry {
    const entries = this.#entriesOf(agent);
    let entry = entries.get(view.name);
    if (entry === undefined) {
      entry = writeEntry(view, this.#deeds.limitsOf(this.#world, agent, view.name));
      entries.set(view.name, entry);
    }
    return entry;
  }

  #entriesOf(agent: Agent): Map<string, Entry> {
    const bundle = this.#world.bundle();
    let byAgent = this.#byBundle.get(bundle);
    if (byAgent === undefined) {
      byAgent = new Map();
      this.#byBundle.set(bundle, byAgent);
    }
    let entries = byAgent.get(agent.name);
    if (entries === undefined) {
      entries = new Map();
      byAgent.set(agent.name, entries);
    }
    return entries;
  }
}

function writeEntry(view: ToolView, limits: string): Entry {
  const wrapped = view.output_schema !== undefined && view.output_schema.type !== 'object';
  const listed = {
    name: view.name,
    description: [view.description, limits, deprecation(view)].filter((part) => part !== '').join(' '),
    inputSchema: view.input_schema,
    ...(view.output_schema === undefined
      ? {}
      : { outputSchema: wrapped ? wrap(view.output_schema) : view.output_schema }),
    annotations: annotationsOf(view.effect),
  };
  return {
    listed: JSON.stringify(listed),
    schema: view.output_schema !== undefined,
    wrapped,
    paramHeaders: paramHeadersOf(view.input_schema),
  };
}

/** Older clients want an object at the root; a schema with references keeps its own base for them. */
function wrap(schema: JsonObject): JsonObject {
  const own =
    hasReference(schema) && schema.$id === undefined ? { $id: 'urn:countersign:output', ...schema } : schema;
  return { type: 'object', additionalProperties: false, required: ['result'], properties: { result: own } };
}

function hasReference(schema: unknown): boolean {
  if (Array.isArray(schema)) return schema.some(hasReference);
  return isJsonObject(schema) && (Object.hasOwn(schema, '$ref') || Object.values(schema).some(hasReference));
}

function annotationsOf(effect: Effect): JsonObject {
  if (effect === 'read') return { readOnlyHint: true, openWorldHint: true };
  return {
    readOnlyHint: false,
    destructiveHint: effect === 'irreversible',
    idempotentHint: false,
    openWorldHint: true,
  };
}

function deprecation({ deprecated }: ToolView): string {
  if (deprecated === undefined) return '';
  const instead = deprecated.replaced_by === undefined ? '' : ` Use ${deprecated.replaced_by} instead.`;
  const until = deprecated.sunset === undefined ? '' : ` until ${deprecated.sunset}`;
  return `Deprecated: works${until || ' for now'}.${instead}`;
}
