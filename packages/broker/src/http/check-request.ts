// Checks bodies and query parameters by the schemas of the route table, and says what is wrong and where.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Issue } from '@countersign/contract/problem.ts';
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import { nearestName } from '#rules/nearest.ts';
import { requestSchemas } from './request-schemas.ts';
import type { Route } from './route.ts';

/** More mistakes than this are not listed: the first ones are enough to go on, and the caller controls how many. */
const ISSUES_MAX = 20;
/** No request of ours has as many members; more of them are refused before they are looked at one by one. */
const MEMBERS_MAX = 64;
const QUOTED_MAX = 64;

const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true });

export interface RequestChecks {
  /** Mistakes of the body; empty when it fits. */
  readonly body: (body: unknown) => readonly Issue[];
  /** The query with its integers read, or its mistakes; pointers name the parameter. */
  readonly query: (
    query: unknown,
  ) => { readonly values: Readonly<Record<string, string | number>> } | { readonly issues: readonly Issue[] };
}

/** Compiles the checks of one route, once. */
export function compileChecks(route: Route): RequestChecks {
  return { body: bodyCheck(route), query: queryCheck(route) };
}

function bodyCheck({ body }: Route): RequestChecks['body'] {
  if (body === undefined || 'form' in body) return () => [];
  const schema = requestSchemas[body.schema];
  const validate = ajv.compile(schema);
  const optional = body.optional === true;
  return (value) => {
    if (value === undefined) {
      return optional ? [] : [{ pointer: '', message: 'expected a JSON object, got no body' }];
    }
    if (typeof value === 'object' && value !== null && Object.keys(value).length > MEMBERS_MAX) {
      return [{ pointer: '', message: `expected at most ${MEMBERS_MAX} members` }];
    }
    return validate(value) ? [] : issuesOf(validate, Object.keys(schema.properties as JsonObject));
  };
}

function queryCheck({ query = {} }: Route): RequestChecks['query'] {
  const names = Object.keys(query);
  const validate = ajv.compile({ type: 'object', additionalProperties: false, properties: query });
  return (given) => {
    const values: Record<string, string | number> = {};
    const parameters = Object.entries(given as Record<string, string | string[]>);
    if (parameters.length > MEMBERS_MAX)
      return { issues: [{ pointer: '', message: 'too many query parameters' }] };
    for (const [name, value] of parameters) {
      // A parameter that came twice is a list, which no schema allows.
      const isInteger = Object.hasOwn(query, name) && query[name]!.type === 'integer';
      const reads = isInteger && typeof value === 'string' && /^(0|[1-9][0-9]{0,14})$/.test(value);
      Object.defineProperty(values, name, {
        value: reads ? Number(value) : value,
        enumerable: true,
      });
    }
    return validate(values) ? { values } : { issues: issuesOf(validate, names) };
  };
}

function issuesOf(validate: ValidateFunction, known: readonly string[]): Issue[] {
  // What is unknown comes first: a misspelt field explains the missing one.
  const errors = validate.errors ?? [];
  const unknown = errors.filter((error) => error.keyword === 'additionalProperties');
  const others = errors.filter((error) => error.keyword !== 'additionalProperties');
  return [...unknown, ...others].slice(0, ISSUES_MAX).map((error) => issueOf(error, known));
}

function issueOf(error: ErrorObject, known: readonly string[]): Issue {
  const at = error.instancePath;
  switch (error.keyword) {
    case 'additionalProperties': {
      const name = String(error.params.additionalProperty);
      const nearest = nearestName(name, known);
      const hint =
        nearest === undefined
          ? `expected one of: ${known.join(', ') || 'nothing'}`
          : `did you mean "${nearest}"?`;
      return { pointer: `${at}/${escapePointer(name)}`, message: `unknown field; ${hint}` };
    }
    case 'required':
      return { pointer: `${at}/${error.params.missingProperty}`, message: 'expected this field, got none' };
    case 'enum':
      return {
        pointer: at,
        message: `expected one of: ${(error.params.allowedValues as string[]).join(', ')}`,
      };
    case 'type':
      return { pointer: at, message: `expected ${String(error.params.type)}` };
    default:
      return { pointer: at, message: `expected a value that ${error.message}` };
  }
}

/** RFC 6901; what the caller wrote is cut and made printable before it goes back. */
function escapePointer(name: string): string {
  return name
    .slice(0, QUOTED_MAX)
    .replace(/[^\x20-\x7e]/g, '?')
    .replace(/~/g, '~0')
    .replace(/\//g, '~1');
}
