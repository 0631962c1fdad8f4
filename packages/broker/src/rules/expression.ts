// The shape of compiled expressions and templates, and the scope that they read.

/** Values an expression may read. Which keys are present depends on where it stands in the manifest. */
export interface Scope {
  readonly args?: unknown;
  readonly prepared?: unknown;
  readonly bound?: unknown;
  readonly claimed?: unknown;
  readonly cost?: unknown;
  readonly call?: { readonly id: string; readonly label: string };
  readonly run?: { readonly id: string; readonly tenant: string; readonly agent: string };
  readonly now?: number;
  readonly response?: unknown;
  readonly verify?: unknown;
  readonly lookup?: unknown;
  readonly sideEffect?: unknown;
  /** HTTP status and listed headers of an answer. */
  readonly status?: number;
  readonly headers?: unknown;
}

/** A CEL expression, parsed once. `evaluate` answers plain JSON values and throws on a CEL error. */
export interface Expression {
  readonly source: string;
  /** Top-level names of the scope that the expression reads, e.g. `args`, `prepared`. */
  readonly reads: ReadonlySet<string>;
  evaluate(scope: Scope): unknown;
}

/** A literal tree in which a leaf beginning with `=` was CEL; `fill` answers the tree with values in place. */
export interface Template {
  readonly reads: ReadonlySet<string>;
  fill(scope: Scope): unknown;
}

/** What an expression answers, or undefined where it fails; CEL itself answers no undefined. */
export function tryEvaluate(expression: Expression, scope: Scope): unknown {
  try {
    return expression.evaluate(scope);
  } catch {
    return undefined;
  }
}
