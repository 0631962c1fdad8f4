// Reads a bundle folder with everything that can be known before serving: also what each connector kind says.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { ConnectorSpec, Loaded } from '#bundle/bundle.ts';
import { compileBundle, type LoadOptions, loadBundle } from '#bundle/compile-bundle.ts';
import type { FileTexts } from '#bundle/read-files.ts';
import { checkCommandOperation } from '#connectors/command/fill-arguments.ts';
import { digestOfSource } from '#connectors/handler/handler-options.ts';
import { addressMistakes } from '#connectors/mcp/check-address.ts';
import { checkOpenapiOperation, driftedDigest } from '#connectors/openapi/check-openapi-operation.ts';
import { optionMistakes } from '#connectors/openapi/options.ts';
import { checkSqlOperation, paramsOf } from '#connectors/sql/check-sql-operation.ts';
import { credentialMistakes } from '#credentials/create-credentials.ts';

/** Loads the bundle in a folder. `now_ms` dates waivers. Used by every command and by the broker itself. */
export function readBundle(dir: string, now_ms: number): Promise<Loaded> {
  return loadBundle(dir, { now_ms, ...checks });
}

/** The same judgement of texts that were read already, with changes that are not written yet. `root`: real path. */
export function judgeTexts(root: string, texts: FileTexts, now_ms: number): Loaded {
  return compileBundle(root, texts, { now_ms, ...checks });
}

const checkConnector: NonNullable<LoadOptions['checkConnector']> = (spec) => [
  ...transportMistakes(spec),
  ...credentialMistakes(spec),
];

function transportMistakes({ kind, options }: ConnectorSpec) {
  const { http } = (options['transport'] ?? {}) as JsonObject;
  if (kind !== 'mcp' || http === undefined) return [];
  return addressMistakes(http as JsonObject).map((it) => ({
    ...it,
    pointer: `/transport/http${it.pointer}`,
  }));
}

const checkWebhook: NonNullable<LoadOptions['checkWebhook']> = ({ url, allow_private }) =>
  addressMistakes({ url, allow_private: allow_private as Json });

/** A trust domain is no address; without `jwks_uri` the issuer itself is dialled. */
const checkIssuer: NonNullable<LoadOptions['checkIssuer']> = ({ url, jwks_uri, allow_private }) =>
  [
    { key: 'issuer', address: url.startsWith('spiffe://') || jwks_uri !== null ? null : url },
    { key: 'jwks_uri', address: jwks_uri },
  ].flatMap(({ key, address }) =>
    address === null
      ? []
      : addressMistakes({ url: address, allow_private: allow_private as Json }).map((it) => ({
          ...it,
          pointer: it.pointer === '/url' ? `/${key}` : it.pointer,
        })),
  );

const checkOperation: NonNullable<LoadOptions['checkOperation']> = (kind, operation, inputs, at) => {
  if (kind === 'openapi') return openapiMistakes(at);
  if (kind === 'command') return commandMistakes(at);
  if (kind === 'handler') return handlerMistakes(at);
  return kind === 'sql' ? sqlMistakes(operation, inputs, at) : [];
};

type Place = Parameters<NonNullable<LoadOptions['checkOperation']>>[3];

/** Options first: a broken description says nothing of an operation. */
function openapiMistakes({ spec, bind, reads }: Place): readonly string[] {
  if (spec === undefined) return [];
  const mistakes = optionMistakes(spec.options);
  return mistakes.length > 0 ? mistakes : checkOpenapiOperation({ options: spec.options, bind, reads });
}

const warnOperation: NonNullable<LoadOptions['warnOperation']> = (kind, { spec, bind }) => {
  if (spec === undefined) return [];
  if (kind === 'handler') return driftedModule(spec.options, bind);
  const digest = kind === 'openapi' ? driftedDigest({ options: spec.options, bind }) : null;
  return digest === null
    ? []
    : [`paused: "${String(bind['operation'])}" is not the reviewed operation; its digest is now ${digest}`];
};

function commandMistakes({ bind }: Place): readonly string[] {
  const { argv = null, stdin, ...fixed } = bind;
  return checkCommandOperation({ ...fixed, values: argv });
}

function handlerMistakes({ bind, spec }: Place): readonly string[] {
  const modules = (spec?.options['modules'] ?? {}) as JsonObject;
  const name = String(bind['module']);
  return spec === undefined || Object.hasOwn(modules, name)
    ? []
    : [`the connector lists no module "${name}"`];
}

function driftedModule(options: JsonObject, bind: JsonObject): readonly string[] {
  const name = String(bind['module']);
  const source = ((options['modules'] ?? {}) as JsonObject)[name];
  const digest = typeof source === 'string' ? digestOfSource(source) : bind['digest'];
  return digest === bind['digest']
    ? []
    : [`paused: module "${name}" is not the reviewed one; its digest is now ${String(digest)}`];
}

/** `call` is always there: the connector fills it with the id of the call. */
function sqlMistakes(operation: JsonObject, inputs: readonly string[], { spec }: Place): string[] {
  const engine = spec?.options['engine'] === 'postgres' ? 'postgres' : 'sqlite';
  const mistakes = checkSqlOperation(operation, engine);
  if (mistakes.length > 0) return mistakes;
  const params = paramsOf(operation, engine);
  const missing = [...params].filter((name) => name !== 'call' && !inputs.includes(name));
  const unused = inputs.filter((name) => !params.has(name));
  return [
    ...missing.map((name) => `the SQL reads :${name}, which params does not give`),
    ...unused.map((name) => `params gives "${name}", which the SQL does not read`),
  ];
}

const checks: LoadOptions = { checkConnector, checkWebhook, checkIssuer, checkOperation, warnOperation };
