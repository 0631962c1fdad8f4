// The tools of an agent as the wire shows them: written once for each bundle and agent, then only looked up.
import { isJsonObject, type JsonObject } from '@countersign/contract/json.ts';
import type { Effect, ToolView } from '@countersign/contract/wire.ts';
import type { PassedRead } from '#admin/passed.ts';
import type { Bundle } from '#bundle/bundle.ts';
import type { World } from '#call/world.ts';
import type { Agent } from '#rules/principal.ts';
import type { Deeds } from './deeds.ts';
import { type ParamHeader, paramHeadersOf } from './param-headers.ts';
import { SEARCH_TOOLS, SEARCH_TOOLS_LISTED, USE_TOOL, USE_TOOL_LISTED } from './search-tools.ts';
import { CALL_STATUS, CALL_STATUS_LISTED } from './status-tool.ts';
import type { Announced } from './tool-result.ts';

export interface Entry extends Announced {
  /** JSON text of the tool for `tools/list`. */
  readonly listed: string;
  readonly paramHeaders: readonly ParamHeader[];
}

/** What an agent is shown: its tools, or as many as a model can choose among and a way to find the others. */
export interface Shown {
  /** JSON texts of tools, in the order of their names, the built-in ones last. */
  readonly listed: readonly string[];
  readonly searchable: boolean;
}

/** Models choose badly among more; people do not read more either. */
const MOST_SHOWN = 30;

export class Catalogue {
  readonly #world: World;
  readonly #deeds: Deeds;
  readonly #mostShown: number;
  readonly #entries = new PerAgent(() => new Map<string, Entry>());
  readonly #passed = new PerAgent((agent) => this.#deeds.passedReads(this.#world, agent));
  readonly #tools = new PerAgent((agent) => this.#toolsOf(agent));
  readonly #shown = new PerAgent((agent) => this.#show(agent));

  constructor(world: World, deeds: Deeds, mostShown = MOST_SHOWN) {
    this.#world = world;
    this.#deeds = deeds;
    this.#mostShown = mostShown;
  }

  show(agent: Agent): Shown {
    return this.#shown.get(this.#world.bundle(), agent);
  }

  /** All tools of the agent, in the order of their names, also those that are not shown. */
  tools(agent: Agent): readonly ToolView[] {
    return this.#tools.get(this.#world.bundle(), agent);
  }

  /** Undefined for a tool that the agent does not have. */
  find(agent: Agent, name: string): Entry | undefined {
    const known = this.#entries.get(this.#world.bundle(), agent).get(name);
    if (known !== undefined) return known;
    const view = this.#deeds.findTool(this.#world, agent, name);
    return view === undefined ? undefined : this.entryOf(agent, view);
  }

  entryOf(agent: Agent, view: ToolView): Entry {
    const entries = this.#entries.get(this.#world.bundle(), agent);
    let entry = entries.get(view.name);
    if (entry === undefined) {
      entry = writeEntry(view, this.#deeds.limitsOf(this.#world, agent, view.name));
      entries.set(view.name, entry);
    }
    return entry;
  }

  /** Resources, prompts and completions that the agent may read; on the wire they have methods of their own. */
  passed(agent: Agent): readonly PassedRead[] {
    return this.#passed.get(this.#world.bundle(), agent);
  }

  #toolsOf(agent: Agent): readonly ToolView[] {
    const passed = new Set(this.passed(agent).map((read) => read.tool));
    return this.#deeds
      .listTools(this.#world, agent)
      .filter(({ name }) => !BUILT_IN.includes(name) && !passed.has(name));
  }

  #show(agent: Agent): Shown {
    const tools = this.tools(agent);
    const searchable = tools.length + 1 > this.#mostShown;
    const own = searchable ? this.#choose(tools, this.#mostShown - BUILT_IN.length) : tools;
    const builtIn = searchable
      ? [SEARCH_TOOLS_LISTED, USE_TOOL_LISTED, CALL_STATUS_LISTED]
      : [CALL_STATUS_LISTED];
    return { listed: [...own.map((view) => this.entryOf(agent, view).listed), ...builtIn], searchable };
  }

  /** Some of each system, in turn: an agent that works with several sees something of all. */
  #choose(tools: readonly ToolView[], most: number): readonly ToolView[] {
    const { tools: compiled } = this.#world.bundle();
    const bySystem = Map.groupBy(tools, (view) => compiled.get(view.name)?.connector ?? '');
    const turns = [...bySystem.values()].flatMap((own) => own.map((view, turn) => ({ view, turn })));
    const chosen = turns.sort((a, b) => a.turn - b.turn).slice(0, Math.max(0, most));
    const names = new Set(chosen.map(({ view }) => view.name));
    return tools.filter((view) => names.has(view.name));
  }
}

const BUILT_IN: readonly string[] = [SEARCH_TOOLS, USE_TOOL, CALL_STATUS];

/**
 * What is made once for each bundle and agent. It hangs on the bundle, so that a swapped bundle starts anew and an
 * old one is collected. Names that callers choose are never remembered.
 */
class PerAgent<T> {
  readonly #make: (agent: Agent) => T;
  readonly #byBundle = new WeakMap<Bundle, Map<string, T>>();

  constructor(make: (agent: Agent) => T) {
    this.#make = make;
  }

  get(bundle: Bundle, agent: Agent): T {
    // What one token carries less is another's affair: there may be any number of such tokens.
    if (agent.narrowed !== undefined) return this.#make(agent);
    let byAgent = this.#byBundle.get(bundle);
    if (byAgent === undefined) {
      byAgent = new Map();
      this.#byBundle.set(bundle, byAgent);
    }
    let made = byAgent.get(agent.name);
    if (made === undefined) {
      made = this.#make(agent);
      byAgent.set(agent.name, made);
    }
    return made;
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
