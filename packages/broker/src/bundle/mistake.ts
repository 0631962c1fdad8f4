// Gathers the mistakes of a bundle, all of them, and writes them as editors and people read them.
import { nearestName } from '#rules/nearest.ts';
import type { Mistake } from './bundle.ts';

export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Collects mistakes while a bundle is read; nothing stops at the first. */
export class Mistakes {
  readonly #found: Mistake[] = [];

  error(file: string, at: Position, message: string, hint?: string): void {
    this.#add(file, at, message, hint, 'error');
  }

  warn(file: string, at: Position, message: string, hint?: string): void {
    this.#add(file, at, message, hint, 'warning');
  }

  #add(file: string, at: Position, message: string, hint: string | undefined, severity: Mistake['severity']) {
    const { line, column } = at;
    this.#found.push({ file, line, column, message, severity, ...(hint === undefined ? {} : { hint }) });
  }

  get hasErrors(): boolean {
    return this.#found.some((it) => it.severity === 'error');
  }

  /** Sorted by file, line and column; one mistake said twice is one mistake. */
  all(): Mistake[] {
    const seen = new Map(this.#found.map((it) => [formatMistake(it), it]));
    return [...seen.values()].sort(
      (a, b) =>
        compare(a.file, b.file) ||
        a.line - b.line ||
        a.column - b.column ||
        compare(a.severity, b.severity) ||
        compare(a.message, b.message),
    );
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** `tools/refund.yaml:12:7 error: unknown key "sumary"; did you mean "summary"?` */
export function formatMistake(mistake: Mistake): string {
  const { file, line, column, severity, message, hint } = mistake;
  return `${file}:${line}:${column} ${severity}: ${message}${hint === undefined ? '' : `; ${hint}`}`;
}

/** The hint for a name that is not known: the nearest one, or all of them when they are few. */
export function hintFor(name: string, known: Iterable<string>): string | undefined {
  const names = [...known];
  const near = nearestName(name, names);
  if (near !== undefined) return `did you mean "${near}"?`;
  if (names.length === 0) return 'there is none';
  return names.length <= 12 ? `known: ${names.sort().join(', ')}` : undefined;
}
