// Puts one request of an upstream to a client in a session, on the stream of its own request, and waits for the answer.
import { randomUUID } from 'node:crypto';
import { isJsonObject, type JsonObject } from '@countersign/contract/json.ts';
import type { Asking } from '#connectors/connector.ts';
import type { Line } from './line.ts';
import { messageText } from './wire.ts';

const ANSWER_TIMEOUT_MS = 300_000;
const CAPABILITY_OF: Readonly<Record<string, string>> = {
  'elicitation/create': 'elicitation',
  'sampling/createMessage': 'sampling',
  'roots/list': 'roots',
};

/** Null when the client cannot be asked, refuses to answer with a result, takes too long, or has gone. */
export async function askClient(line: Line, { method, params }: Asking): Promise<JsonObject | null> {
  const { session, stream } = line;
  const capability = CAPABILITY_OF[method];
  if (session === null || stream === null || capability === undefined) return null;
  if (session.capabilities[capability] === undefined) return null;
  const id = randomUUID();
  let timer: NodeJS.Timeout | undefined;
  const answered = new Promise<JsonObject | null>((resolve) => {
    session.asked.set(id, resolve);
    timer = setTimeout(() => resolve(null), ANSWER_TIMEOUT_MS);
  });
  try {
    stream.send(messageText(method, params, id));
    const answer = await Promise.race([answered, line.gone()]);
    return isJsonObject(answer?.result) ? answer.result : null;
  } finally {
    clearTimeout(timer);
    session.asked.delete(id);
  }
}
