// Judges one answer: well formed, below 500, of the right kind, with the id that was asked with; and refused where it must be.
import { problems } from '@countersign/contract/problem.ts';
import type { Answer } from './exchange.ts';
import type { Fuzzed } from './mutate-wire.ts';

/** What is wrong with the answer to a request, in a sentence; null when nothing is. */
export function judge(fuzzed: Fuzzed, answer: Answer): string | null {
  const { status } = answer;
  const text = answer.body.toString('utf8');
  const malformed = judgeForm(answer, text);
  if (malformed !== null) return malformed;
  if (!fuzzed.framed) return null;
  if (fuzzed.stranger) {
    // An address that is no UTF-8, or too long a part of one, names no route: nobody is asked who they are.
    const unread = status === 400 && /%ff|a{300}/.test(fuzzed.plain.path);
    return status === 401 || unread
      ? null
      : `expected 401 for a token that opens nothing, got ${status} ${text}`;
  }
  if (fuzzed.expects === 'refused' && !isRefusal(answer, text))
    return `expected a refusal, got ${status} ${text}`;
  if (fuzzed.expects === 'works') {
    if (status >= 400 && fuzzed.plain.works !== null) return `expected it to work, got ${status} ${text}`;
    if (fuzzed.plain.works !== null && !fuzzed.plain.works.test(text))
      return `expected ${fuzzed.plain.works}, got ${text}`;
  }
  return fuzzed.plain.path === '/mcp' ? judgeId(fuzzed, answer, text) : null;
}

/** What holds for every answer of the broker, whatever was sent. */
export function judgeForm({ status, headers, body }: Answer, text: string): string | null {
  if (status >= 500) return `status ${status}: ${text}`;
  const type = typeOf(headers);
  if (body.length === 0)
    return status >= 400 &&
      headers.get('content-length') !== undefined &&
      headers.get('content-length') === '0'
      ? `status ${status} without a word`
      : null;
  if (Buffer.from(text).length !== body.length) return 'the body is not UTF-8';
  if (headers.get('cache-control') === undefined) return `no cache-control on ${status}`;
  if (status === 401 && headers.get('www-authenticate') === undefined && !isOAuth(text))
    return '401 without a challenge';
  switch (type) {
    case 'application/problem+json':
      return judgeProblem(status, text);
    case 'application/json':
      return parsed(text) === undefined
        ? `not JSON: ${text.slice(0, 200)}`
        : status >= 400 && !isOAuth(text) && !isRpcError(text)
          ? `an error of no known form: ${text}`
          : null;
    case 'text/event-stream':
      return messagesOf(text).every((message) => isRpc(message))
        ? null
        : `a stream of something else: ${text.slice(0, 200)}`;
    default:
      return `content-type ${type}`;
  }
}

function judgeProblem(status: number, text: string): string | null {
  const told = parsed(text) as Record<string, unknown> | undefined;
  const { code, type, title, detail } = told ?? {};
  const well = typeof code === 'string' && Object.hasOwn(problems, code) && told?.status === status;
  return well &&
    type === `urn:countersign:problem:${code}` &&
    typeof title === 'string' &&
    typeof detail === 'string'
    ? null
    : `not a problem of the table: ${text}`;
}

function judgeId({ tree, plain }: Fuzzed, { status, headers }: Answer, text: string): string | null {
  if (
    plain.method !== 'POST' ||
    status === 202 ||
    status === 204 ||
    typeOf(headers) === 'application/problem+json'
  )
    return null;
  const messages = typeOf(headers) === 'text/event-stream' ? messagesOf(text).map(parsed) : [parsed(text)];
  const reply = messages.at(-1) as Record<string, unknown> | undefined;
  if (!isRpc(reply)) return `not a JSON-RPC message: ${text}`;
  if (tree === undefined) return null;
  const sent =
    typeof tree === 'object' && tree !== null && !Array.isArray(tree)
      ? (tree as Record<string, unknown>).id
      : undefined;
  const readable = typeof sent === 'string' || typeof sent === 'number';
  if ('id' in reply!)
    return readable && reply.id === sent
      ? null
      : `the id ${JSON.stringify(reply.id)} was not asked with: ${JSON.stringify(sent)}`;
  return 'result' in reply! ? `a result without an id: ${text}` : null;
}

function isRefusal({ status, headers }: Answer, text: string): boolean {
  if (status >= 400) return true;
  const messages = typeOf(headers) === 'text/event-stream' ? messagesOf(text) : [text];
  return isRpcError(messages.at(-1) ?? '');
}

function messagesOf(text: string): string[] {
  return text
    .split('\n\n')
    .filter((event) => event !== '')
    .map((event) => /^data: (.*)$/m.exec(event)?.[1] ?? '');
}

function isRpc(message: unknown): boolean {
  const told = (typeof message === 'string' ? parsed(message) : message) as
    | Record<string, unknown>
    | undefined;
  if (typeof told !== 'object' || told === null || told.jsonrpc !== '2.0') return false;
  const kinds = [told.result !== undefined, told.error !== undefined, typeof told.method === 'string'];
  return kinds.filter(Boolean).length === 1 && (told.error === undefined || isErrorMember(told.error));
}

function isErrorMember(error: unknown): boolean {
  const { code, message } = (error ?? {}) as Record<string, unknown>;
  return Number.isInteger(code) && typeof message === 'string' && message !== '';
}

function isRpcError(text: string): boolean {
  const told = parsed(text) as Record<string, unknown> | undefined;
  return isRpc(told) && told!.error !== undefined;
}

/** RFC 6749 §5.2. */
function isOAuth(text: string): boolean {
  const told = parsed(text) as Record<string, unknown> | undefined;
  return typeof told?.error === 'string' && !('jsonrpc' in told);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** JSON has no charset (RFC 8259 §11); one that says what holds anyway does no harm. */
function typeOf(headers: Answer['headers']): string {
  return (headers.get('content-type') ?? '').replace(/; charset=utf-8$/, '');
}
