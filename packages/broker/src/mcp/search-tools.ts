// The built-in tools of an agent that has more tools than it is shown: one finds the others, one calls what was found.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { Issue } from '@countersign/contract/problem.ts';
import type { ToolView } from '@countersign/contract/wire.ts';

/** Reserved, like every name that begins so: no tool of a bundle is served under them. */
export const SEARCH_TOOLS = 'countersign_search_tools';
export const USE_TOOL = 'countersign_use_tool';

const QUERY_MAX = 200;
const MOST_FOUND = 10;
const NAME_MAX = 64;

export const SEARCH_TOOLS_LISTED = JSON.stringify({
  name: SEARCH_TOOLS,
  description:
    'Find tools that are not in this list, by words of what you want to do. ' +
    `Answers at most ${MOST_FOUND}, best first, with their input; call what you found with ${USE_TOOL}.`,
  inputSchema: {
    type: 'object',
    additionalProperties: false,
    required: ['query'],
    properties: { query: { type: 'string', maxLength: QUERY_MAX, description: 'E.g. refund an invoice' } },
  },
  annotations: { readOnlyHint: true, openWorldHint: false },
});

export const USE_TOOL_LISTED = JSON.stringify({
  name: USE_TOOL,
  description: `Call a tool that ${SEARCH_TOOLS} found. It is judged like any call of that tool.`,
  inputSchema: {
    type: 'object',
    additionalProperties: false,
    required: ['tool', 'arguments'],
    properties: {
      tool: { type: 'string', maxLength: NAME_MAX, description: 'Name of the tool, as it was found.' },
      arguments: { type: 'object', description: 'As the input of that tool wants them.' },
    },
  },
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true },
});

/** The words of a search, or what is wrong with its arguments. */
export function readQuery(args: Json): string | readonly Issue[] {
  if (!isJsonObject(args)) return [{ pointer: '', message: 'expected an object' }];
  const { query, ...others } = args;
  const issues = unknownArguments(others);
  if (typeof query === 'string' && query.length <= QUERY_MAX && issues.length === 0) return query;
  return typeof query === 'string' && query.length <= QUERY_MAX
    ? issues
    : [...issues, { pointer: '/query', message: `expected a text of at most ${QUERY_MAX} characters` }];
}

/** Which tool is used with which arguments, or what is wrong with them. */
export function readUse(args: Json): { readonly tool: string; readonly args: JsonObject } | readonly Issue[] {
  if (!isJsonObject(args)) return [{ pointer: '', message: 'expected an object' }];
  const { tool, arguments: given, ...others } = args;
  const issues = [...unknownArguments(others)];
  if (typeof tool !== 'string') issues.push({ pointer: '/tool', message: 'expected the name of a tool' });
  if (!isJsonObject(given ?? null)) issues.push({ pointer: '/arguments', message: 'expected an object' });
  return issues.length > 0 ? issues : { tool: tool as string, args: given as JsonObject };
}

function unknownArguments(others: JsonObject): Issue[] {
  return Object.keys(others).map((key) => ({
    pointer: `/${key.slice(0, NAME_MAX)}`,
    message: 'unknown argument',
  }));
}

/** Tools by how many of the words they have; a word in the name counts for more. None of the words: not found. */
export function searchTools(tools: readonly ToolView[], query: string): readonly ToolView[] {
  const words = wordsOf(query);
  return tools
    .map((view) => ({ view, score: scoreOf(view, words) }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score || (a.view.name < b.view.name ? -1 : 1))
    .slice(0, MOST_FOUND)
    .map(({ view }) => view);
}

function scoreOf({ name, description }: ToolView, words: readonly string[]): number {
  const inName = wordsOf(name);
  const inDescription = wordsOf(description);
  const has = (where: readonly string[], word: string): boolean =>
    where.some((each) => each.startsWith(word));
  return words.reduce((sum, word) => sum + (has(inName, word) ? 3 : has(inDescription, word) ? 1 : 0), 0);
}

/** Without the last letter of a plural, so that invoices find an invoice. */
function wordsOf(text: string): string[] {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  return words.map((word) => (word.length > 3 && word.endsWith('s') ? word.slice(0, -1) : word));
}
