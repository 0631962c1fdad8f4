// Faults between the broker and the desk: replies are changed or lost on their way, the desk itself stays real.
import type { Attempt, Connector, Reply } from '#connectors/connector.ts';
import type { Desk } from './desk.ts';

export interface Tampering {
  /** Attempts so far, in order, by what they were for. */
  readonly seen: ('read' | 'write')[];
  restore(): void;
}

/** `send` reaches the desk; what `fault` answers is what the walk hears. */
export function tamper(
  desk: Desk,
  fault: (attempt: Attempt, send: () => Promise<Reply>) => Reply | Promise<Reply>,
): Tampering {
  const { world } = desk.broker;
  const connector = world.connector(world.bundle(), 'desk') as Connector;
  const { attempt } = connector;
  const seen: ('read' | 'write')[] = [];
  connector.attempt = async (request) => {
    seen.push(request.mode);
    return fault(request, () => attempt.call(connector, request));
  };
  return {
    seen,
    restore() {
      connector.attempt = attempt;
    },
  };
}

export const LOST = { kind: 'unknown', reason: 'the reply was lost', timed_out: true } as const;
export const NOT_SENT = { kind: 'not_sent', reason: 'connection refused' } as const;
