// Authorization details (RFC 9396): the two types that narrow a token, read from a request and from a token of ours.
import { parseStrict } from '@countersign/contract/canonical.ts';
import { isDigest } from '@countersign/contract/digest.ts';
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import { isResourcePattern, type Narrowing, type NarrowingAsked, type OneCall } from '#rules/narrowing.ts';

/** `tools`: a part of what the agent may do. `call`: one call with these very arguments, once. */
export const DETAIL_TYPES = { tools: 'urn:countersign:tools', call: 'urn:countersign:call' } as const;

/** Longest text of details: a token that carries them must fit into a header. */
const BYTES_MAX = 3_072;
const NAMES_MAX = 64;
const TOOL = /^[A-Za-z0-9_.-]{1,128}$/;
/** A scope is the short form of the same: the tools alone. */
const SCOPE_PREFIX = 'tool:';

export interface DetailsAsked extends NarrowingAsked {
  /** The longest life wished, in milliseconds. */
  readonly ttl_ms: number | null;
}

const EVERYTHING: DetailsAsked = { tools: null, resources: null, args_digest: null, ttl_ms: null };

/** What the parameter `authorization_details` asks for; a text says what is wrong with it. */
export function readDetails(text: string): DetailsAsked | string {
  if (Buffer.byteLength(text) > BYTES_MAX) return `Expected at most ${BYTES_MAX} bytes of details.`;
  const decoded = parseStrict(text, { depth: 4, bytes: BYTES_MAX });
  if (!decoded.ok || !Array.isArray(decoded.value)) return 'Expected a JSON array of details.';
  const [detail, ...others] = decoded.value as readonly Json[];
  if (!isJsonObject(detail) || others.length > 0) return 'Expected an array of exactly one object.';
  const { type, expires_in, ...rest } = detail;
  if (expires_in !== undefined && !(Number.isSafeInteger(expires_in) && (expires_in as number) > 0)) {
    return 'expires_in: expected a whole number of seconds.';
  }
  const read = readDetail(type, rest);
  if (typeof read === 'string') return read;
  return { ...read, ttl_ms: expires_in === undefined ? null : (expires_in as number) * 1000 };
}

/** The tools that a scope names; null where it names something else. */
export function readScope(scope: string): DetailsAsked | null {
  const named = scope.split(' ');
  const tools = named.map((each) => each.slice(SCOPE_PREFIX.length));
  const known =
    named.every((each) => each.startsWith(SCOPE_PREFIX)) && tools.every((each) => TOOL.test(each));
  return known && tools.length <= NAMES_MAX ? { ...EVERYTHING, tools } : null;
}

/** The scope that a token must have for a call of this tool (RFC 6750 §3.1). */
export function scopeOf(tool: string): string {
  return `${SCOPE_PREFIX}${tool}`;
}

/** As a token carries it, and as the token endpoint answers. */
export function detailsOf({ tools, resources, call }: Narrowing): JsonObject[] {
  const touched = resources === null ? {} : { resources };
  if (call !== null) {
    const { args_digest } = call;
    return [{ type: DETAIL_TYPES.call, tool: tools![0]!, args_digest, ...touched }];
  }
  if (tools === null && resources === null) return [];
  return [{ type: DETAIL_TYPES.tools, ...(tools === null ? {} : { tools }), ...touched }];
}

/** What a token of ours carries; null where it is something else: then it carries nothing. */
export function readNarrowing(
  details: Json | undefined,
  act: readonly string[],
  token: Omit<OneCall, 'args_digest'>,
): Narrowing | null {
  if (details === undefined) return { act, tools: null, resources: null, call: null };
  if (!Array.isArray(details) || details.length !== 1 || !isJsonObject(details[0])) return null;
  const { type, ...rest } = details[0];
  const read = readDetail(type, rest);
  if (typeof read === 'string') return null;
  const { tools, resources, args_digest } = read;
  return { act, tools, resources, call: args_digest === null ? null : { args_digest, ...token } };
}

function readDetail(type: Json | undefined, rest: JsonObject): NarrowingAsked | string {
  if (type === DETAIL_TYPES.tools) return readTools(rest);
  if (type === DETAIL_TYPES.call) return readCall(rest);
  return `type: expected ${DETAIL_TYPES.tools} or ${DETAIL_TYPES.call}.`;
}

function readTools({ tools = null, resources = null, ...others }: JsonObject): NarrowingAsked | string {
  const unknown = Object.keys(others)[0];
  if (unknown !== undefined) return `${quoted(unknown)}: expected only tools, resources and expires_in.`;
  if (tools !== null && !isList(tools, (each) => TOOL.test(each)))
    return `tools: expected at most ${NAMES_MAX} names of tools.`;
  if (resources !== null && !isList(resources, isResourcePattern)) return WRONG_RESOURCES;
  return { tools, resources, args_digest: null };
}

function readCall({ tool, args_digest, resources = null, ...others }: JsonObject): NarrowingAsked | string {
  const unknown = Object.keys(others)[0];
  if (unknown !== undefined)
    return `${quoted(unknown)}: expected only tool, args_digest, resources and expires_in.`;
  if (typeof tool !== 'string' || !TOOL.test(tool)) return 'tool: expected the name of a tool.';
  if (typeof args_digest !== 'string' || !isDigest(args_digest))
    return 'args_digest: expected sha256:<hex> of the canonical arguments.';
  if (resources !== null && !isList(resources, isResourcePattern)) return WRONG_RESOURCES;
  return { tools: [tool], resources, args_digest };
}

const WRONG_RESOURCES = `resources: expected at most ${NAMES_MAX} of the form system:kind/id, or the beginning of such and *.`;

function isList(value: Json, fits: (each: string) => boolean): value is string[] {
  return (
    Array.isArray(value) &&
    value.length <= NAMES_MAX &&
    value.every((each) => typeof each === 'string' && fits(each))
  );
}

function quoted(name: string): string {
  return name.slice(0, 32).replace(/[^\x20-\x7e]/g, '?');
}
