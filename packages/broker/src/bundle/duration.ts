// Reads durations as bundle files write them: `500ms`, `30s`, `5m`, `2h`, `7d`.

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Milliseconds; the form was checked by the schema of the file. */
export function parseDuration(text: string): number {
  const match = /^([1-9][0-9]{0,8})(ms|s|m|h|d)$/.exec(text);
  if (match === null) throw new Error(`not a duration: ${text}`);
  return Number(match[1]) * units[match[2] as keyof typeof units];
}
