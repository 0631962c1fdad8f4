// Makes one sliced operation ready to be called: its parameters, how its body is written, what it may answer.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import { compileShape, type ShapeCheck } from './compile-schema.ts';
import { type CutOperation, cutOperation, operationDigest } from './slice.ts';

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required: boolean;
  /** Lists as `a=1&a=2` (true) or `a=1,2`; objects as `a[b]=1`. */
  readonly explode: boolean;
  readonly style: 'simple' | 'form' | 'deepObject';
  readonly check: ShapeCheck;
}

export interface Body {
  readonly required: boolean;
  readonly media_type: string;
  readonly encoding: 'json' | 'form';
  readonly check: ShapeCheck;
}

export interface Operation {
  readonly id: string;
  readonly digest: string;
  /** Upper case. */
  readonly method: string;
  /** Path template, e.g. `/repos/{owner}`. */
  readonly path: string;
  readonly parameters: readonly Parameter[];
  readonly body: Body | null;
  /** Media types described for a status, without parameters; null where the status is not described. */
  readonly mediaTypes: (status: number) => readonly string[] | null;
  /** What of an answer does not fit its description; null when it fits or nothing is described. */
  readonly checkAnswer: (status: number, value: Json) => string | null;
}

export type CompiledOperation =
  | { readonly ok: true; readonly operation: Operation }
  | { readonly ok: false; readonly reason: string };

const STYLES: Readonly<Record<string, readonly string[]>> = {
  path: ['simple'],
  query: ['form', 'deepObject'],
  header: ['simple'],
};

export function compileOperation(description: Json, id: string): CompiledOperation {
  const found = cutOperation(description, id);
  if (!found.ok) return found;
  const { cut } = found;
  const parameters: Parameter[] = [];
  for (const each of cut.operation['parameters'] as readonly JsonObject[]) {
    const parameter = parameterOf(each, cut);
    if (typeof parameter === 'string') return { ok: false, reason: `operation "${id}": ${parameter}` };
    if (parameter !== null) parameters.push(parameter);
  }
  const unnamed = [...cut.path.matchAll(/\{([^{}]*)\}/g)]
    .map((match) => match[1]!)
    .find((name) => !parameters.some((it) => it.in === 'path' && it.name === name));
  if (unnamed !== undefined)
    return { ok: false, reason: `operation "${id}": the path names {${unnamed}}, which is not described` };
  const body = bodyOf(cut);
  if (typeof body === 'string') return { ok: false, reason: `operation "${id}": ${body}` };
  const answers = answersOf(cut);
  return {
    ok: true,
    operation: {
      id,
      digest: operationDigest(cut),
      method: cut.method.toUpperCase(),
      path: cut.path,
      parameters,
      body,
      mediaTypes: (status) => answers(status)?.types ?? null,
      checkAnswer: (status, value) => answers(status)?.check?.(value) ?? null,
    },
  };
}

function parameterOf(value: JsonObject, cut: CutOperation): Parameter | string | null {
  const name = String(value['name']);
  const place = value['in'] as Parameter['in'] | 'cookie';
  const required = value['required'] === true || place === 'path';
  const usable = place !== 'cookie' && value['content'] === undefined;
  const style = String(value['style'] ?? (place === 'query' ? 'form' : 'simple'));
  if (!usable || !STYLES[place]!.includes(style)) {
    const what =
      place === 'cookie' ? 'a cookie' : value['content'] === undefined ? `style ${style}` : 'content';
    // One that may be left out is simply not offered.
    return required ? `the ${place} parameter "${name}" needs ${what}, which is not spoken here` : null;
  }
  // OpenAPI 3.1, 4.8.12.1: these three are described elsewhere, and are the broker's to set.
  if (place === 'header' && /^(accept|content-type|authorization)$/i.test(name)) return null;
  return {
    name,
    in: place,
    required,
    explode: value['explode'] === undefined ? style === 'form' : value['explode'] === true,
    style: style as Parameter['style'],
    check: compileShape(value['schema'] ?? true, cut.schemas, 'request'),
  };
}

function bodyOf(cut: CutOperation): Body | string | null {
  const body = cut.operation['requestBody'] as JsonObject | undefined;
  if (body === undefined) return null;
  const content = body['content'] as Readonly<Record<string, JsonObject>>;
  const required = body['required'] === true;
  const types = Object.keys(content);
  const json = types.find((it) => isJsonType(it));
  const form = types.find((it) => bareType(it) === 'application/x-www-form-urlencoded');
  const chosen = json ?? form;
  if (chosen === undefined) {
    if (!required) return null;
    return `its body is ${types.join(', ') || 'not described'}; JSON and forms are spoken here`;
  }
  return {
    required,
    media_type: bareType(chosen),
    encoding: chosen === json ? 'json' : 'form',
    check: compileShape(content[chosen]?.['schema'] ?? true, cut.schemas, 'request'),
  };
}

interface Answer {
  readonly types: readonly string[];
  readonly check: ShapeCheck | null;
}

/** The description of a status: its own, that of its class (`2XX`), or `default`. */
function answersOf(cut: CutOperation): (status: number) => Answer | null {
  const responses = cut.operation['responses'] as JsonObject;
  const known = new Map<string, Answer>();
  for (const [status, value] of Object.entries(responses)) {
    const content = isJsonObject(value) && isJsonObject(value['content']) ? value['content'] : {};
    const json = Object.entries(content).find(([type]) => isJsonType(type))?.[1];
    const schema = isJsonObject(json) ? json['schema'] : undefined;
    known.set(status.toUpperCase(), {
      types: Object.keys(content).map(bareType),
      check: schema === undefined ? null : compileShape(schema, cut.schemas, 'response'),
    });
  }
  return (status) =>
    known.get(String(status)) ?? known.get(`${Math.floor(status / 100)}XX`) ?? known.get('DEFAULT') ?? null;
}

/** A media type without its parameters, in lower case. */
export function bareType(type: string): string {
  return (type.split(';', 1)[0] ?? '').trim().toLowerCase();
}

/** RFC 8259 and RFC 6839 §3.1. */
export function isJsonType(type: string): boolean {
  const bare = bareType(type);
  return bare === 'application/json' || /^application\/[a-z0-9.+-]+\+json$/.test(bare);
}
