// Reads SQL text far enough to know its statements, words and named parameters, without running it.

export interface SqlText {
  /** Statements that hold anything besides comments. */
  readonly statements: number;
  /** First word, lower case. */
  readonly verb: string;
  /** Every bare or quoted name outside string literals, lower case. */
  readonly names: ReadonlySet<string>;
  /** Named parameters without the colon. */
  readonly params: ReadonlySet<string>;
  /** What cannot be accepted in any operation: other parameter styles, unfinished literals. */
  readonly mistakes: readonly string[];
}

/** One token: white space, comments, literals, quoted names, names, parameters, and single other characters. */
const TOKEN =
  /(\s+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|('(?:[^']|'')*')|("(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])|([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)|(:[A-Za-z_]\w*)|([?@$#:]\w*)|(\d[\w.]*)|(;)|([\s\S])/gy;

export function readSqlText(text: string): SqlText {
  const names = new Set<string>();
  const params = new Set<string>();
  const mistakes: string[] = [];
  let statements = 0;
  let inStatement = false;
  let verb = '';
  for (const match of text.matchAll(TOKEN)) {
    const [whole, space, , quoted, name, param, otherParam, , semicolon, other] = match;
    if (space !== undefined) {
      if (space.startsWith('/*') && !space.endsWith('*/')) mistakes.push('a comment is not closed');
      continue;
    }
    if (semicolon !== undefined) {
      inStatement = false;
      continue;
    }
    if (!inStatement) statements++;
    inStatement = true;
    if (verb === '') verb = (name ?? whole).toLowerCase();
    if (name !== undefined) names.add(name.toLowerCase());
    else if (quoted !== undefined) names.add(quoted.slice(1, -1).toLowerCase());
    else if (param !== undefined) params.add(param.slice(1));
    else if (otherParam !== undefined)
      mistakes.push(`parameter "${otherParam}": only named parameters like :name are accepted`);
    else if (other === "'" || other === '"' || other === '`' || other === '[')
      mistakes.push(`a ${other} is not closed`);
    else if (other === '\0') mistakes.push('a zero character');
  }
  return { statements, verb, names, params, mistakes };
}
