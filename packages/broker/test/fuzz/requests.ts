// Requests that are well formed, one of every route and MCP method, before anything is done to them.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { routes } from '../../src/http/routes.ts';
import { type Cast, META } from './cast.ts';
import type { Dice } from './dice.ts';

export type Era = 'http' | 'form' | 'stateless' | 'session';

export interface Plain {
  readonly era: Era;
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  /** Null: no body. */
  readonly body: Json | null;
  /** Whose token it carries; null: none is needed. */
  readonly as: string | null;
  /** What the answer must say when nothing was done to the request; null where several things are right. */
  readonly works: RegExp | null;
}

const TICKETS = ['ZD-1', 'ZD-2'];
const NOTE = { note: 'N-2' };
const HELLO = /"body":"hello"|\\"body\\":\\"hello\\"/;

/** One call of a tool: mostly reads, sometimes deeds that policy permits, holds or refuses. */
function toolCall(dice: Dice): {
  readonly tool: string;
  readonly args: JsonObject;
  readonly works: RegExp | null;
} {
  switch (dice.below(8)) {
    case 0:
      return {
        tool: 'send_mail',
        args: { to: 'eve@example.com', body: 'x'.repeat(dice.below(40)) },
        works: null,
      };
    case 1:
      return { tool: 'refund', args: { account: 'AC-1', amount_minor: 1 + dice.below(9_000) }, works: null };
    case 2:
      return { tool: 'close_account', args: { account: 'AC-1' }, works: null };
    case 3:
      return {
        tool: dice.pick(['none', 'countersign_call_status', 'READ_NOTE', '']),
        args: NOTE,
        works: null,
      };
    default:
      return { tool: 'read_note', args: NOTE, works: HELLO };
  }
}

const BODIES: Readonly<Record<string, (dice: Dice, cast: Cast) => Json>> = {
  openRun: (dice, cast) => ({
    agent: 'bot',
    trigger: 'ticket:1',
    context: { ticket: dice.pick(TICKETS) },
    ...modelOf(dice, cast),
  }),
  vote: (dice, cast) => ({ verdict: dice.pick(['approve', 'reject']), deed_digest: cast.digest }),
  setHalt: () => ({ scope: 'agent', target: 'globex-bot', reason: 'fuzz' }),
};

function modelOf(dice: Dice, cast: Cast): JsonObject {
  return {
    ...(dice.odds(0.3) ? { model: { provider: 'x', name: 'y', tools_revision: 'z' } } : {}),
    ...(dice.odds(0.1) ? { parent_run_id: cast.ids.run } : {}),
  };
}

/** What the model says beside the arguments. */
function claimsOf(dice: Dice): JsonObject {
  return {
    ...(dice.odds(0.15) ? { context: { why: dice.pick(['because', 'x'.repeat(300)]), ticket: 'ZD-9' } } : {}),
    ...(dice.odds(0.1) ? { dry_run: true } : {}),
  };
}

/** Who uses which route. What would stop everybody (halts) is left to another tenant; what is dear is left to those who may not. */
const WHO: Readonly<Record<string, readonly string[]>> = {
  openRun: ['desk'],
  endRun: ['desk', 'gus'],
  vote: ['ana', 'cleo', 'gus'],
  setHalt: ['gus', 'ana'],
  liftHalt: ['gus', 'ben'],
  ackAlert: ['gus', 'ben'],
  activateBundle: ['ana', 'bot', 'gus'],
};
const EVERYBODY = ['bot', 'other-bot', 'shy-bot', 'globex-bot', 'desk', 'ana', 'ben', 'dora', 'gus'];

