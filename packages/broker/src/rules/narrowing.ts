// What a token carries less than its agent may do: the hands it went through, its tools, its resources, its one call.
import type { Json } from '@countersign/contract/json.ts';

export interface Narrowing {
  /** Agents that act for the token's agent, the one that holds the token first (RFC 8693 §4.1). */
  readonly act: readonly string[];
  /** Names of tools; null: every tool of the agent. */
  readonly tools: readonly string[] | null;
  /** `system:kind/id` exactly, or the beginning of such with `*` at its end; null: whatever policy permits. */
  readonly resources: readonly string[] | null;
  /** The one call that the token is for; null: any number. */
  readonly call: OneCall | null;
}

export interface OneCall {
  /** Of the canonical arguments, `sha256:<hex>`. */
  readonly args_digest: string;
  /** Id of the token: it is used up by the call. */
  readonly token_id: string;
  readonly expires_at_ms: number;
}

/** What is asked for: null where it is not to be narrowed further. */
export interface NarrowingAsked {
  readonly tools: readonly string[] | null;
  readonly resources: readonly string[] | null;
  readonly args_digest: string | null;
}

/** Most agents one behind another that act for the first. */
export const HANDS_MAX = 3;

const PATTERN = /^[^\s:*]+:[^*\p{Cc}]*\*?$/u;

/** True for what may stand in `resources`: it names its system, and `*` stands at the end only. */
export function isResourcePattern(text: string): boolean {
  return PATTERN.test(text);
}

/** Whether a name is among the tools. It looks at the token alone, so it says nothing about what exists. */
export function carriesTool(narrowing: Narrowing | undefined, tool: string): boolean {
  return narrowing === undefined || narrowing.tools === null || narrowing.tools.includes(tool);
}

/** Whether all that a call touches is carried. A call that names nothing it touches is not, where resources are. */
export function carriesResources(narrowing: Narrowing | undefined, touched: readonly string[]): boolean {
  if (narrowing === undefined || narrowing.resources === null) return true;
  const { resources } = narrowing;
  return touched.length > 0 && touched.every((each) => resources.some((pattern) => covers(pattern, each)));
}

/**
 * The part of `whole` that is asked for; what is not asked about stays as it is. Null where anything that is asked for
 * is not in `whole`: nobody gets more than the token that theirs is made from. A token for one call is never divided.
 */
export function narrow(
  whole: Narrowing | null,
  asked: NarrowingAsked,
): Omit<Narrowing, 'act' | 'call'> | null {
  if (whole?.call != null) return null;
  const tools = part(asked.tools, whole?.tools ?? null, (mine, wanted) => mine === wanted);
  const resources = part(asked.resources, whole?.resources ?? null, covers);
  return tools === undefined || resources === undefined ? null : { tools, resources };
}

function part(
  asked: readonly string[] | null,
  whole: readonly string[] | null,
  within: (mine: string, wanted: string) => boolean,
): readonly string[] | null | undefined {
  if (asked === null || whole === null) return asked ?? whole;
  return asked.every((wanted) => whole.some((mine) => within(mine, wanted))) ? asked : undefined;
}

/** Whether a pattern covers a resource, or everything that another pattern covers. */
function covers(pattern: string, wanted: string): boolean {
  return pattern.endsWith('*') ? wanted.startsWith(pattern.slice(0, -1)) : pattern === wanted;
}

/** As JSON, for the row of a call and for digests: equal for equal narrowings. */
export function narrowingJson({ act, tools, resources, call }: Narrowing): Json {
  return { act, tools, resources, ...(call === null ? {} : { call: { ...call } }) };
}
