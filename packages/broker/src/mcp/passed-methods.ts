// resources/*, prompts/* and completion/complete: what connectors list, each reading one governed call.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { CallAnswer } from '@countersign/contract/wire.ts';
import type { PassedRead } from '#admin/passed.ts';
import type { Watching } from '#connectors/connector.ts';
import type { Called } from './call-tool.ts';
import type { Line } from './line.ts';
import { perform, type Who } from './perform.ts';
import type { Reach } from './reach.ts';
import { invalid, type WireRequest } from './read-envelope.ts';
import { MOST_WATCHED } from './subscriptions.ts';
import { answerResult } from './tool-result.ts';
import {
  cacheHints,
  errorReply,
  INTERNAL_ERROR,
  INVALID_PARAMS,
  METHOD_NOT_FOUND,
  quoted,
  RESOURCE_NOT_FOUND,
  resultReply,
  type WireReply,
} from './wire.ts';

const LIST_TTL_MS = 30_000;
/** A reading is judged anew each time, so nobody keeps one. */
const READ_TTL_MS = 0;
const NOTHING_ANNOUNCED = { schema: false, wrapped: false } as const;
/** Not the name of any tool: a walk by it is refused and recorded. */
const UNLISTED = 'unlisted/read';

/** Methods of each kind of read; a client without any of that kind is told that there is no such method. */
const KIND_OF: Readonly<Record<string, PassedRead['kind']>> = {
  'resources/list': 'resources',
  'resources/templates/list': 'resources',
  'resources/read': 'resources',
  'resources/subscribe': 'resources',
  'resources/unsubscribe': 'resources',
  'prompts/list': 'prompts',
  'prompts/get': 'prompts',
  'completion/complete': 'completions',
};

/** What the door declares beside tools, as JSON text of members that follow others. */
export function passedCapabilities(reads: readonly PassedRead[], era: WireRequest['era']): string {
  const has = (kind: PassedRead['kind']): boolean => reads.some((read) => read.kind === kind);
  const resources = era === 'session' ? ',"resources":{"subscribe":true}' : ',"resources":{}';
  return (
    (has('resources') ? resources : '') +
    (has('prompts') ? ',"prompts":{}' : '') +
    (has('completions') ? ',"completions":{}' : '')
  );
}

export async function answerPassed(
  request: WireRequest,
  who: Who,
  line: Line,
  reach: Reach,
): Promise<Called> {
  const kind = KIND_OF[request.method];
  const reads = reach.catalogue.passed(who.caller.principal).filter((read) => read.kind === kind);
  if (reads.length === 0) return noSuchMethod(request);
  switch (request.method) {
    case 'resources/list':
      return listResources(request, reads, false);
    case 'resources/templates/list':
      return listResources(request, reads, true);
    case 'prompts/list':
      return listPrompts(request, reads);
    case 'resources/subscribe':
      return subscribe(request, reads, who, line, reach);
    case 'resources/unsubscribe':
      if (typeof request.params.uri === 'string') line.session?.subscriptions.end(request.params.uri);
      return resultReply(request, '');
    default:
      return read(request, reads, who, line, reach);
  }
}

function listResources(request: WireRequest, reads: readonly PassedRead[], templates: boolean): WireReply {
  const listed = reads
    .flatMap((each) => each.uris)
    .filter((uri) => uri.includes('{') === templates)
    .map((uri) => (templates ? { uriTemplate: uri, name: uri } : { uri, name: uri }));
  const member = templates ? 'resourceTemplates' : 'resources';
  return resultReply(request, `"${member}":${JSON.stringify(listed)}${cacheHints(request.era, LIST_TTL_MS)}`);
}

function listPrompts(request: WireRequest, reads: readonly PassedRead[]): WireReply {
  const listed = reads
    .flatMap((each) => each.prompts)
    .map((prompt) => ({ ...prompt, description: prompt.description ?? `The prompt ${prompt.name}.` }));
  return resultReply(request, `"prompts":${JSON.stringify(listed)}${cacheHints(request.era, LIST_TTL_MS)}`);
}

/**
 * A subscription begins with a governed read of the resource, recorded and labelled as one: who may not read it now
 * hears nothing of it later.
 */
