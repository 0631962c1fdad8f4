// One governed request of a caller that waits on the line: the walk, and what an upstream demands before it acts.
import { canonicalize } from '@countersign/contract/canonical.ts';
import { sha256Hex } from '@countersign/contract/digest.ts';
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { Problem } from '@countersign/contract/problem.ts';
import type { CallAnswer } from '@countersign/contract/wire.ts';
import type { Demand, Watching } from '#connectors/connector.ts';
import type { Presented } from '#identity/identity.ts';
import { askClient } from './ask-client.ts';
import { type Line, readTerms, type Terms } from './line.ts';
import { LineTalk } from './line-talk.ts';
import type { AgentCaller, Reach } from './reach.ts';
import { invalid, type WireRequest } from './read-envelope.ts';
import { errorReply, MISSING_CAPABILITY, resultReply, type WireError, type WireReply } from './wire.ts';

export interface Who {
  readonly caller: AgentCaller;
  readonly presented: Presented;
}

/** What a request comes down to: a tool of the bundle and its arguments. */
export interface Deed {
  readonly toolName: string;
  readonly args: Json;
  readonly claimed: JsonObject;
  readonly idempotencyKey: string | null;
  readonly step?: string;
  readonly timeout_ms?: number;
}

export type Outcome =
  | { readonly kind: 'answer'; readonly answer: CallAnswer }
  | { readonly kind: 'problem'; readonly problem: Problem; readonly call_id: string }
  /** Answered already, in the words of the wire. */
  | { readonly kind: 'reply'; readonly reply: WireReply };

/** How often an upstream may demand something of one request in a session. */
const MOST_ROUNDS = 8;

/**
 * Walks. A demand goes back to a stateless client as the result, with its state sealed; to a client in a session as
 * requests on its stream, whose answers walk again. Each round is a call of its own in the ledger.
 */
export async function perform(
  request: WireRequest,
  deed: Deed,
  who: Who,
  line: Line,
  reach: Reach,
  watch: Watching | null = null,
): Promise<Outcome> {
  const { world, deeds, states } = reach;
  const read = readTerms(request, line);
  if ('error' in read) return replied(errorReply(request.id, read.error));
  const args = isJsonObject(deed.args) ? deed.args : {};
  const bound = { agent: who.caller.principal, tool: deed.toolName, args };
  const { timeout_ms, ...wanted } = deed;
  const limits = timeout_ms === undefined ? {} : { deadlineAt_ms: world.clock.now() + timeout_ms };
  let terms: Terms = read;
  if (terms.state !== null) {
    const state = states.open(terms.state, bound);
    if (state === null) return replied(errorReply(request.id, STALE_STATE));
    terms = { ...terms, state };
  }
  if (terms.responses !== null) {
    terms = { ...terms, responses: asked(terms.responses, states.demandedOf(bound)) };
  }
  for (let round = 1; ; round++) {
    const proof = { kind: 'bearer', presented: who.presented, resource: 'mcp' } as const;
    const talk = new LineTalk(line, terms, watch);
    const idempotencyKey = keyOf(deed.idempotencyKey, terms);
    const call = deeds.askCall(world, {
      door: 'mcp',
      proof,
      dryRun: false,
      ...wanted,
      ...limits,
      idempotencyKey,
      talk,
    });
    const performed = await deeds.performCall(call, world);
    if (performed.kind === 'problem') return { ...performed, call_id: call.id };
    const { demanded } = talk;
    if (demanded === null || performed.answer.status !== 'failed') return performed;
    if (request.era === 'stateless') {
      if (demanded.kind === 'input') states.remember(bound, Object.keys(demanded.requests));
      return replied(demandReply(request, demanded, (state) => states.seal(state, bound)));
    }
    const responses = round < MOST_ROUNDS ? await askAll(demanded, line) : null;
    if (responses === null) return performed;
    terms = { ...terms, responses, state: demanded.kind === 'input' ? demanded.state : null };
  }
}

/** Only what an upstream has asked for goes upstream: anything else would be an argument that nobody judged. */
function asked(responses: JsonObject, demanded: readonly string[]): JsonObject | null {
  if (demanded.length === 0) return null;
  return Object.fromEntries(Object.entries(responses).filter(([key]) => demanded.includes(key)));
}

/** Each round is a request of its own, so its key is one too; the same answers to the same demand give the same key. */
function keyOf(key: string | null, { responses, state }: Terms): string | null {
  if (key === null || (responses === null && state === null)) return key;
  return sha256Hex(canonicalize({ key, responses, state }));
}

const STALE_STATE: WireError = invalid(
  'params.requestState: not a state that was given for this request, or too old; begin again without it',
);

function replied(reply: WireReply): Outcome {
  return { kind: 'reply', reply };
}

function demandReply(request: WireRequest, demand: Demand, seal: (state: string) => string): WireReply {
  if (demand.kind === 'capability') {
    return errorReply(request.id, {
      status: 400,
      code: MISSING_CAPABILITY,
      message:
        'Missing required client capability: the system behind the tool asks the client for something.',
      data: { requiredCapabilities: demand.required },
    });
  }
  const state = demand.state === null ? '' : `,"requestState":${JSON.stringify(seal(demand.state))}`;
  return resultReply(
    request,
    `"inputRequests":${JSON.stringify(demand.requests)}${state}`,
    '',
    'input_required',
  );
}

/** Null when one of the requests gets no answer. */
async function askAll(demand: Demand, line: Line): Promise<JsonObject | null> {
  if (demand.kind !== 'input') return null;
  const responses: Record<string, Json> = {};
  for (const [key, request] of Object.entries(demand.requests)) {
    const { method, params = {} } = request as JsonObject;
    const result = await askClient(line, { method: method as string, params: params as JsonObject });
    if (result === null) return null;
    responses[key] = result;
  }
  return responses;
}
