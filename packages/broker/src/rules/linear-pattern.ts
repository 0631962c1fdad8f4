// Compiles a pattern of JSON Schema: it means what ECMA-262 says in Unicode mode, and costs linear time.
import { RE2JS } from 're2js';

export interface Pattern {
  test(text: string): boolean;
}

/** White space and line terminators of ECMA-262 §22.2.2.9; RE2's own `\s` knows five of them. */
const SPACE =
  '\\x09-\\x0d\\x20\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}';
const NO_SPACE =
  '\\x00-\\x08\\x0e-\\x1f\\x21-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}' +
  '\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}';
const ANY_BUT_LINE_END = '[^\\n\\r\\x{2028}\\x{2029}]';

/** Names of the general categories that people write out; RE2 knows the short ones. */
const CATEGORIES: Readonly<Record<string, string>> = {
  ...{ Letter: 'L', Uppercase_Letter: 'Lu', Lowercase_Letter: 'Ll', Titlecase_Letter: 'Lt' },
  ...{ Modifier_Letter: 'Lm', Other_Letter: 'Lo', Mark: 'M', Nonspacing_Mark: 'Mn', Spacing_Mark: 'Mc' },
  ...{ Enclosing_Mark: 'Me', Number: 'N', Decimal_Number: 'Nd', digit: 'Nd', Letter_Number: 'Nl' },
  ...{ Other_Number: 'No', Punctuation: 'P', punct: 'P', Symbol: 'S', Currency_Symbol: 'Sc' },
  ...{ Math_Symbol: 'Sm', Separator: 'Z', Space_Separator: 'Zs', Control: 'Cc', Format: 'Cf' },
};

/** Throws with the reason when the text is no pattern of ECMA-262, or none that linear time can match. */
export function compilePattern(source: string): Pattern {
  // A pattern that only RE2 can read would mean nothing, or something else, to everybody who is shown the schema.
  new RegExp(source, 'u');
  const compiled = RE2JS.compile(toRe2(source));
  return { test: (text) => compiled.test(text) };
}

/** INVARIANT: the source is well formed in Unicode mode, so a backslash never ends it and every bracket is closed. */
function toRe2(source: string): string {
  let out = '';
  let inClass = false;
  for (let at = 0; at < source.length; ) {
    const character = source[at]!;
    if (character === '\\') {
      const { written, end } = escapeOf(source, at, inClass);
      out += written;
      at = end;
      continue;
    }
    if (inClass) {
      if (character === ']') inClass = false;
      // RE2 would read `[:alpha:]` inside brackets as a class of POSIX.
      out += character === '[' ? '\\[' : character;
    } else if (character === '[') {
      if (/^\[\^?\]/.test(source.slice(at, at + 3))) throw new Error('empty brackets are not accepted');
      inClass = true;
      out += character;
    } else if (character === '(' && /^\(\?[a-z-]/.test(source.slice(at, at + 3))) {
      throw new Error('flags inside a pattern are not accepted');
    } else out += character === '.' ? ANY_BUT_LINE_END : character;
    at++;
  }
  return out;
}

function escapeOf(source: string, at: number, inClass: boolean): { written: string; end: number } {
  const letter = source[at + 1]!;
  const end = at + 2;
  switch (letter) {
    case 's':
      return { written: inClass ? SPACE : `[${SPACE}]`, end };
    case 'S':
      return { written: inClass ? NO_SPACE : `[^${SPACE}]`, end };
    case 'b':
      return { written: inClass ? '\\x08' : '\\b', end };
    case '0':
      return { written: '\\x00', end };
    case 'c':
      return { written: `\\x{${(source.charCodeAt(end) % 32).toString(16)}}`, end: end + 1 };
    case 'u':
      return unicodeEscape(source, at);
    case 'p':
    case 'P': {
      const close = source.indexOf('}', at);
      const name = source.slice(at + 3, close).replace(/^(?:General_Category|gc|Script|sc)=/, '');
      return { written: `\\${letter}{${CATEGORIES[name] ?? name}}`, end: close + 1 };
    }
    default:
      return { written: `\\${letter}`, end };
  }
}

/** `\uXXXX`, a pair of them for one character, or `\u{X}`. */
function unicodeEscape(source: string, at: number): { written: string; end: number } {
  const [text, braced, high, low] =
    /^\\u(?:\{([0-9a-fA-F]+)\}|([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|[0-9a-fA-F]{4})/.exec(
      source.slice(at, at + 16),
    )!;
  const point =
    high !== undefined && low !== undefined
      ? String.fromCharCode(Number.parseInt(high, 16), Number.parseInt(low, 16)).codePointAt(0)!
      : Number.parseInt(braced ?? text.slice(2), 16);
  if (point >= 0xd800 && point <= 0xdfff) throw new Error('half of a surrogate pair is no character');
  return { written: `\\x{${point.toString(16)}}`, end: at + text.length };
}
