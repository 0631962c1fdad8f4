// What the commands may do to the outside: write, and ask the person in front of them.

/** Built in main.ts over the process's streams; tests hand in their own. */
export interface Terminal {
  /** Writes a text and a line break to standard output. */
  out(text: string): void;
  /** Writes a text and a line break to standard error. */
  err(text: string): void;
  /** Shows the question and answers the line typed; null when nobody can be asked (no terminal). */
  ask(question: string): Promise<string | null>;
  /** All of standard input; on a terminal the hint is shown first, and what is typed is not. */
  input(hint: string): Promise<string>;
}
