// Compiles the credential block of a connector: references only, addresses that are safe to send to, and for OAuth whom to believe.
import { resolve } from 'node:path';
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { ConnectorSpec } from './bundle.ts';
import { schemaOf } from './check-shape.ts';
import { compileOauthGrant } from './oauth-grant.ts';
import { overlaps, type Protected, realPath } from './reach.ts';

type Wrong = (pointer: string, message: string, hint?: string) => void;

/** Names of secrets in the sealed store. */
export const SECRET_NAME = /^[a-z][a-z0-9._-]{0,63}$/;
const REFERENCE = /^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+|sealed:[a-z][a-z0-9._-]{0,63})$/;

/** Which keys belong to which provider is in the published schema, where the shape of the file was checked. */
export function compileCredential(
  value: JsonObject,
  root: string,
  wrong: Wrong,
): ConnectorSpec['credential'] {
  const credential = value.credential as JsonObject | undefined;
  if (credential === undefined) return null;
  const provider = credential.provider as string;
  if (provider === 'static') return { provider, options: staticOptions(credential, root, wrong) };
  if (provider === 'oauth') return { provider, options: oauthOptions(value, credential, root, wrong) };
  const misfit = whyMisfit(value, provider);
  if (misfit !== null) wrong('/credential/provider', misfit);
  const { provider: _, ...options } = credential;
  const compiled = mapMarked(options, `#/$defs/${provider}`, '/credential', {
    reference: (text, pointer) => referenceOf(text, pointer, root, wrong),
    address: (text, pointer) => addressOf(text, pointer, wrong),
  });
  return { provider, options: compiled as JsonObject };
}

/** Why a connector cannot use what a provider mints for a call, a variable of a command or an HTTP header; or null. */
function whyMisfit({ kind, transport, credential }: JsonObject, provider: string): string | null {
  const { env, service } = credential as JsonObject;
  if (env !== undefined || (provider === 'aws-sts' && service === undefined))
    return kind === 'command'
      ? null
      : `provider ${provider} fills variables here, which only a command connector has`;
  const overHttp = (transport as JsonObject | undefined)?.http !== undefined;
  if (kind !== 'openapi' && kind !== 'handler' && !(kind === 'mcp' && overHttp))
    return `provider ${provider} mints an HTTP header, which this connector does not send`;
  if (kind === 'mcp' && ((scopeSchemaOf(provider)?.required ?? []) as readonly string[]).length > 0)
    return `provider ${provider} mints for the scope of a call, and an MCP server is also asked for its tools`;
  return null;
}

/** The part of the published schema that says what tools of such a connector fill `credential.scope` with, or null. */
export function scopeSchemaOf(provider: string): JsonObject | null {
  const part = (schemaOf('connector').$defs as JsonObject)[`${provider}.scope`];
  return part === undefined ? null : (part as JsonObject);
}

/** Files behind the references of a connector: no connector may reach them. */
export function secretPaths(value: JsonObject, root: string): Protected[] {
  const credential = value.credential as JsonObject | undefined;
  if (credential === undefined) return [];
  const found: Protected[] = [];
  mapMarked(credential, `#/$defs/${String(credential.provider)}`, '', {
    reference: (text) => {
      found.push(...secretFile(text, root));
      return text;
    },
  });
  return found;
}

/** What is done with texts that the schema marks as a reference or an address. */
type Marked = Readonly<Partial<Record<'reference' | 'address', (text: string, pointer: string) => string>>>;

/**
 * The value with every text replaced whose schema is `#/$defs/reference` or `#/$defs/address`: so no provider can
 * forget to have its references and addresses looked at.
 */
function mapMarked(value: Json, ref: string, pointer: string, marked: Marked): Json {
  const mark = ref.slice('#/$defs/'.length);
  if (typeof value === 'string') return marked[mark as keyof Marked]?.(value, pointer) ?? value;
  const schema = (schemaOf('connector').$defs as JsonObject)[mark] as JsonObject;
  return mapProperties(value, schema, pointer, marked);
}

function mapProperties(value: Json, schema: JsonObject, pointer: string, marked: Marked): Json {
  if (!isJsonObject(value)) return value;
  const properties = (schema.properties ?? {}) as Record<string, JsonObject | undefined>;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => {
      const part = properties[key] ?? {};
      const at = `${pointer}/${key}`;
      if (typeof part.$ref === 'string') return [key, mapMarked(each!, part.$ref, at, marked)];
      return [key, mapProperties(each!, part, at, marked)];
    }),
  );
}

