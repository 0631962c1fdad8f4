// Drafts manifests for the tools of upstream MCP servers: whatever a server says of itself, each is a write that waits for a person.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { isJsonObject } from '@countersign/contract/json.ts';
import { Document, type Scalar, visit } from 'yaml';
import type { ConnectorSpec } from './bundle.ts';
import { checkShape } from './check-shape.ts';
import { nameApart, visible } from './import-name.ts';
import { importSchema, propertyNames } from './import-schema.ts';
import { lintRules } from './lint-rules.ts';
import { lintTool } from './lint-tool.ts';
import { compileManifest } from './manifest.ts';
import { Mistakes } from './mistake.ts';
import { parseYaml } from './parse-yaml.ts';
import { compileSettings } from './settings.ts';

/** One tool as an upstream offers it. */
export interface OfferedTool {
  readonly connector: string;
  /** What the upstream calls it. */
  readonly tool: string;
  /** `sha256:<hex>` of the reviewed parts of the definition; anything else: the definition cannot be pinned. */
  readonly digest: string;
  readonly definition: JsonObject;
}

export interface ImportedTool {
  readonly name: string;
  readonly connector: string;
  readonly tool: string;
  /** The manifest, with what the server proposes in comments. */
  readonly yaml: string;
}

export interface ImportedTools {
  readonly tools: readonly ImportedTool[];
  /** A sentence for each tool, or group of tools, that is left out. */
  readonly refused: readonly string[];
}

const DESCRIPTION_MAX = 160;
const SAID_MAX = 600;
const HINTS = ['readOnlyHint', 'destructiveHint', 'idempotentHint', 'openWorldHint'] as const;
/** Keys that no bundle file may have, and names that a policy could not write. */
const UNWRITABLE = /^(__proto__|constructor|prototype)$|[\p{C}\p{Zl}\p{Zp}]/u;

/** `owner`: the person who answers for the tools. Order follows the tools given. */
export function importTools(offered: readonly OfferedTool[], owner: string): ImportedTools {
  const { named, refused } = nameApart(offered);
  const tools: ImportedTool[] = [];
  const sentences = [...refused];
  for (const { name, tool } of named) {
    const drafted = draft(name, tool, owner);
    if ('refused' in drafted) {
      sentences.push(`${visible(tool.tool)} of ${visible(tool.connector)} is left out: ${drafted.refused}`);
    } else tools.push({ name, connector: tool.connector, tool: tool.tool, yaml: drafted.yaml });
  }
  return { tools, refused: sentences };
}

function draft(name: string, offer: OfferedTool, owner: string): { yaml: string } | { refused: string } {
  if (!/^sha256:[0-9a-f]{64}$/.test(offer.digest))
    return { refused: `its definition cannot be pinned (${offer.digest})` };
  if (offer.tool.length > 200) return { refused: 'its name is longer than 200 characters' };
  const { schema, notes } = importSchema(offer.definition.inputSchema);
  const unwritable = propertyNames(schema).find((property) => UNWRITABLE.test(property));
  if (unwritable !== undefined)
    return { refused: `no policy could name its argument ${visible(unwritable)}` };
  const manifest = manifestOf(name, offer, owner, schema);
  const waives = rulesToWaive(manifest, offer.connector);
  if ('refused' in waives) return waives;
  const lifecycle = {
    status: 'imported',
    ...(waives.rules.length > 0 ? { waives: reasons(waives.rules, offer) } : {}),
  };
  return { yaml: writeYaml({ ...manifest, lifecycle }, commentOf(offer, notes)) };
}

/** INVARIANT: `effect` is a constant here. What an upstream says of itself is a proposal for the review, never a fact. */
function manifestOf(name: string, offer: OfferedTool, owner: string, input: JsonObject): JsonObject {
  const subject = firstText(input);
  const words = `use ${name.replaceAll('_', ' ')}`;
  return {
    name,
    version: '0.1.0',
    owner,
    connector: offer.connector,
    description: sentenceOf(offer),
    effect: 'write',
    input,
    bind: { mcp: { tool: offer.tool, digest: offer.digest, args: '=args' } },
    timeout: '30s',
    output: { labels: ['untrusted'] },
    summary: subject === null ? [words] : [`${words}: ${subject} `, `=args.${subject}`],
  };
}

/** The first required argument that is text and can be named in an expression. */
function firstText(input: JsonObject): string | null {
  const properties = (input.properties ?? {}) as JsonObject;
  const required = (Array.isArray(input.required) ? input.required : []) as readonly string[];
  const fits = (name: string): boolean => {
    const part = properties[name];
    return /^[a-z][A-Za-z0-9_]*$/.test(name) && name !== 'in' && isJsonObject(part) && part.type === 'string';
  };
  return required.find(fits) ?? null;
}

