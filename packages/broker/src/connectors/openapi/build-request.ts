// Builds the one request of an attempt from the filled bind, or says why nothing may be sent.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import { tooDeep } from '../json-depth.ts';
import { brokerHeader, headerFault } from './check-header.ts';
import type { Operation, Parameter } from './compile-operation.ts';
import { encodeForm, encodeQuery } from './encode.ts';
import { fillPath } from './fill-path.ts';

export interface OutgoingRequest {
  readonly method: string;
  /** With query. */
  readonly path: string;
  /** Flat list of names in lower case and values. */
  readonly headers: readonly string[];
  readonly body: string | null;
}

export type Built =
  | { readonly ok: true; readonly request: OutgoingRequest }
  | { readonly ok: false; readonly reason: string };

export interface RequestParts {
  readonly operation: Operation;
  /** `{path, query, header, body}`, filled. */
  readonly inputs: JsonObject;
  readonly base: URL;
  /** Fixed headers of the connector. */
  readonly headers: Readonly<Record<string, string>>;
  /** The header that carries the idempotency key, where the manifest names one. */
  readonly idempotency_header: string | null;
  /** Secret headers of the call's credential. */
  readonly credential: Readonly<Record<string, string>>;
}

const PLACES = ['path', 'query', 'header', 'body'];
const BODY_BYTES_MAX = 1_048_576;
const PATH_BYTES_MAX = 8_192;

/** INVARIANT: what leaves here was held against the description; nothing that the description does not name is in it. */
export function buildRequest(parts: RequestParts): Built {
  try {
    return { ok: true, request: build(parts) };
  } catch (error) {
    if (error instanceof Refused) return { ok: false, reason: error.message };
    throw error;
  }
}

class Refused extends Error {}

function build({
  operation,
  inputs,
  base,
  headers,
  idempotency_header,
  credential,
}: RequestParts): OutgoingRequest {
  const unknown = Object.keys(inputs).find((key) => !PLACES.includes(key));
  if (unknown !== undefined) throw new Refused(`the bind fills "${unknown}"; expected ${PLACES.join(', ')}`);
  const path = given(inputs, 'path');
  const query = given(inputs, 'query');
  const header = given(inputs, 'header');
  checkParameters(operation, 'path', path);
  checkParameters(operation, 'query', query);
  const filled = fillPath(base.pathname, operation.path, path);
  if (!filled.ok) throw new Refused(filled.reason);
  const pairs = Object.entries(query).map(([name, value]) =>
    encodeOne(parameterOf(operation, 'query', name), value),
  );
  const search = pairs.filter((it) => it !== '').join('&');
  const whole = search === '' ? filled.path : `${filled.path}?${search}`;
  if (whole.length > PATH_BYTES_MAX)
    throw new Refused(`path and query are longer than ${PATH_BYTES_MAX} bytes`);
  const body = bodyText(operation, inputs['body']);
  const sent = new Map([
    ['accept', 'application/json'],
    ['user-agent', 'countersign'],
    ...Object.entries(headers),
  ]);
  for (const [name, value] of ownHeaders(operation, header, idempotency_header)) sent.set(name, value);
  for (const [name, value] of Object.entries(credential)) {
    const lower = name.toLowerCase();
    if (sent.has(lower)) throw new Refused(`the header "${lower}" belongs to the credential`);
    sent.set(lower, value);
  }
  sent.set('accept-encoding', 'identity');
  if (body !== null) sent.set('content-type', operation.body!.media_type);
  return { method: operation.method, path: whole, headers: [...sent].flat(), body };
}

function given(inputs: JsonObject, place: string): JsonObject {
  const value = inputs[place] ?? {};
  if (!isJsonObject(value)) throw new Refused(`the bind's ${place} must fill to an object`);
  return value;
}

function parameterOf(operation: Operation, place: Parameter['in'], name: string): Parameter {
  const same = place === 'header' ? name.toLowerCase() : name;
  const found = operation.parameters.find(
    (it) => it.in === place && (place === 'header' ? it.name.toLowerCase() : it.name) === same,
  );
  if (found === undefined) throw new Refused(`"${operation.id}" has no ${place} parameter "${name}"`);
  return found;
}

function checkParameters(operation: Operation, place: Parameter['in'], values: JsonObject): void {
  for (const [name, value] of Object.entries(values)) {
    const parameter = parameterOf(operation, place, name);
    if (value === null && !parameter.required) continue;
    const fault = parameter.check(value);
    if (fault !== null)
      throw new Refused(`${place} parameter "${name}" does not fit its description${fault}`);
  }
  const names = Object.keys(values).map((name) => (place === 'header' ? name.toLowerCase() : name));
  const missing = operation.parameters.find(
    (it) =>
      it.in === place && it.required && !names.includes(place === 'header' ? it.name.toLowerCase() : it.name),
  );
  if (missing !== undefined) throw new Refused(`the ${place} parameter "${missing.name}" is missing`);
}

function encodeOne(parameter: Parameter, value: Json): string {
  try {
    return encodeQuery(parameter, value);
  } catch (error) {
    throw new Refused(`query parameter "${parameter.name}": ${(error as Error).message}`);
  }
}

function ownHeaders(
  operation: Operation,
  values: JsonObject,
  idempotency_header: string | null,
): [string, string][] {
  const key = idempotency_header?.toLowerCase();
  const described = Object.fromEntries(Object.entries(values).filter(([name]) => name.toLowerCase() !== key));
  checkParameters(operation, 'header', described);
  const sent: [string, string][] = [];
  for (const [name, value] of Object.entries(values)) {
    if (value === null && name.toLowerCase() !== key) continue;
    const fault = brokerHeader(name) ? 'is set by the broker alone' : headerFault(name, value);
    if (fault !== null) throw new Refused(`header ${JSON.stringify(name)} ${fault}`);
    sent.push([name.toLowerCase(), String(value)]);
  }
  if (new Set(sent.map(([name]) => name)).size < sent.length) throw new Refused('a header is given twice');
  return sent;
}

function bodyText(operation: Operation, value: Json | undefined): string | null {
  const { body } = operation;
  if (value === undefined) {
    if (body?.required === true) throw new Refused(`"${operation.id}" needs a body`);
    return null;
  }
  if (body === null) throw new Refused(`"${operation.id}" takes no body`);
  if (tooDeep(value)) throw new Refused('the body is nested too deeply');
  const fault = body.check(value);
  if (fault !== null) throw new Refused(`the body does not fit its description at ${fault}`);
  let text: string;
  if (body.encoding === 'json') text = JSON.stringify(value);
  else if (!isJsonObject(value)) throw new Refused('a form body must be an object');
  else {
    try {
      text = encodeForm(value);
    } catch (error) {
      throw new Refused(`the form holds ${(error as Error).message}`);
    }
  }
  if (Buffer.byteLength(text) > BODY_BYTES_MAX)
    throw new Refused(`the body is larger than ${BODY_BYTES_MAX} bytes`);
  return text;
}
