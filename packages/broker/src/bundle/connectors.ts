// Compiles connector files: paths made absolute, secrets by reference only, nothing that reaches the broker itself.
import { resolve } from 'node:path';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { BundledConnector, ConnectorSpec } from './bundle.ts';
import { compileCredential, secretPaths } from './connector-credential.ts';
import { compileFlow } from './connector-flow.ts';
import { parseDuration } from './duration.ts';
import { leakedSecrets } from './leaked-secrets.ts';
import type { Mistakes } from './mistake.ts';
import { OPENAPI_KEYS, openapiOptions } from './openapi-files.ts';
import type { Source } from './parse-yaml.ts';
import {
  COMMAND_KEYS,
  commandOptions,
  HANDLER_KEYS,
  handlerOptions,
  type Reading,
  SQL_KEYS,
  sqlOptions,
} from './program-connectors.ts';
import { overlaps, type Protected, realPath } from './reach.ts';

export interface ConnectorFile {
  readonly source: Source;
  readonly value: JsonObject;
}

type Wrong = (pointer: string, message: string, hint?: string) => void;

const KEYS: Record<ConnectorSpec['kind'], readonly string[]> = {
  mcp: [
    ...['transport', 'revision', 'refresh', 'input_required', 'log_messages'],
    ...['resources', 'prompts', 'completions', 'read_labels'],
  ],
  openapi: OPENAPI_KEYS,
  sql: SQL_KEYS,
  command: COMMAND_KEYS,
  handler: HANDLER_KEYS,
};
/** Of an MCP connector, taken over as it is written. */
const PASSED = [
  'revision',
  'input_required',
  'log_messages',
  'resources',
  'prompts',
  'completions',
  'read_labels',
] as const;
const COMMON: readonly string[] = ['name', 'kind', 'owner', 'credential', 'bulkhead', 'breaker'];

/** `protect`: what no connector may reach; the secrets of all connectors are added. `texts`: files of the bundle. */
export function compileConnectors(
  files: readonly ConnectorFile[],
  root: string,
  protect: readonly Protected[],
  mistakes: Mistakes,
  texts: ReadonlyMap<string, string> = new Map(),
): Map<string, BundledConnector> {
  const connectors = new Map<string, BundledConnector>();
  const secrets = files.flatMap(({ value }) => secretPaths(value, root));
  for (const { source, value } of files) {
    const wrong: Wrong = (pointer, message, hint) =>
      mistakes.error(source.file, source.at(pointer), message, hint);
    const name = value.name as string;
    if (connectors.has(name)) {
      wrong('/name', `the connector "${name}" exists twice`);
      continue;
    }
    const kind = value.kind as ConnectorSpec['kind'];
    for (const key of Object.keys(value)) {
      if (COMMON.includes(key) || KEYS[kind].includes(key)) continue;
      mistakes.error(
        source.file,
        source.at(`/${key}`, 'key'),
        `"${key}" does not belong to a ${kind} connector`,
        `known: ${KEYS[kind].join(', ')}`,
      );
    }
    leakedSecrets(value, '', wrong);
    const reach = reachCheck([...protect, ...secrets], wrong);
    const warn: Wrong = (pointer, message, hint) =>
      mistakes.warn(source.file, source.at(pointer), message, hint);
    const reading: Reading = { root, reach, wrong, warn, texts };
    const optionsOf: Record<ConnectorSpec['kind'], () => JsonObject> = {
      mcp: () => mcpOptions(value, root, reach, wrong, source, mistakes),
      openapi: () => openapiOptions(value, texts, wrong),
      sql: () => sqlOptions(value, reading),
      command: () => commandOptions(value, reading),
      handler: () => handlerOptions(value, reading),
    };
    connectors.set(name, {
      name,
      kind,
      owner: value.owner as string,
      options: optionsOf[kind](),
      credential: compileCredential(value, root, wrong),
      flow: compileFlow(value, kind, wrong),
    });
  }
  return connectors;
}

type Reach = (pointer: string, path: string) => string;

/** Makes a path absolute, and refuses one that touches what no tool may reach. */
function reachCheck(protect: readonly Protected[], wrong: Wrong): Reach {
  return (pointer, path) => {
    const real = realPath(path);
    const touched = protect.find((it) => overlaps(real, it.path));
    if (touched !== undefined) {
      wrong(pointer, `the path reaches ${touched.what}`, 'no tool may reach bundle, state, keys or secrets');
    }
    return path;
  };
}

function mcpOptions(
  value: JsonObject,
  root: string,
  reach: Reach,
  wrong: Wrong,
  source: Source,
  mistakes: Mistakes,
): JsonObject {
  const transport = (value.transport ?? {}) as JsonObject;
  if ((transport.stdio === undefined) === (transport.http === undefined)) {
    wrong('/transport', 'expected exactly one of stdio and http');
  }
  const refresh = value.refresh === undefined ? {} : { refresh_ms: parseDuration(value.refresh as string) };
  const passed = Object.fromEntries(
    PASSED.flatMap((key) => (value[key] === undefined ? [] : [[key, value[key]]])),
  );
  if (transport.stdio === undefined) return { transport, ...refresh, ...passed } as JsonObject;
  const stdio = transport.stdio as JsonObject;
  const isolation = stdio.isolation as JsonObject;
  if (isolation.kind === 'none') {
    const at = '/transport/stdio/isolation';
    if (isolation.reason === undefined) wrong(at, 'isolation none needs a reason');
    mistakes.warn(
      source.file,
      source.at(at),
      'isolation none: this program has the reach of the broker',
      'the review shows it',
    );
  } else if (isolation.reason !== undefined) {
    wrong('/transport/stdio/isolation/reason', 'a reason goes with isolation none only');
  }
  const paths = (key: 'read' | 'write'): JsonObject =>
    isolation[key] === undefined
      ? {}
      : {
          [key]: (isolation[key] as readonly string[]).map((path, index) =>
            reach(`/transport/stdio/isolation/${key}/${index}`, resolve(root, path)),
          ),
        };
  const program = {
    command: programPath(stdio.command as string, root),
    args: ((stdio.args ?? []) as readonly string[]).map((arg) =>
      /^\.\.?\//.test(arg) ? resolve(root, arg) : arg,
    ),
    ...(stdio.env === undefined ? {} : { env: stdio.env }),
    ...(stdio.limits === undefined ? {} : { limits: stdio.limits }),
    isolation: { ...isolation, ...paths('read'), ...paths('write') },
  };
  return { transport: { stdio: program }, ...refresh, ...passed } as JsonObject;
}

function programPath(command: string, root: string): string {
  return command.includes('/') ? resolve(root, command) : command;
}
