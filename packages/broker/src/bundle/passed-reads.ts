// The governed reads that stand for an MCP connector's listed resources, prompts and completions.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { ConnectorSpec } from './bundle.ts';
import type { Mistakes } from './mistake.ts';
import type { Source } from './parse-yaml.ts';

/** A prompt as a connector file lists it: by its name, or with what a client needs to know to ask for it. */
export interface ListedPrompt {
  readonly name: string;
  readonly description?: string;
  readonly arguments?: readonly {
    readonly name: string;
    readonly description?: string;
    readonly required?: boolean;
  }[];
}

const NAME_MAX = 50;
/** What stands for `{name}` in a template: one step of a path that leads nowhere else. */
const STEP = '[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,127}';
const VARIABLE = /\{[A-Za-z_][A-Za-z0-9_]{0,63}\}/g;
const TEXT = { type: 'string', maxLength: 4096 };
const SHORT = { type: 'string', maxLength: 128 };

/**
 * Manifests, one for each kind of read that the connector lists, so that they are judged, labelled and recorded as
 * the reads of tools are. What is not listed does not fit their input.
 */
export function passedReads(spec: ConnectorSpec, source: Source, mistakes: Mistakes): JsonObject[] {
  const { resources, prompts, completions, read_labels = [] } = spec.options;
  const uris = (resources ?? []) as readonly string[];
  const listed = ((prompts ?? []) as readonly (string | ListedPrompt)[]).map((each) =>
    typeof each === 'string' ? { name: each } : each,
  );
  if (uris.length === 0 && listed.length === 0) return [];
  if (spec.name.length > NAME_MAX) {
    mistakes.error(
      source.file,
      source.at('/name'),
      `a connector that lists reads has a name of at most ${NAME_MAX}`,
    );
    return [];
  }
  const labels = [
    'untrusted',
    ...(read_labels as readonly string[]).filter((label) => label !== 'untrusted'),
  ];
  const manifest = (kind: string, description: string, input: JsonObject, bind: JsonObject): JsonObject => ({
    name: `${kind}_of_${spec.name.replaceAll('-', '_')}`,
    version: '1.0.0',
    owner: spec.owner,
    connector: spec.name,
    description,
    effect: 'read',
    input: { type: 'object', additionalProperties: false, required: Object.keys(input), properties: input },
    bind: {
      mcp: { ...bind, args: Object.fromEntries(Object.keys(input).map((key) => [key, `=args.${key}`])) },
    },
    output: { labels },
  });
  const names = listed.map((prompt) => prompt.name);
  const out: JsonObject[] = [];
  if (uris.length > 0)
    out.push(
      manifest(
        'resources',
        `Read a listed resource of ${spec.name}.`,
        { resource: uriSchema(uris) },
        { resources: uris },
      ),
    );
  if (listed.length > 0) {
    const input = { prompt: { type: 'string', enum: names }, arguments: ARGUMENTS };
    out.push(
      manifest('prompts', `Get a listed prompt of ${spec.name}.`, input, {
        prompts: listed as unknown as Json,
      }),
    );
  }
  if (completions === true) {
    const of = { type: 'string', enum: [...names, ...uris] };
    const input = {
      kind: { type: 'string', enum: ['prompt', 'resource'] },
      of,
      argument: SHORT,
      value: TEXT,
    };
    out.push(
      manifest('completions', `Complete an argument of a listed read of ${spec.name}.`, input, {
        completions: true,
      }),
    );
  }
  return out;
}

const ARGUMENTS: JsonObject = {
  type: 'array',
  maxItems: 32,
  items: {
    type: 'object',
    additionalProperties: false,
    required: ['name', 'value'],
    properties: { name: SHORT, value: TEXT },
  },
};

/** Exactly the listed addresses; a template stands for those in which each variable is one plain step. */
function uriSchema(uris: readonly string[]): JsonObject {
  if (!uris.some(isTemplate)) return { type: 'string', enum: uris };
  const patterns = uris.map((uri) =>
    uri
      .split(VARIABLE)
      .map((literal) => literal.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'))
      .join(STEP),
  );
  return { type: 'string', maxLength: 2048, pattern: `^(${patterns.join('|')})$` };
}

function isTemplate(uri: string): boolean {
  return uri.includes('{');
}
