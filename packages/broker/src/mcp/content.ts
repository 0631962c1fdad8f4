// Content blocks that an upstream MCP tool answered: handed on as blocks, member by member.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';

/** Members of each kind of block: required ones, all of them text, and optional ones. `_meta` and `icons` are dropped. */
const KINDS: Readonly<
  Record<string, { readonly required: readonly string[]; readonly optional: readonly string[] }>
> = {
  text: { required: ['text'], optional: ['annotations'] },
  image: { required: ['data', 'mimeType'], optional: ['annotations'] },
  audio: { required: ['data', 'mimeType'], optional: ['annotations'] },
  resource_link: {
    required: ['uri', 'name'],
    optional: ['title', 'description', 'mimeType', 'size', 'annotations'],
  },
};

/**
 * The blocks of a result of the form `{content: [blocks]}` with nothing else in it, or null when it has another form.
 * The upstream controls every byte: only known members go on, and a block of unknown form makes the whole an
 * ordinary result.
 */
export function contentOf(result: Json): JsonObject[] | null {
  if (!isJsonObject(result)) return null;
  const { content } = result;
  if (!Array.isArray(content) || Object.keys(result).length !== 1) return null;
  const blocks: JsonObject[] = [];
  for (const item of content as readonly Json[]) {
    const block = isJsonObject(item) ? readBlock(item) : null;
    if (block === null) return null;
    blocks.push(block);
  }
  return blocks;
}

function readBlock(item: JsonObject): JsonObject | null {
  const { type } = item;
  if (typeof type !== 'string') return null;
  if (type === 'resource') return readResource(item);
  if (!Object.hasOwn(KINDS, type)) return null;
  const { required, optional } = KINDS[type]!;
  if (!required.every((member) => typeof item[member] === 'string')) return null;
  return { type, ...pick(item, [...required, ...optional]) };
}

function readResource(item: JsonObject): JsonObject | null {
  const { resource } = item;
  if (!isJsonObject(resource) || typeof resource.uri !== 'string') return null;
  if (typeof resource.text !== 'string' && typeof resource.blob !== 'string') return null;
  return {
    type: 'resource',
    resource: pick(resource, ['uri', 'mimeType', 'text', 'blob']),
    ...pick(item, ['annotations']),
  };
}

function pick(from: JsonObject, members: readonly string[]): JsonObject {
  return Object.fromEntries(
    members.filter((member) => from[member] !== undefined).map((member) => [member, from[member]!]),
  );
}
