// Tells secrets in a client's configuration from settings: what may be one is moved out, never copied into the bundle.
import { SECRET_FORMS } from './leaked-secrets.ts';

const SECRET_NAME =
  /token|secret|passw|pwd|api.?key|access.?key|credential|private|auth|cookie|session|signature|dsn|(^|_)(key|pat|pass)$/i;
const SECRET_OPTION = /^--?[\w-]*(token|secret|passw|api-?key|credential|auth)[\w-]*/i;

/** `Password=...;` as in connection strings, whatever the whole is called. */
const SECRET_PART = /(passw(or)?d|pwd|secret|token|api.?key)=[^;&\s]/i;
/** One long word of both cases and digits: no path, no package and no flag looks like this. */
const SECRET_WORD = /^(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[A-Za-z0-9_]{24,}$/;

/** Errs on the side of "it is one": a setting in a file is a nuisance, a secret in the bundle is in every clone. */
export function isSecret(name: string, value: string): boolean {
  if (value === '') return false;
  if (SECRET_NAME.test(name) || SECRET_PART.test(value)) return true;
  if (SECRET_FORMS.some((form) => form.test(value))) return true;
  const opaque = /^[A-Za-z0-9_+/=.~-]{20,}$/.test(value) && /[0-9]/.test(value) && /[A-Za-z]/.test(value);
  return opaque && !/^\.{0,2}\//.test(value);
}

/** The option among the arguments that carries a secret, or null. Never quotes the value. */
export function secretArgument(args: readonly string[]): string | null {
  for (const arg of args) {
    const option = SECRET_OPTION.exec(arg)?.[0];
    if (option !== undefined) return option;
    const value = arg.startsWith('-') ? arg.slice(arg.indexOf('=') + 1) : arg;
    const forms = [...SECRET_FORMS, SECRET_PART, SECRET_WORD];
    if (forms.some((form) => form.test(value))) return 'an argument';
  }
  return null;
}

/** `${NAME}` and `${env:NAME}` stand for a variable of the environment. */
export function variableNamed(value: string): string | null {
  return /^\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)\}$/.exec(value)?.[1] ?? null;
}
