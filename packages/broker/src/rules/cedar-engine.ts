// Wraps the official Cedar engine: it parses, validates, judges what the compiler does not know, and is the oracle.
import { createHash } from 'node:crypto';
import type { DetailedError, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { cedar, cedarGeneration } from './cedar-load.ts';
import type { EngineRequest } from './cedar-marshal.ts';
import { entitiesIn, forEngine, marshalRequest } from './cedar-marshal.ts';
import type { PolicyFallback } from './cedar-policy.ts';
import { indexOfByte, placesIn, splitPolicies } from './cedar-source.ts';
import type { DecisionRequest } from './decision.ts';

export type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';

/** A policy that parsed. `line` and `column` count from 1 and say where it starts in its file. */
export interface ParsedPolicy {
  readonly id: string;
  readonly text: string;
  readonly json: PolicyJson;
  /** An annotation without a value is the empty text. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly line: number;
  readonly column: number;
}

/** One mistake in Cedar text; the caller knows the file. */
export interface CedarMistake {
  readonly line: number;
  readonly column: number;
  readonly message: string;
  readonly hint?: string;
  readonly severity: 'error' | 'warning';
}

/** Parses a text of policies; all mistakes at once. Every policy needs an `@id`, unique in the text. */
export function parsePolicies(text: string): {
  readonly policies: readonly ParsedPolicy[];
  readonly mistakes: readonly CedarMistake[];
} {
  const policies: ParsedPolicy[] = [];
  const mistakes: CedarMistake[] = [];
  const seen = new Map<string, number>();
  const pieces = splitPolicies(text);
  const placeAt = placesIn(text);
  for (const piece of pieces) {
    const at = placeAt(piece.start);
    const answer = cedar().policyToJson(piece.text);
    if (answer.type === 'failure') {
      mistakes.push(...answer.errors.map((error) => mistakeOf(error, piece.text, at, 'error')));
      continue;
    }
    const annotations = Object.fromEntries(
      Object.entries(answer.json.annotations ?? {}).map(([name, value]) => [name, value ?? '']),
    );
    const id = annotations.id ?? '';
    const first = seen.get(id);
    if (id === '') {
      mistakes.push({
        ...at,
        message: 'the policy has no id',
        hint: 'write @id("...") before it',
        severity: 'error',
      });
    } else if (first !== undefined) {
      const message = `the policy id "${id}" occurs twice, first on line ${first}`;
      mistakes.push({ ...at, message, hint: 'give each policy an id of its own', severity: 'error' });
    } else {
      seen.set(id, at.line);
      policies.push({ id, text: piece.text, json: answer.json, annotations, ...at });
    }
  }
  if (mistakes.length === 0) mistakes.push(...miscounted(text, pieces.length));
  return { policies, mistakes };
}

// A policy that the cutting lost (say, taken for a comment) would be a forbid that nobody enforces.
function miscounted(text: string, pieces: number): CedarMistake[] {
  const whole = cedar().policySetTextToParts(text);
  const count = whole.type === 'success' ? whole.policies.length + whole.policy_templates.length : -1;
  if (count === pieces) return [];
  const message = `the file reads as ${pieces} policies, but Cedar finds ${count}`;
  return [{ line: 1, column: 1, message, hint: 'write each policy on lines of its own', severity: 'error' }];
}

/** A mistake of `validatePolicies`, with the policy it is in; none where the schema itself is at fault. */
export interface ValidationMistake extends CedarMistake {
  readonly policy: string | null;
}

/**
 * Checks policies strictly against a Cedar schema (text in the human format). Places are those of the file that
 * the policies were parsed from. Ids must be unique over all policies given.
 */
export function validatePolicies(policies: readonly ParsedPolicy[], schema: string): ValidationMistake[] {
  const byId = new Map(policies.map((policy) => [policy.id, policy]));
  const answer = cedar().validate({
    validationSettings: { mode: 'strict' },
    schema,
    policies: { staticPolicies: Object.fromEntries(policies.map(({ id, text }) => [id, text])) },
  });
  if (answer.type === 'failure') {
    const top = { line: 1, column: 1 };
    return answer.errors.map((error) => ({ ...mistakeOf(error, schema, top, 'error'), policy: null }));
  }
  const place = (severity: 'error' | 'warning') => (found: { policyId: string; error: DetailedError }) => {
    const policy = byId.get(found.policyId);
    const at = { line: policy?.line ?? 1, column: policy?.column ?? 1 };
    return { ...mistakeOf(found.error, policy?.text ?? '', at, severity), policy: policy?.id ?? null };
  };
  const elsewhere = (error: DetailedError): ValidationMistake => ({
    ...mistakeOf(error, '', { line: 1, column: 1 }, 'warning'),
    policy: null,
  });
  return [
    ...answer.validationErrors.map(place('error')),
    ...answer.validationWarnings.map(place('warning')),
    ...answer.otherWarnings.map(elsewhere),
  ];
}

function mistakeOf(
  error: DetailedError,
  text: string,
  at: { readonly line: number; readonly column: number },
  severity: 'error' | 'warning',
): CedarMistake {
  const source = error.sourceLocations?.[0];
  const inside =
    source === undefined ? { line: 1, column: 1 } : placesIn(text)(indexOfByte(text, source.start));
  const line = at.line + inside.line - 1;
  const column = inside.line === 1 ? at.column + inside.column - 1 : inside.column;
  const hint = error.help ?? source?.label ?? null;
  const message = error.message.replace(/^failed to parse (policy|template|schema)[^:]*: /, '');
  return { line, column, message, severity, ...(hint === null ? {} : { hint }) };
}

/** What the official engine answered: sorted ids of the determining policies and of those that erred. */
export interface EngineAnswer {
  readonly decision: 'allow' | 'deny';
  readonly reasons: readonly string[];
  readonly errors: readonly { readonly policy: string; readonly message: string }[];
}

/** A set of policies parsed once by the official engine. Not for the hot path. */
export class EngineOracle {
  private readonly name: string;
  private readonly literals: readonly string[];
  private readonly actionAncestors: ReadonlyMap<string, ReadonlySet<string>>;
  private readonly staticPolicies: Record<string, string | PolicyJson> = {};
  private generation: number;

  /**
   * @param name of the set in the engine, which keeps one set for each name for the life of the process.
   * @param policies as text, or in the JSON format, where bigints stand for integers beyond 2^53.
   */
  constructor(
    name: string,
    policies: readonly { readonly id: string; readonly policy: string | PolicyJson }[],
    actionAncestors: ReadonlyMap<string, ReadonlySet<string>> = new Map(),
  ) {
    this.name = name;
    this.actionAncestors = actionAncestors;
    const literals = new Set<string>();
    for (const { id, policy } of policies) {
      entitiesIn(typeof policy === 'string' ? jsonOf(policy) : policy, literals);
      this.staticPolicies[id] = typeof policy === 'string' ? policy : (forEngine(policy) as PolicyJson);
    }
    this.literals = [...literals];
    this.generation = this.parse();
  }

  private parse(): number {
    const answer = cedar().preparsePolicySet(this.name, { staticPolicies: this.staticPolicies });
    if (answer.type === 'failure')
      throw new Error(`cedar: ${answer.errors.map((it) => it.message).join('; ')}`);
    return cedarGeneration();
  }

  /** Judges a request by the whole set; `unknown` when one of its facts is UNKNOWN. */
  authorize(request: DecisionRequest): EngineAnswer | 'unknown' {
    const marshalled = marshalRequest(request, this.literals, this.actionAncestors);
    return marshalled === 'unknown' ? 'unknown' : this.authorizeMarshalled(marshalled);
  }

  /** The same for a request that was marshalled before. */
  authorizeMarshalled(request: EngineRequest): EngineAnswer {
    if (this.generation !== cedarGeneration()) this.generation = this.parse();
    const answer = cedar().statefulIsAuthorized({ ...request, preparsedPolicySetId: this.name });
    if (answer.type === 'failure')
      throw new Error(`cedar: ${answer.errors.map((it) => it.message).join('; ')}`);
    const { decision, diagnostics } = answer.response;
    const errors = diagnostics.errors.map((it) => ({ policy: it.policyId, message: it.error.message }));
    errors.sort((a, b) => (a.policy < b.policy ? -1 : 1));
    return { decision, reasons: [...diagnostics.reason].sort(), errors };
  }
}

function jsonOf(text: string): unknown {
  const answer = cedar().policyToJson(text);
  if (answer.type === 'failure')
    throw new Error(`cedar: ${answer.errors.map((it) => it.message).join('; ')}`);
  return answer.json;
}

/**
 * Judges single policies by the official engine, from their texts: printed as JSON they may have lost the last
 * digits of an integer. A policy is parsed when it is first asked for.
 */
export function engineFallback(
  policies: readonly { readonly id: string; readonly text: string }[],
  actionAncestors: ReadonlyMap<string, ReadonlySet<string>>,
): PolicyFallback {
  const texts = new Map(policies.map(({ id, text }) => [id, text]));
  const oracles = new Map<string, EngineOracle>();
  return (id, request) => {
    const text = texts.get(id);
    if (text === undefined) return { error: `the engine was not given policy ${id}` };
    try {
      let oracle = oracles.get(id);
      if (oracle === undefined) {
        const name = `fallback:${createHash('sha256').update(text).digest('hex')}`;
        oracle = new EngineOracle(name, [{ id: 'policy', policy: text }], actionAncestors);
        oracles.set(id, oracle);
      }
      const answer = oracle.authorize(request);
      if (answer === 'unknown') return 'unknown';
      const [error] = answer.errors;
      if (error !== undefined) return { error: error.message };
      return answer.reasons.length > 0 ? 'true' : 'false';
    } catch (error) {
      return { error: error instanceof Error ? error.message : String(error) };
    }
  };
}
