// `countersign tools slice` and `tools new`: cut a vendor's description, and draft a manifest for one operation of it.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { Command } from 'commander';
import { parse, stringify } from 'yaml';
import { draftManifest, toolName } from '#connectors/openapi/draft-manifest.ts';
import { cutOperation, METHODS, operationIds, sliceDescription } from '#connectors/openapi/slice.ts';
import { nearestName } from '#rules/nearest.ts';
import type { CliWorld } from './connection.ts';
import { CliFailure, EXIT } from './exit.ts';
import { mistakeLine } from './mistakes.ts';
import { printable, printableTable } from './printable.ts';
import { readBundle } from './read-bundle.ts';

interface SliceOptions {
  readonly openapi: string;
  readonly operation: readonly string[];
  readonly out: string;
}

interface NewOptions {
  readonly openapi: string;
  readonly operation: string;
  readonly connector: string;
  readonly name?: string;
  readonly owner?: string;
  readonly server?: string;
  readonly bundle: string;
}

const DESCRIPTION = "the vendor's OpenAPI description, 3.0 or 3.1, as JSON or YAML";

/** Adds `slice` and `new` to the group of `countersign tools`. */
export function toolsNewCommands(tools: Command, world: CliWorld): void {
  tools
    .command('slice')
    .description(
      'cut operations out of a description, and print the digests to pin under bind.openapi.digest',
    )
    .requiredOption('--openapi <file>', DESCRIPTION)
    .requiredOption('--operation <id...>', 'operationIds to keep')
    .requiredOption(
      '--out <file>',
      'the slice, e.g. specs/github.json in the bundle; one that exists is replaced',
    )
    .action((options: SliceOptions) => slice(options, world));
  tools
    .command('new')
    .description(
      'draft a tool for one operation: a manifest to decide on, and the slice that it is pinned to',
    )
    .requiredOption('--openapi <file>', DESCRIPTION)
    .requiredOption('--operation <id>', 'its operationId')
    .requiredOption('--connector <name>', 'the connector of the bundle; drafted when it is not there')
    .option('--name <tool>', 'name of the tool; default: made of the operationId')
    .option('--owner <name>', 'who answers for it; default: the owner of the connector')
    .option('--server <url>', "base URL of a new connector; default: the description's first")
    .option('--bundle <dir>', 'folder of the bundle', '.')
    .action((options: NewOptions) => draft(options, world));
}

function slice({ openapi, operation, out }: SliceOptions, { terminal }: CliWorld): void {
  const sliced = sliceOf(readDescription(openapi), operation);
  write(out, `${JSON.stringify(sliced.slice, null, 1)}\n`);
  terminal.out(printableTable(['OPERATION', 'DIGEST'], Object.entries(sliced.digests)));
}

async function draft(options: NewOptions, world: CliWorld): Promise<void> {
  const { bundle, connector, operation } = options;
  const { terminal } = world;
  const description = readDescription(options.openapi);
  const name = options.name ?? toolName(operation);
  const places = {
    tool: `tools/${name}.yaml`,
    connector: `connectors/${connector}.yaml`,
    spec: `specs/${connector}.json`,
  };
  if (existsSync(join(bundle, places.tool)))
    throw new CliFailure(EXIT.no, `${places.tool} exists; choose another --name`);
  const own = existsSync(join(bundle, places.connector))
    ? ((parse(readFileSync(join(bundle, places.connector), 'utf8')) ?? {}) as JsonObject)
    : null;
  if (own !== null && own['kind'] !== 'openapi')
    throw new CliFailure(
      EXIT.no,
      `${places.connector} is not an openapi connector; choose another --connector`,
    );
  const owner = options.owner ?? (typeof own?.['owner'] === 'string' ? own['owner'] : undefined);
  if (owner === undefined)
    throw new CliFailure(EXIT.usage, 'a new connector needs --owner: who answers for it');
  const spec = join(bundle, typeof own?.['spec'] === 'string' ? own['spec'] : places.spec);
  const { slice: sliced } = withOthers(spec, description, operation);
  const found = cutOperation(description, operation);
  if (!found.ok) throw new CliFailure(EXIT.no, printable(found.reason));
  const manifest = draftManifest(found.cut, {
    name,
    connector,
    owner,
    summary: summaryOf(description, operation),
  });
  if (own === null) {
    const file = {
      name: connector,
      kind: 'openapi',
      owner,
      spec: places.spec,
      servers: [serverOf(options, description)],
    };
    write(join(bundle, places.connector), stringify(file));
  }
  write(spec, `${JSON.stringify(sliced, null, 1)}\n`);
  write(join(bundle, places.tool), stringify(manifest, { lineWidth: 110 }));
  terminal.out(`${places.tool} is drafted: imported, so every call of it is held for a person.`);
  const loaded = await readBundle(bundle, Date.now());
  const open = loaded.ok ? [] : loaded.mistakes.filter((it) => it.file === places.tool);
  if (open.length === 0) return;
  terminal.out('What a person still decides, as `countersign check` asks:');
  for (const mistake of open) terminal.out(printable(mistakeLine(mistake)));
}

