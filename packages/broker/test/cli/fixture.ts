// Runs the command in this process: a terminal that remembers, and answers that a test gives.
import type { Commands } from '#cli/program.ts';
import { runProgram } from '#cli/program.ts';
import type { ServeOptions } from '#cli/serve.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** Questions that were asked. */
  readonly asked: readonly string[];
  readonly served: readonly ServeOptions[];
}

export interface RunOptions {
  readonly environment?: Commands['environment'];
  /** What the person types; null: nobody is there. */
  readonly answer?: string | null;
  /** What the person types, question by question; after the last one nobody is there. */
  readonly answers?: readonly string[];
  /** What comes on standard input. */
  readonly input?: string;
  readonly serve?: Commands['serve'];
}

export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const out: string[] = [];
  const err: string[] = [];
  const asked: string[] = [];
  const served: ServeOptions[] = [];
  const code = await runProgram(argv, {
    environment: options.environment ?? {},
    serve: options.serve ?? (async (given) => void served.push(given)),
    terminal: {
      out: (text) => out.push(text),
      err: (text) => err.push(text),
      ask: async (question) => {
        asked.push(question);
        return options.answers?.[asked.length - 1] ?? options.answer ?? null;
      },
      input: async () => options.input ?? '',
    },
  });
  return { code, out: out.join('\n'), err: err.join('\n'), asked, served };
}
