// Makes text from elsewhere safe to show in a terminal: nothing in it can move the cursor, hide or reorder words.

/** Escapes controls, bidirectional and other format characters, odd separators and lone surrogates. */
export function printable(text: string): string {
  return text.replace(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`,
  );
}

/** JSON on one line, safe for a terminal. */
export function printableJson(value: unknown): string {
  return printable(JSON.stringify(value) ?? 'null');
}

/** `key: value` lines for an object, indented; nested values as JSON. */
export function printableFields(fields: Readonly<Record<string, unknown>>, indent = '  '): string {
  const keys = Object.keys(fields);
  if (keys.length === 0) return `${indent}(none)`;
  const width = Math.max(...keys.map((key) => printable(key).length));
  return keys
    .map((key) => {
      const value = fields[key];
      const shown = typeof value === 'string' ? printable(value) : printableJson(value);
      return `${indent}${printable(key).padEnd(width)}  ${shown}`;
    })
    .join('\n');
}

/** Rows under headings, columns aligned. */
export function printableTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const safe = rows.map((row) => row.map(printable));
  const widths = headings.map((heading, at) =>
    Math.max(heading.length, ...safe.map((row) => row[at]?.length ?? 0)),
  );
  return [headings, ...safe]
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** A moment as people read it: UTC, to the second. */
export function printableTime(at_ms: number): string {
  return new Date(at_ms).toISOString().replace('T', ' ').slice(0, 19);
}

/** 12000 EUR → `120.00 EUR`. Minor units as the broker keeps them, with the currency's usual two places. */
export function printableMoney(cost: { readonly minor: number; readonly currency: string }): string {
  const digits = String(Math.abs(cost.minor)).padStart(3, '0');
  const sign = cost.minor < 0 ? '-' : '';
  return printable(`${sign}${digits.slice(0, -2)}.${digits.slice(-2)} ${cost.currency}`);
}
