// Writes path parameters into a path template; refuses every value that a server could take for another path.
import type { Json } from '@countersign/contract/json.ts';

export type Filled =
  | { readonly ok: true; readonly path: string }
  | { readonly ok: false; readonly reason: string };

const SEGMENT_MAX = 1_024;

/** `base`: path of the server's base URL. Every placeholder of the template needs a value. */
export function fillPath(base: string, template: string, values: Readonly<Record<string, Json>>): Filled {
  let reason: string | null = null;
  const path = template.replace(/\{([^{}]*)\}/g, (_, name: string) => {
    const value = Object.hasOwn(values, name) ? values[name]! : null;
    const fault = segmentFault(value);
    if (fault !== null) {
      reason ??= `path parameter "${name}" ${fault}`;
      return '';
    }
    return encodeURIComponent(String(value));
  });
  if (reason !== null) return { ok: false, reason };
  const whole = base.replace(/\/$/, '') + path;
  // INVARIANT: two placeholders of one segment could spell together what neither spells alone.
  const odd = path
    .split('/')
    .slice(1)
    .find((segment) => hidesDots(decodeURIComponent(segment)));
  if (!path.startsWith('/') || odd !== undefined || path.includes('//') || !staysPut(whole))
    return { ok: false, reason: 'the filled path is not the one that was described' };
  return { ok: true, path: whole };
}

/** Why a value cannot be one segment of a path; null when it can. Names no value. */
function segmentFault(value: Json): string | null {
  if (typeof value === 'boolean') return null;
  if (typeof value === 'number') return Number.isSafeInteger(value) ? null : 'is not a whole number';
  if (typeof value !== 'string') return 'must be text or a number';
  if (value === '') return 'is empty';
  if (value.length > SEGMENT_MAX) return `is longer than ${SEGMENT_MAX} characters`;
  if (!value.isWellFormed()) return 'holds half a character';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  if (/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]/.test(value))
    return 'holds a control or invisible character';
  // Some servers decode twice: what is already encoded would come out as something else.
  if (/%[0-9a-f]{2}/i.test(value)) return 'is percent-encoded already';
  // Some fold wide forms: U+FF0F and U+2215 become a slash, U+FF0E a dot.
  for (const form of [value, value.normalize('NFKC'), value.replaceAll(/[\u2215\u2044\u29f8]/g, '/')]) {
    if (/[/\\]/.test(form)) return 'holds a slash';
    if (hidesDots(form)) return 'is a step to another path';
  }
  return null;
}

/** `.` and `..`, also with a path parameter behind (`..;x`), which some servers cut off before they resolve dots. */
function hidesDots(segment: string): boolean {
  const bare = segment.split(';', 1)[0]!.trim();
  return bare === '.' || bare === '..';
}

/** A URL parser finds nothing to rewrite. */
function staysPut(path: string): boolean {
  const url = `https://host.invalid${path}`;
  return URL.canParse(url) && new URL(url).pathname === path;
}
