// What a caller that is on the line may hear of an upstream, and be asked by it, as the connector's file allows.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { Asking, Credential, Demand, Talk } from '../connector.ts';
import { tooDeep } from '../json-depth.ts';
import { redactJson } from '../redact-reply.ts';
import { type Listening, MISSING_CAPABILITY, type Outcome } from './protocol.ts';

export interface Passing {
  /** An upstream may ask the caller for input before it acts. */
  readonly input: boolean;
  /** Log lines go on to the caller. */
  readonly logs: boolean;
}

/** An upstream that never stops telling is not listened to for longer. */
const MOST_NOTICES = 1_000;
const ASKABLE: readonly string[] = ['elicitation', 'sampling', 'roots'];
const METHODS: readonly string[] = ['elicitation/create', 'sampling/createMessage', 'roots/list'];
const MOST_REQUESTS = 16;

/** What a server of the 2025 era learns at the handshake. Whether a caller can be asked shows with each call. */
export function askableCapabilities(passing: Passing): JsonObject {
  return passing.input ? Object.fromEntries(ASKABLE.map((name) => [name, {}])) : {};
}

/** Undefined when there is nothing to listen for, so that such a call costs nothing more. */
export function listeningOf(
  talk: Talk | undefined,
  passing: Passing,
  credential: Credential | null,
): Listening | undefined {
  if (talk === undefined || (talk.notice === null && !passing.input)) return undefined;
  let left = MOST_NOTICES;
  return {
    capabilities: passing.input ? askable(talk.capabilities) : {},
    progress: talk.notice !== null,
    log_level: passing.logs ? talk.log_level : null,
    onNotification: (method, params) => {
      if (left-- <= 0) return;
      if (method === 'notifications/progress') tellProgress(talk, params);
      else if (passing.logs) tellMessage(talk, redactJson(params, credential));
    },
    ask: passing.input && talk.ask != null ? (asking) => askCaller(talk, asking, credential) : null,
  };
}

async function askCaller(
  talk: Talk,
  { method, params }: Asking,
  credential: Credential | null,
): Promise<JsonObject | null> {
  if (!METHODS.includes(method) || tooDeep(params)) return null;
  const result = (await talk.ask?.({ method, params: redactJson(params, credential) })) ?? null;
  return result === null || method !== 'elicitation/create' ? result : withDefaults(params, result);
}

/** What a caller accepts without filling it in takes the value that the form proposes (SEP-1034). */
function withDefaults({ requestedSchema }: JsonObject, result: JsonObject): JsonObject {
  if (result['action'] !== 'accept' || !isJsonObject(requestedSchema)) return result;
  const { properties } = requestedSchema;
  const proposed = Object.entries(isJsonObject(properties) ? properties : {}).flatMap(([name, schema]) =>
    isJsonObject(schema) && schema['default'] !== undefined ? [[name, schema['default']] as const] : [],
  );
  const given = isJsonObject(result['content']) ? result['content'] : {};
  return { ...result, content: { ...Object.fromEntries(proposed), ...given } };
}

/** JSON text of the further members of a request that answers an earlier demand. */
export function answerMembers(talk: Talk | undefined, passing: Passing): string {
  if (talk === undefined || !passing.input) return '';
  const responses = talk.responses === null ? '' : `,"inputResponses":${JSON.stringify(talk.responses)}`;
  return talk.state === null ? responses : `${responses},"requestState":${JSON.stringify(talk.state)}`;
}

/** What the upstream demands before it acts, or null. A demand of unknown form is none. */
export function demandOf(outcome: Outcome, passing: Passing, credential: Credential | null): Demand | null {
  if (!passing.input) return null;
  if (outcome.kind === 'error' && outcome.code === MISSING_CAPABILITY) {
    const required = isJsonObject(outcome.data) ? outcome.data['requiredCapabilities'] : undefined;
    return isJsonObject(required) ? { kind: 'capability', required: askable(required) } : null;
  }
  if (outcome.kind !== 'result' || !isJsonObject(outcome.result) || tooDeep(outcome.result)) return null;
  const { resultType, inputRequests: requests = {}, requestState: state = null } = outcome.result;
  if (resultType !== 'input_required' || !isJsonObject(requests)) return null;
  if (state !== null && typeof state !== 'string') return null;
  const asked = Object.values(requests);
  if (asked.length > MOST_REQUESTS || !asked.every(isAskable)) return null;
  return { kind: 'input', requests: redactJson(requests, credential), state };
}

function isAskable(request: Json): boolean {
  return isJsonObject(request) && METHODS.includes(request['method'] as string);
}

function askable(capabilities: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(capabilities).filter(([name]) => ASKABLE.includes(name)));
}

/** Numbers only: words of an upstream come with the result, whose labels are known. */
function tellProgress(talk: Talk, { progress, total }: JsonObject): void {
  if (typeof progress !== 'number') return;
  talk.notice?.({ kind: 'progress', progress, ...(typeof total === 'number' ? { total } : {}) });
}

function tellMessage(talk: Talk, { level, data = null }: JsonObject): void {
  if (typeof level === 'string' && !tooDeep(data)) talk.notice?.({ kind: 'message', level, data });
}