/** The upstream's first sentence, cut to what a manifest may say. */
function sentenceOf({ definition, connector, tool }: OfferedTool): string {
  const said = typeof definition.description === 'string' ? definition.description : '';
  const flat = said
    .replace(/[\p{C}\p{Z}]+/gu, ' ')
    .replace(/^[^\p{L}\p{N}]+/u, '')
    .trim();
  const first = /^.*?[.!?](?=\s|$)/u.exec(flat)?.[0] ?? flat;
  const points = [...first];
  if (points.length === 0) return `The tool ${visible(tool)} of ${connector}.`.slice(0, DESCRIPTION_MAX);
  if (points.length > DESCRIPTION_MAX)
    return `${points
      .slice(0, DESCRIPTION_MAX - 2)
      .join('')
      .trimEnd()}….`;
  return /[.!?]$/.test(first) ? first : `${points.slice(0, DESCRIPTION_MAX - 1).join('')}.`;
}

/** The lint rules that the draft breaks, which an imported tool may waive; or the mistake that none may. */
function rulesToWaive(
  manifest: JsonObject,
  connector: string,
): { readonly rules: readonly string[] } | { readonly refused: string } {
  const mistakes = new Mistakes();
  const file = `tools/${String(manifest.name)}.yaml`;
  const source = parseYaml(file, writeYaml({ ...manifest, lifecycle: { status: 'imported' } }), mistakes);
  const value = source === null ? null : checkShape(source, 'tool', mistakes);
  const compiled = source === null || value === null ? null : compileManifest(value, source, mistakes);
  const { declared } = compileSettings({}, { file, value: {}, at: () => TOP }, '/bundle', new Mistakes());
  if (compiled === null) return { refused: mistakes.all()[0]?.message ?? 'its manifest does not compile' };
  const spec: ConnectorSpec = { name: connector, kind: 'mcp', owner: '', options: {}, credential: null };
  const broken = lintTool(
    compiled,
    {
      declared,
      connectors: new Map([[connector, spec]]),
      connectorNames: new Set([connector]),
      tools: new Set([compiled.tool.name]),
    },
    mistakes,
  );
  const never = [...broken].find((rule) => lintRules[rule].waivable === 'never');
  if (never !== undefined) return { refused: `it breaks the rule ${never}, which has no exceptions` };
  return { rules: [...broken].sort() };
}

const TOP = { line: 1, column: 1 };

function reasons(rules: readonly string[], { connector }: OfferedTool): JsonObject {
  const reason = `Imported from the server ${connector} and not reviewed yet: a person decides on every call.`;
  return Object.fromEntries(rules.map((rule) => [rule, reason]));
}

/** For the person who reviews. Everything here is the server's own word, written so that it cannot leave the comment. */
function commentOf(offer: OfferedTool, notes: readonly string[]): string {
  const { definition, connector, tool } = offer;
  const said = typeof definition.description === 'string' ? definition.description : '';
  const annotations = isJsonObject(definition.annotations) ? definition.annotations : {};
  const hints = HINTS.filter((hint) => typeof annotations[hint] === 'boolean').map(
    (hint) => `${hint} ${String(annotations[hint])}`,
  );
  const proposal = annotations.readOnlyHint === true ? 'that it only reads' : 'nothing, or a write';
  return [
    ` Imported from the MCP server ${visible(connector)}, which calls it ${visible(tool)}. Nobody has reviewed it:`,
    ' whatever the server says, it is a write, and a person decides on every call.',
    ` The server says: ${visible(said.length > SAID_MAX ? `${said.slice(0, SAID_MAX)} (cut)` : said)}`,
    ` The server proposes: ${hints.length === 0 ? 'nothing' : `${hints.join(', ')} (${proposal})`}`,
    ...notes.map((note) => ` Left out of its input schema: ${visible(note)}`),
  ].join('\n');
}

/** Long texts stay on one line, and nothing is written as an anchor. */
export function writeYaml(value: Json, comment?: string): string {
  const document = new Document(value, { aliasDuplicateObjects: false });
  if (comment !== undefined) document.commentBefore = comment;
  visit(document, {
    Scalar(_key, node: Scalar) {
      if (typeof node.value === 'string' && /[^\x20-\x7e]/.test(node.value)) node.type = 'QUOTE_DOUBLE';
    },
  });
  return document.toString({ lineWidth: 0 });
}