export function plainHttp(dice: Dice, cast: Cast): Plain {
  // Calls are what the door is for.
  const route = dice.odds(0.5) ? routes.find((it) => it.id === 'performCall')! : dice.pick(routes);
  const { id, method } = route;
  const path =
    route.path.replace(/\{(\w+)\}/g, (_all, name: string) => placeOf(dice, cast, route.path, name)) +
    queryOf(dice, route.query);
  if (route.body !== undefined && 'form' in route.body)
    return {
      era: 'form',
      method,
      path,
      headers: [['content-type', 'application/x-www-form-urlencoded']],
      body: formOf(dice, cast),
      as: null,
      works: null,
    };
  const as =
    id === 'performCall'
      ? dice.pick(['bot', 'bot', 'bot', 'other-bot', 'shy-bot'])
      : route.who === 'anyone'
        ? null
        : dice.pick(WHO[id] ?? EVERYBODY);
  const call = id === 'performCall' ? toolCall(dice) : null;
  const more = call === null ? {} : claimsOf(dice);
  const body =
    call !== null ? { tool: call.tool, args: call.args, ...more } : (BODIES[id]?.(dice, cast) ?? null);
  const key =
    id === 'performCall' && dice.odds(0.1)
      ? [['idempotency-key', `"${dice.pick(['a', 'b', 'c'])}"`] as const]
      : [];
  const works =
    call !== null && key.length === 0 && !path.includes('?') && !('dry_run' in more)
      ? call.works
      : id === 'isAlive'
        ? /"ok"/
        : null;
  return {
    era: 'http',
    method,
    path,
    headers: [...(body === null ? [] : [['content-type', 'application/json'] as const]), ...key],
    body,
    as,
    works,
  };
}

function placeOf(dice: Dice, cast: Cast, path: string, name: string): string {
  if (dice.odds(0.2))
    return dice.pick([
      'x',
      '%00',
      '%2e%2e',
      '..',
      '%ff',
      'call_',
      '0',
      '-1',
      'a'.repeat(255),
      'a'.repeat(300),
      '1e9',
    ]);
  const kind = path.includes('/calls/')
    ? 'call'
    : path.includes('/runs/')
      ? 'run'
      : path.includes('/approvals/')
        ? 'approval'
        : 'halt';
  if (name === 'name') return dice.pick(['read_note', 'refund', 'none']);
  if (name === 'log') return encodeURIComponent(cast.ids.log);
  if (name === 'seq') return String(dice.below(400));
  return cast.ids[kind];
}

function queryOf(dice: Dice, query: object | undefined): string {
  const names = Object.keys(query ?? {});
  if (dice.odds(names.length === 0 ? 0.95 : 0.6)) return '';
  const name = dice.odds(0.9) && names.length > 0 ? dice.pick(names) : dice.pick(['x', '__proto__', 'wait']);
  // A wait is short here: the fuzzer has other things to do.
  const value = dice.pick([
    '0',
    '1',
    '-1',
    '01',
    '1e3',
    '',
    'x',
    '%00',
    '9007199254740993',
    'open',
    'tenant%3Aacme',
  ]);
  return `?${name}=${value}${dice.odds(0.1) ? `&${name}=${value}` : ''}${dice.odds(0.02) ? '&x=1'.repeat(300) : ''}`;
}

function formOf(dice: Dice, cast: Cast): string {
  const form = new URLSearchParams({
    grant_type: dice.pick(['client_credentials', 'password', '']),
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: dice.pick([...cast.bad, cast.tokens.get('bot v1')!]),
    ...(dice.odds(0.3) ? { resource: dice.pick([`http://${cast.host}/mcp`, 'x', '']) } : {}),
    ...(dice.odds(0.3) ? { run_token: dice.pick(cast.bad) } : {}),
  });
  return `${form}${dice.odds(0.1) ? '&grant_type=client_credentials&%zz=%' : ''}`;
}

const LISTS = ['tools/list', 'resources/list', 'resources/templates/list', 'prompts/list'];

interface Asked {
  readonly method: string;
  readonly params: JsonObject;
  readonly name?: string;
  readonly works: RegExp | null;
}

