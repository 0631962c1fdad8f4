// The exit codes of the command, and the failure that carries one.

/** Documented in `countersign --help`. */
export const EXIT = {
  /** Done, or the answer is yes. */
  ok: 0,
  /** The answer is no: mistakes in the bundle, a failed case, a ledger that does not verify, a question declined. */
  no: 1,
  /** The command was given wrongly. */
  usage: 2,
  /** The broker refused. */
  refused: 3,
  /** No broker answered. */
  unreachable: 4,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends the command with a message on standard error. Never carries a secret. */
export class CliFailure extends Error {
  override readonly name = 'CliFailure';
  readonly exit: ExitCode;

  constructor(exit: ExitCode, message: string) {
    super(message);
    this.exit = exit;
  }
}
