// Compiles one tool manifest: expressions parsed, schemas ready, every mistake with its place.
import { digestOf } from '@countersign/contract/digest.ts';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { Effect } from '@countersign/contract/wire.ts';
import { compileExpression, compileTemplate, type Place } from '#rules/cel.ts';
import type { Expression, Template } from '#rules/expression.ts';
import { type Check, compileSchema } from '#rules/json-schema.ts';
import type { Bind, Idempotency, Tool } from '#rules/tool.ts';
import { parseDuration } from './duration.ts';
import { hintFor, type Mistakes, type Position } from './mistake.ts';
import { splitOpenapi } from './openapi-files.ts';
import type { Source } from './parse-yaml.ts';
import { splitCommand } from './program-connectors.ts';
import { durationOf, readAgain, retryOf } from './retry-rules.ts';

/** One member chain that an expression of a manifest reads, for lint. */
export interface Use {
  /** Top key of the manifest, e.g. `bind`. */
  readonly section: string;
  /** JSON pointer of the leaf. */
  readonly pointer: string;
  readonly at: Position;
  readonly path: readonly string[];
  /** Asked for by `has(...)`. */
  readonly optional: boolean;
}

export interface Manifest {
  readonly source: Source;
  readonly value: JsonObject;
  readonly tool: Tool;
  readonly uses: readonly Use[];
  /** Literal text that each resource begins with. */
  readonly resourcePrefixes: readonly string[];
  /** Every bind with its pointer; `reads` where it must not change anything. */
  readonly binds: readonly {
    readonly pointer: string;
    readonly reads: boolean;
    readonly value: JsonObject;
  }[];
}

const TIMEOUT_DEFAULT_MS = 10_000;
/** Stripe keeps keys for a day at least, and is among the shortest. */
const KEEP_DEFAULT_MS = 24 * 3_600_000;
const SETTLE_DEFAULT_MS = 60_000;
const CREDENTIAL_TTL_DEFAULT_MS = 300_000;

/** `value` has the right shape (tool.schema.json). Null when expressions or schemas in it are broken. */
export function compileManifest(value: JsonObject, source: Source, mistakes: Mistakes): Manifest | null {
  const compiler = new Compiler(value, source, mistakes);
  const tool = compiler.tool();
  if (compiler.failed) return null;
  return {
    source,
    value,
    tool,
    uses: compiler.uses,
    resourcePrefixes: compiler.resourcePrefixes,
    binds: compiler.binds,
  };
}

const NOTHING: Expression = { source: '', reads: new Set(), evaluate: () => null };
const EMPTY: Template = { reads: new Set(), fill: () => ({}) };
const ACCEPTS: Check = () => [];

class Compiler {
  readonly uses: Use[] = [];
  readonly resourcePrefixes: string[] = [];
  readonly binds: { pointer: string; reads: boolean; value: JsonObject }[] = [];
  failed = false;
  readonly #value: JsonObject;
  readonly #source: Source;
  readonly #mistakes: Mistakes;

  constructor(value: JsonObject, source: Source, mistakes: Mistakes) {
    this.#value = value;
    this.#source = source;
    this.#mistakes = mistakes;
  }

