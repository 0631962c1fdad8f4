// How the mistakes of a bundle are printed: one a line, in the form that editors and CI jump to.
import type { Mistake } from '#bundle/bundle.ts';
import { printable } from './printable.ts';

/** `file:line:column: error: message (hint)`, in the order of the files. */
export function mistakeLine(mistake: Mistake): string {
  const { file, line, column, severity, message, hint } = mistake;
  return printable(
    `${file}:${line}:${column}: ${severity}: ${message}${hint === undefined ? '' : ` (${hint})`}`,
  );
}

export function countOf(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
