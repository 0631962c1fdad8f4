// Keeps one child process with a line protocol alive: starts it isolated, reads lines, restarts it with back-off.
import type { ConnectorLog } from '../connector-deps.ts';
import { type IsolatedProcess, spawnLaunch } from '../isolation/spawn-launch.ts';
import type { Launch } from '../isolation.ts';

export interface StdioChildOptions {
  readonly name: string;
  /** How to start it, asked before every start; environment and scratch folder included. */
  readonly launch: () => Promise<Launch>;
  /** Longest line accepted; a longer one ends the child. */
  readonly line_bytes: number;
  readonly log: ConnectorLog;
  readonly onLine: (line: string) => void;
  /** The process ended (or could not be started); everything sent to it is now unanswered. */
  readonly onGone: (reason: string) => void;
}

const BACKOFF_FIRST_MS = 200;
const BACKOFF_MOST_MS = 30_000;
/** A child that lived this long was healthy: the next restart is quick again. */
const HEALTHY_MS = 10_000;
/** Bytes that may wait in the pipe before the child counts as stuck. */
const MOST_WAITING_BYTES = 8 * 1024 * 1024;
const STDERR_LINE = 500;
const STDERR_LINES_PER_START = 50;

export class StdioChild {
  readonly #options: StdioChildOptions;
  #process: IsolatedProcess | null = null;
  #starting: Promise<string | null> | null = null;
  #launched: Launch | null = null;
  #startedAt = 0;
  #backoff_ms = 0;
  #notBefore = 0;
  #lastReason = '';
  #closed = false;

  constructor(options: StdioChildOptions) {
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Starts the child if it is not running; answers null or why there is none now. */
  start(): Promise<string | null> {
    if (this.#closed) return Promise.resolve('the connector is closed');
    if (this.#process !== null) return Promise.resolve(null);
    if (this.#starting === null && performance.now() < this.#notBefore)
      return Promise.resolve(`waiting before the next start; the last one ended: ${this.#lastReason}`);
    this.#starting ??= this.#spawn().finally(() => {
      this.#starting = null;
    });
    return this.#starting;
  }

  /** Writes one line; false: it did not leave the broker. */
  write(line: string): boolean {
    const child = this.#process;
    if (child === null || !child.stdin.writable || child.stdin.writableLength > MOST_WAITING_BYTES)
      return false;
    child.stdin.write(`${line}\n`);
    return true;
  }

  /** Ends the child now; what it was doing is unknown. */
  end(reason: string): void {
    const child = this.#process;
    if (child === null) return;
    this.#gone(child, reason);
    child.killWhole();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#starting?.catch(() => null);
    const child = this.#process;
    if (child === null) return;
    const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
    this.end('the connector was closed');
    await exited;
  }

  async #spawn(): Promise<string | null> {
    try {
      const launch = await this.#options.launch();
      if (this.#closed) {
        await launch.dispose();
        return 'the connector is closed';
      }
      const child = spawnLaunch(launch);
      this.#launched = launch;
      this.#process = child;
      this.#startedAt = performance.now();
      this.#listen(child);
      return null;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#delayNext(reason);
      return reason;
    }
  }

  #listen(child: IsolatedProcess): void {
    const lines = createLineReader(this.#options.line_bytes, this.#options.onLine, () =>
      this.end(`it wrote a line longer than ${this.#options.line_bytes} bytes`),
    );
    child.stdout.on('data', (chunk: Buffer) => {
      if (this.#process === child) lines(chunk);
    });
    this.#logStderr(child);
    child.stdin.on('error', () => undefined);
    child.on('error', (error) => this.#gone(child, `it could not be started: ${error.message}`));
    child.on('close', (code, signal) => this.#gone(child, `it ended with ${signal ?? `code ${code}`}`));
  }

  #logStderr(child: IsolatedProcess): void {
    let left = STDERR_LINES_PER_START;
    const { name, log } = this.#options;
    const reader = createLineReader(
      STDERR_LINE,
      (line) => {
        if (left-- > 0)
          log.info({ connector: name, stderr: this.#launched?.redact(line) ?? '' }, 'child process says');
      },
      () => undefined,
    );
    child.stderr.on('data', (chunk: Buffer) => {
      if (left > 0) reader(chunk);
    });
  }

  #gone(child: IsolatedProcess, reason: string): void {
    if (this.#process !== child) return;
    this.#process = null;
    const launch = this.#launched;
    this.#launched = null;
    if (performance.now() - this.#startedAt >= HEALTHY_MS) this.#backoff_ms = 0;
    this.#delayNext(reason);
    if (!this.#closed)
      this.#options.log.warn({ connector: this.#options.name, reason }, 'child process is gone');
    void launch?.dispose().catch(() => undefined);
    this.#options.onGone(reason);
  }

  #delayNext(reason: string): void {
    this.#lastReason = reason;
    this.#backoff_ms = Math.min(Math.max(BACKOFF_FIRST_MS, this.#backoff_ms * 2), BACKOFF_MOST_MS);
    this.#notBefore = performance.now() + this.#backoff_ms;
  }
}

/** Splits bytes into lines. A line above `most` bytes calls `onTooLong` and is dropped up to its end. */
export function createLineReader(
  most: number,
  onLine: (line: string) => void,
  onTooLong: () => void,
): (chunk: Buffer) => void {
  let parts: Buffer[] = [];
  let length = 0;
  let dropping = false;
  const add = (part: Buffer): void => {
    length += part.length;
    if (dropping) return;
    if (length > most) {
      dropping = true;
      parts = [];
      onTooLong();
    } else if (part.length > 0) parts.push(part);
  };
  return (chunk) => {
    let from = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      add(chunk.subarray(from, end));
      if (!dropping && length > 0) {
        const only = parts[0];
        onLine((parts.length === 1 && only !== undefined ? only : Buffer.concat(parts)).toString('utf8'));
      }
      parts = [];
      length = 0;
      dropping = false;
      from = end + 1;
    }
    if (from < chunk.length) add(chunk.subarray(from));
  };
}