  tool(): Tool {
    const value = this.#value;
    const lifecycle = (value.lifecycle ?? {}) as Partial<Tool['lifecycle']>;
    const input = value.input as JsonObject;
    const name = value.name as string;
    return {
      name,
      version: value.version as string,
      owner: value.owner as string,
      connector: value.connector as string,
      description: value.description as string,
      effect: value.effect as Effect,
      digest: digestOf(value),
      lifecycle: {
        status: lifecycle.status ?? 'active',
        ...(lifecycle.sunset === undefined ? {} : { sunset: lifecycle.sunset }),
        ...(lifecycle.replaced_by === undefined ? {} : { replaced_by: lifecycle.replaced_by }),
      },
      input,
      checkInput: this.#schema(input, '/input'),
      requires: ((value.context as JsonObject | undefined)?.required ?? []) as readonly string[],
      prepare: this.#prepare(),
      pin: this.#expressions('pin', 'pin'),
      resources: this.#expressions('resources', 'resources', this.resourcePrefixes),
      preconditions: this.#list('preconditions').map((each, index) => ({
        expr: this.#expression(`/preconditions/${index}/expr`, each.expr, 'preconditions'),
        message: each.message as string,
      })),
      bind: this.#bind(
        '/bind',
        value.bind as JsonObject,
        'bind',
        value.effect === 'read',
        this.#unprojected(),
      ),
      timeout_ms: value.timeout === undefined ? TIMEOUT_DEFAULT_MS : parseDuration(value.timeout as string),
      output: this.#output(),
      egress:
        value.egress === undefined
          ? []
          : typeof value.egress === 'string'
            ? [value.egress]
            : (value.egress as readonly string[]),
      summary: this.#summary(name),
      ...this.#deed(),
    };
  }

  /** What only some tools carry; absent keys stay absent. */
  #deed(): Pick<
    Tool,
    'cost' | 'credential' | 'idempotency' | 'retry' | 'sideEffect' | 'verify' | 'lookup' | 'compensate'
  > {
    const { cost, credential, idempotency, retry, sideEffect, verify, lookup, compensate } = this
      .#value as Record<string, JsonObject | undefined>;
    return {
      ...(cost && {
        cost: {
          minor: this.#expression('/cost/minor', cost.minor, 'cost'),
          currency: this.#expression('/cost/currency', cost.currency, 'cost'),
        },
      }),
      ...(credential && {
        credential: {
          scope: this.#template('/credential/scope', credential.scope ?? {}, 'credential'),
          ...(credential.read_scope === undefined
            ? {}
            : { readScope: this.#template('/credential/read_scope', credential.read_scope, 'readScope') }),
          max_ttl_ms:
            credential.max_ttl === undefined
              ? CREDENTIAL_TTL_DEFAULT_MS
              : parseDuration(credential.max_ttl as string),
        },
      }),
      ...(idempotency && { idempotency: this.#idempotency(idempotency) }),
      ...(retry && { retry: retryOf(retry) }),
      ...(sideEffect && {
        sideEffect: {
          ...this.#optional('id', '/sideEffect/id', sideEffect.id, 'sideEffect'),
          ...this.#optional('url', '/sideEffect/url', sideEffect.url, 'sideEffect'),
        },
      }),
      ...(verify && {
        verify: {
          bind: this.#bind('/verify/bind', verify.bind as JsonObject, 'verify', true),
          expect: (verify.expect as readonly Json[]).map((each, index) =>
            this.#expression(`/verify/expect/${index}`, each, 'verifyExpect'),
          ),
          retry: readAgain((verify.retry ?? {}) as JsonObject),
        },
      }),
      ...(lookup && {
        lookup: {
          bind: this.#bind('/lookup/bind', lookup.bind as JsonObject, 'lookup', true),
          found: this.#expression('/lookup/found', lookup.found, 'lookupFound'),
          ...this.#optional('id', '/lookup/id', lookup.id, 'lookupFound'),
          settle_ms: durationOf(lookup.settle, SETTLE_DEFAULT_MS),
        },
      }),
      ...(compensate && {
        compensate: {
          kind: compensate.kind as NonNullable<Tool['compensate']>['kind'],
          ...(compensate.tool === undefined ? {} : { tool: compensate.tool as string }),
          ...(compensate.args === undefined
            ? {}
            : { args: this.#template('/compensate/args', compensate.args, 'compensate') }),
          ...(compensate.leaves === undefined ? {} : { leaves: compensate.leaves as string }),
          ...(compensate.runbook === undefined ? {} : { runbook: compensate.runbook as string }),
        },
      }),
    };
  }

  #idempotency(value: JsonObject): Idempotency {
    const strategy = value.strategy as Idempotency['strategy'];
    const already = value.alreadyDone as JsonObject | undefined;
    const steps = this.#list('prepare').map((step) => step.id as string);
    if (already !== undefined && !steps.includes(already.read as string)) {
      const message = `no prepare step "${String(already.read)}"`;
      this.#wrong('/idempotency/alreadyDone/read', 0, message, hintFor(String(already.read), steps));
    }
    return {
      strategy,
      ...this.#optional('key', '/idempotency/key', value.key, 'idempotency'),
      keep_ms: durationOf(value.keep, KEEP_DEFAULT_MS),
      onUnknown:
        (value.onUnknown as Idempotency['onUnknown'] | undefined) ??
        (strategy === 'marker' ? 'quarantine' : 'retry'),
      ...(already && {
        alreadyDone: {
          read: already.read as string,
          expr: this.#expression('/idempotency/alreadyDone/expr', already.expr, 'idempotency'),
          on: already.on as NonNullable<Idempotency['alreadyDone']>['on'],
        },
      }),
    };
  }

  #prepare(): Tool['prepare'] {
    return this.#list('prepare').map((step, index) => {
      const output = step.output as JsonObject;
      return {
        id: step.id as string,
        bind: this.#bind(`/prepare/${index}/bind`, step.bind as JsonObject, 'prepare', true, output),
        output,
        checkOutput: this.#schema(output, `/prepare/${index}/output`),
        labels: (step.labels ?? []) as readonly string[],
      };
    });
  }

  /** The schema that an answer is cut to where nothing projects it. */
  #unprojected(): JsonObject | undefined {
    const output = (this.#value.output ?? {}) as JsonObject;
    return output.project === undefined ? (output.schema as JsonObject | undefined) : undefined;
  }

  #output(): Tool['output'] {
    const output = (this.#value.output ?? {}) as JsonObject;
    const fields = Object.entries((output.fields ?? {}) as Record<string, readonly string[]>);
    return {
      ...(output.schema === undefined
        ? {}
        : {
            schema: output.schema as JsonObject,
            checkOutput: this.#schema(output.schema as JsonObject, '/output/schema'),
          }),
      ...(output.project === undefined
        ? {}
        : { project: this.#template('/output/project', output.project, 'project') }),
      labels: (output.labels ?? []) as readonly string[],
      fields: fields.map(([pointer, labels]) => ({ pointer, labels })),
      redact: (output.redact ?? []) as readonly string[],
    };
  }

  #summary(name: string): Tool['summary'] {
    const summary = this.#value.summary as readonly string[] | undefined;
    if (summary === undefined) return [`call ${name}`];
    return summary.map((part, index) => {
      if (!part.startsWith('=')) return part;
      if (part.startsWith('==')) return part.slice(1);
      return this.#expression(`/summary/${index}`, part.slice(1), 'summary', 1);
    });
  }

  #bind(pointer: string, value: JsonObject, place: Place, reads: boolean, keep?: JsonObject): Bind {
    this.binds.push({ pointer, reads, value });
    if (value.openapi !== undefined) return this.#openapi(pointer, value.openapi as JsonObject, place, keep);
    if (value.command !== undefined) {
      const { operation, inputs } = splitCommand(value.command as JsonObject);
      return { operation, inputs: this.#template(`${pointer}/command`, inputs, place) };
    }
    const kind = Object.keys(value)[0] as 'mcp' | 'sql' | 'handler';
    const inputsKey = kind === 'sql' ? 'params' : 'args';
    const { [inputsKey]: inputs = {}, ...operation } = value[kind] as JsonObject;
    return { operation, inputs: this.#template(`${pointer}/${kind}/${inputsKey}`, inputs, place) };
  }

  /** The idempotency key goes with the deed alone, never with the reads around it. */
  #openapi(pointer: string, value: JsonObject, place: Place, keep: JsonObject | undefined): Bind {
    const idempotency = pointer === '/bind' ? (this.#value.idempotency as JsonObject | undefined) : undefined;
    if (idempotency?.strategy === 'header' && idempotency.header === undefined)
      this.#wrong('/idempotency', 0, 'strategy header names the header', 'header: Idempotency-Key');
    const { operation, inputs } = splitOpenapi(value, idempotency, keep);
    if (value.successWhen !== undefined)
      this.#expression(`${pointer}/openapi/successWhen`, value.successWhen, 'successWhen');
    return { operation, inputs: this.#template(`${pointer}/openapi`, inputs, place) };
  }

  #list(key: string): readonly JsonObject[] {
    return (this.#value[key] ?? []) as readonly JsonObject[];
  }

  #expressions(key: string, place: Place, prefixes?: string[]): Expression[] {
    const list = (this.#value[key] ?? []) as readonly Json[];
    return list.map((each, index) => this.#expression(`/${key}/${index}`, each, place, 0, prefixes));
  }

  #optional<K extends string>(
    key: K,
    pointer: string,
    value: Json | undefined,
    place: Place,
  ): { [P in K]?: Expression } {
    if (value === undefined) return {};
    return { [key]: this.#expression(pointer, value, place) } as { [P in K]: Expression };
  }

  #expression(
    pointer: string,
    value: Json | undefined,
    place: Place,
    skip = 0,
    prefixes?: string[],
  ): Expression {
    const source = String(value);
    // Two kinds of field, two habits: `=` marks CEL where literals stand beside it, and is a slip where all is CEL.
    if (skip === 0 && source.startsWith('=') && !source.startsWith('==')) {
      this.#wrong(pointer, 0, 'this field is always an expression', 'leave out the =');
      return NOTHING;
    }
    const compiled = compileExpression(source, place);
    if (!compiled.ok) {
      for (const { offset, message, hint } of compiled.mistakes)
        this.#wrong(pointer, offset + skip, message, hint);
      return NOTHING;
    }
    prefixes?.push(compiled.prefix);
    for (const { path, offset, optional } of compiled.paths)
      this.#use(pointer, path, offset + skip, optional);
    return compiled.expression;
  }

  #template(pointer: string, tree: Json, place: Place): Template {
    const compiled = compileTemplate(tree, place);
    const leafPointer = (path: readonly (string | number)[]): string =>
      path.reduce<string>(
        (at, step) => `${at}/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`,
        pointer,
      );
    if (!compiled.ok) {
      for (const { path, offset, message, hint } of compiled.mistakes)
        this.#wrong(leafPointer(path), offset, message, hint);
      return EMPTY;
    }
    for (const { leaf, path, offset, optional } of compiled.paths)
      this.#use(leafPointer(leaf), path, offset, optional);
    return compiled.template;
  }

  #schema(schema: JsonObject, pointer: string): Check {
    const compiled = compileSchema(schema);
    if (compiled.ok) return compiled.check;
    for (const fault of compiled.faults) {
      this.failed = true;
      this.#mistakes.error(
        this.#source.file,
        this.#source.at(`${pointer}${fault.pointer}`, 'key'),
        fault.message,
        fault.hint,
      );
    }
    return ACCEPTS;
  }

  #use(pointer: string, path: readonly string[], offset: number, optional: boolean): void {
    const section = pointer.split('/')[1] ?? '';
    this.uses.push({ section, pointer, at: this.#source.at(pointer, 'value', offset), path, optional });
  }

  #wrong(pointer: string, offset: number, message: string, hint?: string): void {
    this.failed = true;
    this.#mistakes.error(this.#source.file, this.#source.at(pointer, 'value', offset), message, hint);
  }
}
