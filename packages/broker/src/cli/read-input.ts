// Reads all of standard input; on a terminal what is typed is not shown.
import type { ReadStream } from 'node:tty';

const END = '\u0004';
const INTERRUPT = '\u0003';
const ERASE = /[\b\u007f]/;

/** Resolves with the text up to the end of input; '' where a person breaks it off. `hint` is shown on a terminal. */
export async function readInput(
  stdin: ReadStream,
  hint: (text: string) => void,
  text: string,
): Promise<string> {
  stdin.setEncoding('utf8');
  if (!stdin.isTTY) return (await stdin.toArray()).join('');
  hint(text);
  stdin.setRawMode(true);
  let typed = '';
  try {
    for await (const keys of stdin) {
      for (const key of String(keys)) {
        if (key === INTERRUPT) return '';
        if (key === END) return typed;
        if (ERASE.test(key)) typed = typed.slice(0, -1);
        else typed += key === '\r' ? '\n' : key;
      }
    }
    return typed;
  } finally {
    stdin.setRawMode(false);
    hint('\n');
  }
}
