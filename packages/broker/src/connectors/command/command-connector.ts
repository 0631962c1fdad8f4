// The connector to one program of the machine: reviewed arguments, no shell, a sandbox without network, hard limits.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { ConnectorSpec } from '#bundle/bundle.ts';
import { bindsOf, type Tool } from '#rules/tool.ts';
import type { Attempt, Connector, Drift, Reply } from '../connector.ts';
import { type ConnectorDeps, ConnectorRefused } from '../connector-deps.ts';
import { chooseIsolation, type Isolator } from '../isolation.ts';
import { tooDeep } from '../json-depth.ts';
import { redactReply } from '../redact-reply.ts';
import { type CommandSettings, readCommandOptions } from './command-options.ts';
import { type CommandOperation, checkCommandOperation, fillArguments } from './fill-arguments.ts';
import { type Ended, runProcess } from './run-process.ts';

/** Processes at a time; more are refused, not queued: each may use a core. */
const MOST_RUNNING = 8;
/** The kernel's number of the signal that ends a process over its processor time, as shells and bwrap report it. */
const BY_SIGNAL = 128;

/** Throws `ConnectorRefused` for wrong options, and where bubblewrap or the limits cannot be had. */
export async function createCommandConnector(spec: ConnectorSpec, deps: ConnectorDeps): Promise<Connector> {
  const settings = readCommandOptions(spec);
  const { program, read, write, limits } = settings;
  const isolate = (mode: Attempt['mode']): Promise<Isolator> => {
    const paths = mode === 'write' ? { read, write } : { read: [...read, ...write], write: [] };
    return chooseIsolation(program, { kind: 'bwrap', ...paths }, deps.protect, limits);
  };
  try {
    const isolators = { read: await isolate('read'), write: await isolate('write') };
    return new CommandConnector(spec.name, settings, isolators);
  } catch (error) {
    if (error instanceof ConnectorRefused)
      throw new ConnectorRefused(`connector ${spec.name}: ${error.message}`);
    throw error;
  }
}

class CommandConnector implements Connector {
  readonly kind = 'command';
  readonly name: string;
  readonly #settings: CommandSettings;
  readonly #isolators: Readonly<Record<Attempt['mode'], Isolator>>;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<Ended>>();

  constructor(
    name: string,
    settings: CommandSettings,
    isolators: Readonly<Record<Attempt['mode'], Isolator>>,
  ) {
    this.name = name;
    this.#settings = settings;
    this.#isolators = isolators;
  }

  drift(tool: Tool): Drift {
    for (const bind of bindsOf(tool)) {
      const reason = checkCommandOperation(bind.operation)[0];
      if (reason !== undefined) return { reason };
    }
    return null;
  }

  async attempt(attempt: Attempt): Promise<Reply> {
    const { credential, mode, inputs, timeout_ms } = attempt;
    const mistake = checkCommandOperation(attempt.operation)[0];
    if (mistake !== undefined) return { kind: 'not_sent', held_back: 'broker', reason: mistake };
    if (this.#closing.signal.aborted)
      return { kind: 'not_sent', held_back: 'broker', reason: 'the connector is closed' };
    if (attempt.signal.aborted) return { kind: 'not_sent', held_back: 'broker', reason: 'cancelled' };
    if (this.#running.size >= MOST_RUNNING)
      return {
        kind: 'not_sent',
        held_back: 'broker',
        reason: `${MOST_RUNNING} processes of this connector are already running`,
      };
    const operation = operationOf(attempt.operation);
    const argv = fillArguments(inputs['argv'], operation.values);
    if (typeof argv === 'string') return { kind: 'rejected', reason: argv };
    const stdin = inputs['stdin'] ?? '';
    if (typeof stdin !== 'string') return { kind: 'rejected', reason: 'stdin must be a text' };
    const env = { ...this.#settings.program.env, ...credential?.inject.env };
    // Of its own: closing ends what runs, and AbortSignal.any takes nothing less than whole signals.
    const ending = new AbortController();
    const end = (): void => ending.abort();
    for (const signal of [attempt.signal, this.#closing.signal]) signal.addEventListener('abort', end);
    const { output_bytes } = this.#settings;
    const running = this.#isolators[mode]
      .launch(env, (line) => line, argv)
      .then((launch) => runProcess(launch, stdin, { output_bytes, timeout_ms, signal: ending.signal }));
    this.#running.add(running);
    try {
      return redactReply(judge(await running, operation, mode), credential);
    } finally {
      for (const signal of [attempt.signal, this.#closing.signal]) signal.removeEventListener('abort', end);
      this.#running.delete(running);
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#running);
  }
}

function operationOf(operation: JsonObject): CommandOperation {
  return { output: 'text', ok_codes: [0], ...operation } as unknown as CommandOperation;
}

/** A write that was ended half-way, or whose answer cannot be read, is in doubt; a read was simply not answered. */
function judge(ended: Ended, operation: CommandOperation, mode: Attempt['mode']): Reply {
  if (ended.kind === 'not_started')
    return { kind: 'not_sent', reason: `it could not be started: ${ended.reason}` };
  const unreadable = (reason: string): Reply =>
    mode === 'read' ? { kind: 'rejected', reason } : { kind: 'unknown', reason, timed_out: false };
  if (ended.kind === 'ended')
    return ended.overflowed
      ? unreadable(ended.reason)
      : { kind: 'unknown', reason: ended.reason, timed_out: ended.timed_out };
  const { code } = ended;
  const [stdout, stderr] = [ended.stdout.toString('utf8'), ended.stderr.toString('utf8')];
  if (code > BY_SIGNAL && !operation.ok_codes.includes(code))
    return unreadable(`it was ended by signal ${code - BY_SIGNAL}, perhaps for its limits`);
  if (!operation.ok_codes.includes(code))
    return {
      kind: 'rejected',
      reason: `it ended with code ${code}`,
      detail: { exit_code: code, stdout, stderr },
    };
  if (operation.output === 'text') return { kind: 'ok', response: { exit_code: code, stdout, stderr } };
  const response = parsed(stdout);
  return response === undefined ? unreadable('its output is not JSON') : { kind: 'ok', response };
}

function parsed(text: string): Json | undefined {
  try {
    const value = JSON.parse(text) as Json;
    return tooDeep(value) ? undefined : value;
  } catch {
    return undefined;
  }
}
