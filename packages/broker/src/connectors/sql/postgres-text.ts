// Reads PostgreSQL text far enough to check it, and rewrites its named parameters to the numbered ones of the wire.
import type { SqlText } from './sql-text.ts';

export interface PostgresText extends SqlText {
  /** The statement without comments and semicolons, `:name` as `$n`. */
  readonly text: string;
  /** Names in the order of their numbers. */
  readonly order: readonly string[];
}

/**
 * One token. White space is what PostgreSQL calls so: every other character above ASCII belongs to a name there.
 * Literals with escapes of their own (E'', U&'', $$) are not read but refused: `'...'` says everything they say.
 */
const TOKEN =
  /([ \t\n\r\f\v]+|--[^\n\r]*|\/\*[\s\S]*?(?:\*\/|$))|([eEbBxXnN]'|[uU]&['"])|('(?:[^']|'')*')|("(?:[^"]|"")*")|([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)|(::)|(:[A-Za-z_]\w*)|(\$\w*)|(\d[\w.]*)|(;)|([\s\S])/gy;

/** Never throws; what cannot be accepted is in `mistakes`. */
export function readPostgresText(source: string): PostgresText {
  const names = new Set<string>();
  const order: string[] = [];
  const mistakes: string[] = [];
  let statements = 0;
  let inStatement = false;
  let verb = '';
  let text = '';
  for (const match of source.matchAll(TOKEN)) {
    const [whole, space, special, , quoted, name, , param, dollar, , semicolon, other] = match;
    if (space !== undefined) {
      mistakes.push(...commentMistakes(space));
      text += ' ';
      continue;
    }
    if (semicolon !== undefined) {
      inStatement = false;
      text += ' ';
      continue;
    }
    if (!inStatement) statements++;
    inStatement = true;
    if (verb === '') verb = (name ?? whole).toLowerCase();
    text += param === undefined ? whole : `$${numberOf(param.slice(1), order)}`;
    if (name !== undefined) names.add(name.toLowerCase());
    else if (quoted !== undefined) names.add(quoted.slice(1, -1).toLowerCase());
    else if (special !== undefined) mistakes.push(`${special}: only plain '...' literals are accepted`);
    else if (dollar !== undefined)
      mistakes.push(`"${dollar}": only named parameters like :name and plain '...' literals are accepted`);
    else if (other === "'" || other === '"') mistakes.push(`a ${other} is not closed`);
    else if (other === '\0') mistakes.push('a zero character');
  }
  return { statements, verb, names, params: new Set(order), mistakes, text: text.trim(), order };
}

/** Comments nest in PostgreSQL: a second opening would move the end to where a reader does not see it. */
function commentMistakes(space: string): string[] {
  if (!space.startsWith('/*')) return [];
  if (!space.endsWith('*/') || space.length < 4) return ['a comment is not closed'];
  return space.includes('/*', 2) ? ['a comment inside a comment'] : [];
}

function numberOf(name: string, order: string[]): number {
  const known = order.indexOf(name);
  return known === -1 ? order.push(name) : known + 1;
}
