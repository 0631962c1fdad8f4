// Decides whether the filled arguments of a command may be passed: a value never becomes an option.
import type { Json, JsonObject } from '@countersign/contract/json.ts';

export interface CommandOperation {
  /** `text`: `{exit_code, stdout, stderr}`. `json`: standard output, parsed. */
  readonly output: 'text' | 'json';
  /** Exit codes that mean success. */
  readonly ok_codes: readonly number[];
  /** For each argument, whether it was filled from the call; the others stand in the manifest as they are. */
  readonly values: readonly boolean[];
}

const MOST_BYTES = 100_000;

/** Mistakes of a bind, for people who write manifests; empty when it may run. */
export function checkCommandOperation(operation: JsonObject): string[] {
  const { output = 'text', ok_codes = [0], values } = operation;
  const mistakes: string[] = [];
  if (output !== 'text' && output !== 'json') mistakes.push('output must be text or json');
  if (!Array.isArray(ok_codes) || ok_codes.length === 0 || !ok_codes.every(isExitCode))
    mistakes.push('ok_codes must be a list of exit codes from 0 to 255');
  if (!Array.isArray(values)) mistakes.push('argv must be a list of arguments');
  return mistakes;
}

function isExitCode(code: Json): boolean {
  return typeof code === 'number' && Number.isInteger(code) && code >= 0 && code <= 255;
}

/** The arguments as texts, or why they are refused. Expects an operation without mistakes. */
export function fillArguments(
  argv: Json | undefined,
  values: readonly boolean[],
): readonly string[] | string {
  if (!Array.isArray(argv) || argv.length !== values.length) return 'the arguments do not fit their template';
  const filled: string[] = [];
  let optionsEnded = false;
  let bytes = 0;
  for (const [index, value] of argv.entries()) {
    const text = textOf(value);
    if (text === null) return `argument ${index + 1} must be a text, a finite number or a boolean`;
    if (text.includes('\0')) return `argument ${index + 1} holds a zero character`;
    if (values[index] && text.startsWith('-') && !optionsEnded)
      return `argument ${index + 1} begins with "-" and would be read as an option; values that may do so stand after a literal "--"`;
    optionsEnded ||= !values[index] && text === '--';
    bytes += Buffer.byteLength(text) + 1;
    filled.push(text);
  }
  return bytes > MOST_BYTES ? `the arguments are longer than ${MOST_BYTES} bytes` : filled;
}

function textOf(value: Json): string | null {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value)))
    return String(value);
  return null;
}