async function subscribe(
  request: WireRequest,
  reads: readonly PassedRead[],
  who: Who,
  line: Line,
  reach: Reach,
): Promise<Called> {
  const { session } = line;
  const { uri } = request.params;
  if (session === null || typeof uri !== 'string')
    return errorReply(request.id, invalid('params.uri: expected a string', 200));
  const { subscriptions } = session;
  if (!subscriptions.has(uri) && subscriptions.size >= MOST_WATCHED)
    return notDone(request, `A session watches at most ${MOST_WATCHED} resources.`, {});
  const begun = subscriptions.begin(uri, reach);
  const called = await read(request, reads, who, line, reach, begun.watch);
  const ended = reach.sessions.find(who.caller.principal, session.id) !== session;
  const done = 'body' in called && called.body !== null && isJsonObject(JSON.parse(called.body).result);
  if (done && !ended && begun.keep()) return resultReply(request, '');
  begun.drop();
  return done ? notDone(request, 'The resource is not watched.', {}) : called;
}

async function read(
  request: WireRequest,
  reads: readonly PassedRead[],
  who: Who,
  line: Line,
  reach: Reach,
  watch: Watching | null = null,
): Promise<Called> {
  const args = argsOf(request);
  if (typeof args === 'string') return errorReply(request.id, invalid(args, 200));
  const found = reads.find((each) => each.lists(args));
  const deed = { toolName: found?.tool ?? UNLISTED, args, claimed: {}, idempotencyKey: null };
  const outcome = await perform(request, deed, who, line, reach, watch);
  if (outcome.kind === 'reply') return outcome.reply;
  if (outcome.kind === 'answer') {
    const { problem } = outcome.answer;
    // What it is not listed is not named either: a token that carries more is shown more.
    if (problem?.status === 401) return { problem };
    return readReply(request, outcome.answer);
  }
  const { problem } = outcome;
  if (problem.status === 401 || problem.status === 403) return { problem };
  return notDone(request, `${problem.title}. ${problem.detail}`, {
    call_id: outcome.call_id,
    next: problem.next,
  });
}

function argsOf({ method, params }: WireRequest): JsonObject | string {
  if (method === 'resources/read' || method === 'resources/subscribe') {
    return typeof params.uri === 'string' ? { resource: params.uri } : 'params.uri: expected a string';
  }
  if (method === 'prompts/get') {
    const { name, arguments: given = {} } = params;
    if (typeof name !== 'string') return 'params.name: expected a string';
    if (!isJsonObject(given)) return 'params.arguments: expected an object';
    return { prompt: name, arguments: Object.entries(given).map(([key, value]) => ({ name: key, value })) };
  }
  const { ref, argument } = params;
  if (!isJsonObject(ref) || !isJsonObject(argument)) return 'params: expected ref and argument';
  const prompt = ref.type === 'ref/prompt';
  return {
    kind: prompt ? 'prompt' : 'resource',
    of: (prompt ? ref.name : ref.uri) ?? null,
    argument: argument.name ?? null,
    value: argument.value ?? null,
  };
}

function readReply(request: WireRequest, answer: CallAnswer): WireReply {
  const { id, era, params, method } = request;
  const { problem, result } = answer;
  if (answer.status === 'succeeded' && isJsonObject(result as Json)) {
    const members = JSON.stringify(result).slice(1, -1);
    const hints = method === 'resources/read' ? cacheHints(era, READ_TTL_MS) : '';
    return resultReply(request, members + hints, answerResult(answer, NOTHING_ANNOUNCED).meta);
  }
  const unlisted: readonly (string | undefined)[] = [
    'tool_not_found',
    'insufficient_scope',
    'invalid_arguments',
  ];
  if (unlisted.includes(problem?.code)) {
    const resource = method.startsWith('resources/');
    return errorReply(id, {
      status: 200,
      code: resource && era === 'session' ? RESOURCE_NOT_FOUND : INVALID_PARAMS,
      message: resource ? 'Resource not found. List the resources to see which you may read.' : NOT_LISTED,
      ...(resource ? { data: { uri: params.uri as string } } : {}),
    });
  }
  const words = problem === undefined ? 'The read is not done yet.' : `${problem.title}. ${problem.detail}`;
  const data = { status: answer.status, call_id: answer.call_id };
  return notDone(request, words, problem === undefined ? data : { ...data, next: problem.next });
}

function notDone({ id }: WireRequest, message: string, data: JsonObject): WireReply {
  return errorReply(id, { status: 200, code: INTERNAL_ERROR, message, data });
}

const NOT_LISTED = 'Invalid params: no such prompt, or arguments that it does not take. List the prompts.';

function noSuchMethod({ id, method, era }: WireRequest): WireReply {
  const status = era === 'stateless' ? 404 : 200;
  const message = `Method not found: ${quoted(method)}. You have nothing that it could read.`;
  return errorReply(id, { status, code: METHOD_NOT_FOUND, message });
}
