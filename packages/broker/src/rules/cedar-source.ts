// Cuts a text of Cedar policies into single ones, and turns the engine's byte offsets into lines and columns.

/** One policy as it stands in its file. */
export interface PolicyText {
  readonly text: string;
  /** Index of the first character, in UTF-16 units. */
  readonly start: number;
}

/** A place in a text; both count from 1, columns in characters as editors count them (UTF-16 units). */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/**
 * Cuts at every `;` outside strings and comments, the one place where Cedar's grammar has it. Comments and
 * blank space before a policy are left out, so that a place at its start is where the policy starts. A rest
 * without `;` is answered too: the parser then says what is wrong with it.
 */
export function splitPolicies(text: string): PolicyText[] {
  const policies: PolicyText[] = [];
  let start: number | null = null;
  const token = /\/\/[^\n\r]*|"(?:[^"\\]|\\.)*"|;|\s+|./gs;
  for (const match of text.matchAll(token)) {
    const [part] = match;
    const blank = part.startsWith('//') || part.trim() === '';
    if (start === null && !blank) start = match.index;
    if (part !== ';' || start === null) continue;
    policies.push({ text: text.slice(start, match.index + 1), start });
    start = null;
  }
  if (start !== null) policies.push({ text: text.slice(start), start });
  return policies;
}

/** Answers the places of indexes (UTF-16 units) in one text. */
export function placesIn(text: string): (index: number) => Place {
  const starts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (index) => {
    let low = 0;
    let high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((starts[middle] as number) <= index) low = middle;
      else high = middle;
    }
    return { line: low + 1, column: index - (starts[low] as number) + 1 };
  };
}

/** The index (UTF-16 units) of the engine's offset, which counts the bytes of the text in UTF-8. */
export function indexOfByte(text: string, byte: number): number {
  return Buffer.from(text, 'utf8').subarray(0, byte).toString('utf8').length;
}
