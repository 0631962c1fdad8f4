// The load generator: a fixed number of MCP tool calls from so many callers, every answer checked.
import { Caller } from './caller.ts';
import { lookupOrder, type Order, orderId, orderOf } from './order.ts';
import { cpuMicroseconds } from './start-process.ts';

export interface Target {
  readonly name: string;
  readonly url: URL;
  /** Value of the Authorization header, or several that take turns; null: none is sent. */
  readonly authorization: string | string[] | null;
  /** The process whose processor time counts. */
  readonly pid: number;
}

export interface Load {
  readonly callers: number;
  /** Calls that are timed. */
  readonly requests: number;
  /** Calls before them, not timed. */
  readonly warmup: number;
}

export interface Measured {
  readonly callers: number;
  readonly requests: number;
  readonly rate_per_s: number;
  readonly p50_ms: number;
  readonly p95_ms: number;
  readonly p99_ms: number;
  readonly cpu_us_per_call: number | null;
}

/** One kind of request, and how its answer is known to be right. */
export interface Question {
  /** Headers beside those of the transport and the token. */
  readonly headers: Readonly<Record<string, string>>;
  /** The JSON-RPC message with this id. */
  readonly body: (id: number) => object;
  readonly isAnswer: (text: string, id: number) => boolean;
}

export const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1.0.0' },
  'io.modelcontextprotocol/clientCapabilities': {},
};

/** Grows over the whole run: the SDK drops or hangs on an id that is in use twice. */
let nextId = 1;

/** A call of the order lookup in the stateless revision. */
export const lookup: Question = {
  headers: {
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': lookupOrder.name,
  },
  body: (id) => {
    const params = { name: lookupOrder.name, arguments: { order_id: orderId(id) }, _meta: META };
    return { jsonrpc: '2.0', id, method: 'tools/call', params };
  },
  isAnswer: (text, id) => isAnswer(text, id, orderOf(orderId(id))),
};

/** Asks the target and measures it. Throws on the first answer that is not the right one. */
export async function load(
  target: Target,
  { callers, requests, warmup }: Load,
  question: Question = lookup,
): Promise<Measured> {
  const connected = await Promise.all(Array.from({ length: callers }, () => Caller.connect(target.url)));
  try {
    await callMany(connected, target, question, warmup, undefined);
    const cpuBefore = cpuMicroseconds(target.pid);
    const times_ms = new Float64Array(requests);
    const began = performance.now();
    await callMany(connected, target, question, requests, times_ms);
    const took_ms = performance.now() - began;
    const cpuAfter = cpuMicroseconds(target.pid);
    times_ms.sort();
    return {
      callers,
      requests,
      rate_per_s: (requests / took_ms) * 1000,
      p50_ms: percentile(times_ms, 0.5),
      p95_ms: percentile(times_ms, 0.95),
      p99_ms: percentile(times_ms, 0.99),
      cpu_us_per_call: cpuBefore === null || cpuAfter === null ? null : (cpuAfter - cpuBefore) / requests,
    };
  } finally {
    for (const caller of connected) caller.close();
  }
}

/** Each caller takes the next call as soon as its last one is answered. */
async function callMany(
  callers: readonly Caller[],
  target: Target,
  question: Question,
  requests: number,
  times_ms: Float64Array | undefined,
): Promise<void> {
  const heads = headsOf(target, question);
  let next = 0;
  const work = async (caller: Caller): Promise<void> => {
    while (next < requests) {
      const slot = next++;
      const began = performance.now();
      const id = nextId++;
      const body = JSON.stringify(question.body(id));
      const answer = await caller.post(heads[id % heads.length]!, body);
      if (!question.isAnswer(answer, id)) {
        throw new Error(`${target.name}: a wrong answer to request ${id}: ${answer.slice(0, 500)}`);
      }
      if (times_ms !== undefined) times_ms[slot] = performance.now() - began;
    }
  };
  await Promise.all(callers.map(work));
}

/** First line and headers of a request, for each token that takes its turn. */
function headsOf({ url, authorization }: Target, question: Question): readonly string[] {
  const common = {
    host: url.host,
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    ...question.headers,
  };
  return [authorization].flat().map((token) => {
    const headers = Object.entries(token === null ? common : { ...common, authorization: token });
    return `POST ${url.pathname} HTTP/1.1\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}`;
  });
}

function isAnswer(text: string, id: number, asked: Order): boolean {
  const answer = JSON.parse(text) as { id?: number; result?: { structuredContent?: Partial<Order> } };
  const got = answer.result?.structuredContent;
  return (
    answer.id === id &&
    got?.order_id === asked.order_id &&
    got.status === asked.status &&
    got.amount_minor === asked.amount_minor
  );
}

/** Of sorted times: the smallest that at least this share of the calls did not exceed. */
function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)]!;
}
