// Finds the known name that somebody most likely meant.

const LENGTH_MAX = 64;

/**
 * The known name with the smallest edit distance, when it is near enough to be a slip; else the only one that begins
 * with the name, as `amount` for `amount_minor`; otherwise undefined.
 */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  if (name.length > LENGTH_MAX) return undefined;
  const room = Math.max(1, Math.floor(name.length / 3));
  let best: string | undefined;
  let least = room + 1;
  const names = [...known];
  for (const candidate of names) {
    if (candidate === name || Math.abs(candidate.length - name.length) >= least) continue;
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  if (best !== undefined || name.length < 3) return best;
  const longer = names.filter((candidate) => candidate.startsWith(name) && candidate !== name);
  return longer.length === 1 ? longer[0] : undefined;
}

// Levenshtein with swaps of neighbours counted as one (optimal string alignment): `nmae` is one slip, not two.
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min(previous[j]! + 1, current[j - 1]! + 1, previous[j - 1]! + change);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, before[j - 2]! + 1);
      }
      current.push(cost);
    }
    before = previous;
    previous = current;
  }
  return previous[b.length]!;
}
