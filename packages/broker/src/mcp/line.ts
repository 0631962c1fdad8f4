// The line to a caller that waits: one HTTP request, and what it says about how the caller may be told and asked.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { EventStream } from './event-stream.ts';
import { invalid, type WireRequest } from './read-envelope.ts';
import type { Session } from './sessions.ts';
import { META, type WireError } from './wire.ts';

/** One HTTP request and what hangs on it. */
export interface Line {
  /** Null when the client takes no streams: then it is told nothing before the result. */
  readonly stream: EventStream | null;
  /** True once the client is gone or has cancelled this request. */
  readonly left: () => boolean;
  /** Resolves with null when the client goes, or the server closes. */
  readonly gone: () => Promise<null>;
  readonly session: Session | null;
}

/** What a request says about the line, read once. */
export interface Terms {
  readonly progressToken: string | number | null;
  readonly log_level: string | null;
  readonly capabilities: JsonObject;
  readonly responses: JsonObject | null;
  readonly state: string | null;
}

export const LOG_LEVELS: readonly string[] = [
  ...['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'],
];

export function readTerms({ params, meta }: WireRequest, line: Line): Terms | { readonly error: WireError } {
  const { progressToken = null } = meta;
  if (progressToken !== null && typeof progressToken !== 'string' && typeof progressToken !== 'number')
    return { error: invalid('params._meta.progressToken: expected a string or a number', 200) };
  const { inputResponses: responses = null, requestState: state = null } = params;
  if (responses !== null && !isJsonObject(responses))
    return { error: invalid('params.inputResponses: expected an object', 200) };
  if (state !== null && typeof state !== 'string')
    return { error: invalid('params.requestState: expected a string', 200) };
  const capabilities = line.session?.capabilities ?? meta[META.clientCapabilities];
  return {
    progressToken,
    log_level: levelOf(line.session === null ? meta[META.logLevel] : line.session.log_level),
    capabilities: isJsonObject(capabilities) ? capabilities : {},
    responses,
    state,
  };
}

function levelOf(level: Json | undefined): string | null {
  return typeof level === 'string' && LOG_LEVELS.includes(level) ? level : null;
}
