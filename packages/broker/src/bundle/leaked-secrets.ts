// Finds secrets that were written into files of the bundle: whoever has a clone has them. Never quotes what it found.
import type { Json } from '@countersign/contract/json.ts';
import { escapeStep } from '#rules/schema-parts.ts';
import type { Mistakes } from './mistake.ts';

const SECRET_NAME = /(token|secret|passw(or)?d|api_?key|credential|private_?key)/i;
/** Texts that are secrets, whatever they are called. Best effort. */
export const SECRET_FORMS: readonly RegExp[] = [
  /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
  /\b(sk|rk|pk)_(live|test)_[A-Za-z0-9]{8,}/,
  /\bgh[pousr]_[A-Za-z0-9]{20,}/,
  /\bxox[abprs]-[A-Za-z0-9-]{10,}/,
  /\b(AKIA|ASIA)[0-9A-Z]{16}\b/,
  /\bAIza[0-9A-Za-z_-]{30,}/,
  /\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\./,
  /:\/\/[^/\s:@]+:[^/\s@]+@/,
  /\b[Bb]earer [A-Za-z0-9._~+/-]{16,}/,
];

type Wrong = (pointer: string, message: string, hint?: string) => void;

/** Values of a connector file. Best effort, against slips. */
export function leakedSecrets(value: Json, pointer: string, wrong: Wrong): void {
  if (typeof value === 'string') {
    const name = pointer.slice(pointer.lastIndexOf('/') + 1);
    const named = SECRET_NAME.test(name) && pointer.includes('/env/') && value.length > 0;
    if (named || SECRET_FORMS.some((form) => form.test(value))) {
      wrong(
        pointer,
        'this looks like a secret',
        'put it in credential.value as env:NAME, file:path or sealed:NAME',
      );
    }
  } else if (Array.isArray(value)) {
    value.forEach((item, index) => {
      leakedSecrets(item, `${pointer}/${index}`, wrong);
    });
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value))
      leakedSecrets(item, `${pointer}/${escapeStep(key)}`, wrong);
  }
}

/** The text of any other file, its comments too: in each line the first thing of a secret's form. Best effort. */
export function secretsInText(file: string, text: string, mistakes: Mistakes): void {
  text.split('\n').forEach((line, index) => {
    const columns = SECRET_FORMS.map((form) => line.search(form)).filter((at) => at >= 0);
    if (columns.length === 0) return;
    const at = { line: index + 1, column: Math.min(...columns) + 1 };
    mistakes.error(file, at, 'this looks like a secret', 'replace it: it must be taken as known to others');
  });
}
