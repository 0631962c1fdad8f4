// Matches Cedar's `like` patterns, in which only `*` is special, in time linear in the text for each literal.

/** A pattern as the texts between its wildcards: `a*b` is `['a', 'b']`, no wildcard is one text. */
export type LikePattern = readonly string[];

/**
 * INVARIANT: patterns hold whole characters, so comparing UTF-16 units never matches half of one. Taking the
 * leftmost match of every middle text is enough, because a wildcard gives back nothing that it could need.
 */
export function matchesLike(text: string, pattern: LikePattern): boolean {
  const first = pattern[0] ?? '';
  if (pattern.length === 1) return text === first;
  const last = pattern[pattern.length - 1] ?? '';
  if (text.length < first.length + last.length) return false;
  if (!text.startsWith(first) || !text.endsWith(last)) return false;
  const end = text.length - last.length;
  let at = first.length;
  for (let index = 1; index < pattern.length - 1; index += 1) {
    const part = pattern[index] as string;
    const found = text.indexOf(part, at);
    if (found === -1 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