function mcpRequest(dice: Dice, cast: Cast, era: 'stateless' | 'session'): Asked {
  switch (dice.below(12)) {
    case 10: {
      const name = dice.pick(['countersign_call_status', 'countersign_search_tools', 'countersign_use_tool']);
      const args = dice.pick<JsonObject>([
        // The call waits for people, and nobody here waits for them.
        { call_id: cast.ids.call, wait_seconds: 0 },
        { query: 'note' },
        { name: 'read_note', arguments: NOTE },
      ]);
      return { method: 'tools/call', params: { name, arguments: args }, name, works: null };
    }
    case 11: {
      const rounds = {
        inputResponses: { a: { action: 'accept', content: {} } },
        requestState: dice.pick(['x', 'A'.repeat(80)]),
      };
      return {
        method: 'tools/call',
        params: { name: 'read_note', arguments: NOTE, ...rounds },
        name: 'read_note',
        works: null,
      };
    }
    case 0:
      return {
        method: dice.pick(LISTS),
        params: dice.odds(0.2) ? { cursor: dice.pick(['', 'x', 'A'.repeat(27)]) } : {},
        works: null,
      };
    case 1:
      return { method: 'resources/read', params: { uri: 'file:///x' }, name: 'file:///x', works: null };
    case 2:
      return { method: 'prompts/get', params: { name: 'x', arguments: {} }, name: 'x', works: null };
    case 3:
      return era === 'stateless'
        ? { method: 'server/discover', params: {}, works: /"supportedVersions"/ }
        : dice.pick<Asked>([
            { method: 'ping', params: {}, works: /"result":\{\}/ },
            { method: 'logging/setLevel', params: { level: 'info' }, works: /"result":\{\}/ },
            {
              method: 'initialize',
              params: {
                protocolVersion: '2025-11-25',
                capabilities: {},
                clientInfo: { name: 'f', version: '1' },
              },
              works: /"protocolVersion"/,
            },
          ]);
    case 4:
      return {
        method: 'completion/complete',
        params: { ref: { type: 'ref/prompt', name: 'x' }, argument: { name: 'a', value: 'b' } },
        works: null,
      };
    case 5:
      return { method: 'tools/list', params: {}, works: /"name":"read_note"/ };
    default: {
      const { tool, args, works } = toolCall(dice);
      return { method: 'tools/call', params: { name: tool, arguments: args }, name: tool, works };
    }
  }
}

export function plainMcp(dice: Dice, cast: Cast, era: 'stateless' | 'session'): Plain {
  const { method, params, name, works } = mcpRequest(dice, cast, era);
  const meta = {
    ...(era === 'stateless' ? META : {}),
    ...(dice.odds(0.1) ? { progressToken: dice.pick<Json>([1, 'p']) } : {}),
    ...(dice.odds(0.1) ? { 'countersign/context': { why: 'x' } } : {}),
  };
  // Messages that nobody answers, and answers to what nobody asked.
  if (dice.odds(0.05)) return aside(dice, cast, era);
  const id = dice.pick<Json>([dice.below(1_000_000), `id-${dice.below(1000)}`, 0, -1, '', 1.5]);
  const body: JsonObject = {
    jsonrpc: '2.0',
    id,
    method,
    params: { ...params, ...(Object.keys(meta).length > 0 ? { _meta: meta } : {}) },
  };
  const accept = dice.odds(0.9)
    ? 'application/json, text/event-stream'
    : dice.pick(['application/json', '*/*', 'text/html']);
  const headers: (readonly [string, string])[] = [
    ['content-type', 'application/json'],
    ['accept', accept],
  ];
  if (era === 'stateless') {
    headers.push(['mcp-protocol-version', '2026-07-28'], ['mcp-method', method]);
    if (name !== undefined) headers.push(['mcp-name', name]);
  } else {
    headers.push(['mcp-protocol-version', '2025-11-25']);
    if (method !== 'initialize') headers.push(['mcp-session-id', dice.pick(cast.sessions.own)]);
  }
  return { era, method: 'POST', path: '/mcp', headers, body, as: 'bot', works };
}

function aside(dice: Dice, cast: Cast, era: 'stateless' | 'session'): Plain {
  const message = dice.pick<JsonObject>([
    {
      method: 'notifications/cancelled',
      params: { requestId: dice.pick<Json>([0, 'id-1', null, {}]), reason: 'x' },
    },
    { method: 'notifications/initialized' },
    { method: 'notifications/progress', params: { progressToken: 1, progress: 1 } },
    { id: dice.pick<Json>([1, 'x']), result: {} },
    { id: 1, error: { code: -1, message: 'x' } },
  ]);
  const headers: (readonly [string, string])[] = [
    ['content-type', 'application/json'],
    ['accept', 'application/json, text/event-stream'],
    ['mcp-protocol-version', era === 'stateless' ? '2026-07-28' : '2025-11-25'],
    ...(era === 'session' ? [['mcp-session-id', dice.pick(cast.sessions.own)] as const] : []),
  ];
  return {
    era,
    method: 'POST',
    path: '/mcp',
    headers,
    body: { jsonrpc: '2.0', ...message },
    as: 'bot',
    works: null,
  };
}