/** What the broker signs or holds goes there: never in the clear, but to this very machine. */
function addressOf(text: string, pointer: string, wrong: Wrong): string {
  if (!isIssuer(text)) wrong(pointer, 'expected an https address without query or fragment');
  else if (new URL(text).username !== '' || new URL(text).password !== '')
    wrong(pointer, 'an address carries no user or password');
  return text;
}

/** The file behind a reference; nothing where it is none. */
export function secretFile(reference: Json | undefined, root: string): Protected[] {
  if (typeof reference !== 'string' || !reference.startsWith('file:')) return [];
  const path = realPath(resolve(root, reference.slice('file:'.length)));
  return [{ path, what: 'a file that holds a secret' }];
}

function staticOptions(credential: JsonObject, root: string, wrong: Wrong): JsonObject {
  const { provider, value, ...options } = credential;
  if ((options.header === undefined) === (options.env === undefined)) {
    wrong('/credential', 'expected exactly one of header and env');
  }
  if (value === undefined) {
    wrong(
      '/credential',
      'a fixed secret needs "value", the reference to it',
      'write env:NAME, file:path or sealed:NAME',
    );
    return options;
  }
  return { ...options, value: referenceOf(value, '/credential/value', root, wrong) };
}

/** The reference with an absolute path. */
export function referenceOf(value: Json, pointer: string, root: string, wrong: Wrong): string {
  const reference = value as string;
  if (!REFERENCE.test(reference)) {
    wrong(
      pointer,
      'expected a reference, got what may be the secret itself',
      'write env:NAME, file:path or sealed:NAME',
    );
  }
  if (!reference.startsWith('file:')) return reference;
  const path = resolve(root, reference.slice('file:'.length));
  if (overlaps(realPath(path), root)) {
    wrong(
      pointer,
      'the secret lies in the bundle folder',
      'keep it outside: what lies here is in every clone',
    );
  }
  return `file:${path}`;
}

function oauthOptions(value: JsonObject, credential: JsonObject, root: string, wrong: Wrong): JsonObject {
  const { provider, client, dpop, enterprise, workload, ...rest } = credential;
  const http = (value.transport as JsonObject | undefined)?.http as JsonObject | undefined;
  if (value.kind !== 'mcp' || http === undefined) {
    wrong('/credential/provider', 'oauth is for MCP servers over HTTP');
  }
  if (typeof rest.issuer === 'string' && !isIssuer(rest.issuer)) {
    wrong('/credential/issuer', 'an issuer is an https URL without query or fragment');
  }
  const compiled =
    client === undefined ? null : clientOf(client as JsonObject, '/credential/client', root, wrong);
  const holdsSecret = compiled !== null && (compiled.secret !== undefined || compiled.key !== undefined);
  // Otherwise whoever runs the MCP server names the place that the secret is sent to.
  if (holdsSecret && rest.issuer === undefined) {
    wrong('/credential/client', 'a client with a secret names the issuer that it belongs to', 'add issuer');
  }
  if (rest.grant === 'client_credentials' && !holdsSecret) {
    wrong('/credential/grant', 'client_credentials needs a client with a secret or a key');
  }
  const granted = compileOauthGrant(credential, {
    ...{ wrong, isIssuer },
    reference: (each, pointer) => referenceOf(each, pointer, root, wrong),
    client: (each, pointer) => clientOf(each, pointer, root, wrong),
  });
  const reach = { server: http?.url ?? '', allow_private: http?.allow_private ?? false };
  const known = compiled === null ? {} : { client: compiled };
  return { ...rest, ...reach, ...known, ...granted } as JsonObject;
}

function clientOf(client: JsonObject, at: string, root: string, wrong: Wrong): JsonObject {
  const { id = '', secret, key } = client;
  if (secret !== undefined && key !== undefined) wrong(at, 'a client has a secret or a key, not both');
  if (String(id).startsWith('https://') && (secret !== undefined || key !== undefined)) {
    wrong(`${at}/id`, 'a client that is a metadata document has no secret here');
  }
  return {
    id,
    ...(secret === undefined ? {} : { secret: referenceOf(secret, `${at}/secret`, root, wrong) }),
    ...(key === undefined ? {} : { key: referenceOf(key, `${at}/key`, root, wrong) }),
  };
}

/** RFC 8414 §2; plain http is for loopback, which the connector's own limits then must allow. */
function isIssuer(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, search, hash } = new URL(text);
  const loopback = ['localhost', '127.0.0.1', '[::1]'].includes(hostname);
  return (protocol === 'https:' || (protocol === 'http:' && loopback)) && search === '' && hash === '';
}
