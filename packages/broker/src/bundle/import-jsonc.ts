// Reads JSON as editors write it: with comments and trailing commas, which are dropped before the parser sees them.
import type { Json } from '@countersign/contract/json.ts';

/** Throws SyntaxError for what is not JSON apart from comments and trailing commas. Offsets stay what they were. */
export function parseJsonc(text: string): Json {
  const bare = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  return JSON.parse(withoutTrailingCommas(withoutComments(bare))) as Json;
}

/** One alternative each: a text (kept), a comment to the end of the line, a comment in between. */
const TEXT_OR_COMMENT = /"(?:[^"\\]|\\.)*"|\/\/[^\n\r]*|\/\*[\s\S]*?\*\//g;
const TEXT_OR_COMMA = /"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])/g;

function withoutComments(text: string): string {
  return text.replace(TEXT_OR_COMMENT, (it) => (it.startsWith('"') ? it : it.replace(/[^\n\r]/g, ' ')));
}

function withoutTrailingCommas(text: string): string {
  return text.replace(TEXT_OR_COMMA, (it) => (it.startsWith('"') ? it : ' '));
}