/** The slice that is there keeps what it has; where both describe an operation, the new description counts. */
function withOthers(spec: string, description: JsonObject, operation: string) {
  if (!existsSync(spec)) return sliceOf(description, [operation]);
  const there = readDescription(spec);
  const others = operationIds(there).filter((id) => id !== operation);
  const missing = others.filter((id) => !operationIds(description).includes(id));
  if (missing.length > 0)
    throw new CliFailure(
      EXIT.no,
      `${spec} holds operations that this description lacks: ${missing.join(', ')}`,
    );
  const before = sliceOf(there, others).digests;
  const after = sliceOf(description, [...others, operation]);
  const changed = others.filter((id) => before[id] !== after.digests[id]);
  if (changed.length > 0)
    throw new CliFailure(
      EXIT.no,
      `the description has changed under ${changed.join(', ')}: review it with \`countersign tools slice\` first`,
    );
  return after;
}

function sliceOf(description: JsonObject | Json, ids: readonly string[]) {
  const sliced = sliceDescription(description, ids);
  if (sliced.ok) return sliced;
  const known = isJsonObject(description) ? operationIds(description) : [];
  const lost = ids.find((id) => !known.includes(id));
  const near = lost === undefined ? undefined : nearestName(lost, known);
  throw new CliFailure(
    EXIT.no,
    printable(`${sliced.reason}${near === undefined ? '' : `; did you mean "${near}"?`}`),
  );
}

function readDescription(file: string): JsonObject {
  let value: Json;
  try {
    const text = readFileSync(file, 'utf8');
    value = (/^\s*\{/.test(text) ? JSON.parse(text) : parse(text, { maxAliasCount: 0 })) as Json;
  } catch (error) {
    throw new CliFailure(
      EXIT.usage,
      printable(`${file} cannot be read: ${(error as Error).message.split('\n')[0]}`),
    );
  }
  if (isJsonObject(value)) return value;
  throw new CliFailure(EXIT.usage, `${file} is not an OpenAPI description`);
}

/** The prose of the whole description: the slice has none. */
function summaryOf(description: JsonObject, operation: string): string {
  for (const item of Object.values((description['paths'] ?? {}) as JsonObject)) {
    if (!isJsonObject(item)) continue;
    for (const method of METHODS) {
      const found = item[method];
      if (isJsonObject(found) && found['operationId'] === operation) return String(found['summary'] ?? '');
    }
  }
  return '';
}

/** A proposal that a person sees in the drafted file; at run time only that file counts. */
function serverOf({ server }: NewOptions, description: JsonObject): string {
  const [first] = Array.isArray(description['servers']) ? (description['servers'] as readonly Json[]) : [];
  const url = server ?? (isJsonObject(first) ? first['url'] : undefined);
  if (typeof url === 'string' && URL.canParse(url)) return url.replace(/\/$/, '');
  throw new CliFailure(EXIT.usage, 'the description names no base URL; give --server');
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
