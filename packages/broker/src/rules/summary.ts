// The sentence that an approver reads, built from typed values; foreign text can neither lead nor disguise itself.
import type { Expression, Scope } from './expression.ts';

const LONGEST = 160;

/**
 * `<agent> wants to <parts>.` Strings are quoted, cut and escaped; amounts made by `money(…)` stand bare. Text with
 * letters outside the Latin script names the script, so that look-alikes show.
 */
export function summarize(agent: string, parts: readonly (string | Expression)[], scope: Scope): string {
  let sentence = `${agent} wants to `;
  for (const part of parts) {
    if (typeof part === 'string') sentence += part;
    else sentence += sayValue(part.evaluate(scope), part.source.trimStart().startsWith('money('));
  }
  return sentence.endsWith('.') ? sentence : `${sentence}.`;
}

/** What `money(…)` answers, and nothing that an expression may have put around it. */
const AMOUNT = /^-?\d+(\.\d+)? [A-Z]{3}$/;

function sayValue(value: unknown, amount: boolean): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (amount && typeof value === 'string' && AMOUNT.test(value)) return value;
  return quoteForeign(typeof value === 'string' ? value : JSON.stringify(value ?? null));
}

/** Quotes text of unknown origin: controls and bidirectional marks escaped, cut at 160 characters, scripts named. */
export function quoteForeign(text: string): string {
  const characters = [...text];
  const cut = characters.length > LONGEST;
  const shown = (cut ? characters.slice(0, LONGEST) : characters).map(escapeCharacter).join('');
  const scripts = foreignScripts(text);
  const mark = scripts.length > 0 ? ` [${scripts.join(', ')}]` : '';
  return `"${shown}${cut ? '…' : ''}"${mark}`;
}

function escapeCharacter(character: string): string {
  if (character === '"') return '\\"';
  if (character === '\\') return '\\\\';
  // Controls, format characters (bidirectional marks, joiners), separators other than a space, unassigned.
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(character) || (/\p{Zs}/u.test(character) && character !== ' ')) {
    return `\\u{${character.codePointAt(0)!.toString(16)}}`;
  }
  return character;
}

const SCRIPTS: readonly (readonly [string, RegExp])[] = [
  ['Cyrillic', /\p{Script=Cyrillic}/u],
  ['Greek', /\p{Script=Greek}/u],
  ['Armenian', /\p{Script=Armenian}/u],
  ['Cherokee', /\p{Script=Cherokee}/u],
  ['Hebrew', /\p{Script=Hebrew}/u],
  ['Arabic', /\p{Script=Arabic}/u],
  ['Han', /\p{Script=Han}/u],
  ['Hiragana', /\p{Script=Hiragana}/u],
  ['Katakana', /\p{Script=Katakana}/u],
  ['Hangul', /\p{Script=Hangul}/u],
  ['Thai', /\p{Script=Thai}/u],
  ['Devanagari', /\p{Script=Devanagari}/u],
];

function foreignScripts(text: string): string[] {
  if (!/[^\p{Script=Latin}\p{Script=Common}\p{Script=Inherited}]/u.test(text)) return [];
  const named = SCRIPTS.filter(([, pattern]) => pattern.test(text)).map(([name]) => name);
  return named.length > 0 ? named : ['other script'];
}
