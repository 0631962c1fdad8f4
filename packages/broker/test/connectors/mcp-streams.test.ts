// Streams of a 2025-11-25 server: taken up after a break, never at the price of a second deed, and questions on them
// that reach only the caller they are for.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Asking, Connector, Talk } from '#connectors/connector.ts';
import { createMcpConnector } from '#connectors/mcp/mcp-connector.ts';
import { attemptOf, httpSpec, testDeps } from './fixture.ts';

let url: string;
let connector: Connector;
let calls: { id: string; response: ServerResponse }[];
let answers: JsonObject[];
let marks: string[];
let stream: ServerResponse | null;
let onCall: (id: string, response: ServerResponse) => void;
let onResume: (response: ServerResponse) => void;
let close: () => Promise<void>;

beforeEach(async () => {
  [calls, answers, marks, stream] = [[], [], [], null];
  onResume = (response) => response.end();
  const server = createServer(async (request, response) => {
    if (request.method === 'GET') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      const mark = request.headers['last-event-id'];
      if (mark === undefined) stream = response;
      else {
        marks.push(String(mark));
        onResume(response);
      }
      return;
    }
    const message = JSON.parse(Buffer.concat(await request.toArray()).toString()) as JsonObject;
    if (message['method'] === undefined) answers.push(message);
    if (message['id'] === undefined || message['method'] === undefined)
      return void response.writeHead(202).end();
    const id = message['id'] as string;
    if (message['method'] === 'tools/call') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      calls.push({ id, response });
      return onCall(id, response);
    }
    const result =
      message['method'] === 'initialize'
        ? { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 'x', version: '1' } }
        : { tools: [{ name: 'deed', inputSchema: { type: 'object' } }] };
    response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 's1' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  const options = { revision: '2025-11-25', input_required: true };
  connector = await createMcpConnector(httpSpec(url, options), testDeps());
  close = async () => {
    await connector.close();
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
});
afterEach(() => close());

function event(message: object, id?: string): string {
  return `${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`;
}

const done = (id: string): string => event({ id, result: { content: [{ type: 'text', text: 'done' }] } });
const write = (talk?: Talk) =>
  attemptOf({ tool: 'deed' }, {}, { mode: 'write', ...(talk === undefined ? {} : { talk }) });

test('a stream that broke off is taken up at its mark, and the deed is not sent again', async () => {
  onCall = (_id, response) => {
    response.write('id: e1\nretry: 1\ndata: \n\n');
    response.end();
  };
  onResume = (response) => void response.write(done(calls[0]!.id));
  assert.equal((await connector.attempt(write())).kind, 'ok');
  assert.deepEqual([calls.length, marks], [1, ['e1']]);
});

test('what no stream brings stays unknown, and is not sent again either', async () => {
  onCall = (_id, response) => {
    response.write('id: e1\nretry: 1\ndata: \n\n');
    response.end();
  };
  onResume = (response) => void response.end('id: e2\nretry: 1\ndata: \n\n');
  assert.equal((await connector.attempt(write())).kind, 'unknown');
  assert.equal(calls.length, 1);
  assert.equal(marks.length, 5, 'it is asked for a bounded number of times');
});

test('control: without a mark there is nothing to take up', async () => {
  onCall = (_id, response) => void response.end('data: \n\n');
  assert.equal((await connector.attempt(write())).kind, 'unknown');
  assert.deepEqual([calls.length, marks], [1, []]);
});

const QUESTION = { method: 'elicitation/create', params: { message: 'Whose?', requestedSchema: {} } };

function talkOf(asked: Asking[]): Talk {
  return {
    ...{ left: () => false, notice: null, log_level: null, capabilities: {}, responses: null, state: null },
    demand: () => undefined,
    ask: async (asking) => {
      asked.push(asking);
      return { action: 'accept', content: {} };
    },
  };
}

test('a question that names no call reaches the only caller there is, and nobody when there are two', async () => {
  const [one, other]: Asking[][] = [[], []];
  const second = Promise.withResolvers<void>();
  onCall = () => {
    if (calls.length === 2) second.resolve();
  };
  const attempts = [connector.attempt(write(talkOf(one!))), connector.attempt(write(talkOf(other!)))];
  await second.promise;
  stream!.write(event({ id: 'q1', ...QUESTION }));
  while (answers.length === 0) await new Promise(setImmediate);
  assert.equal((answers[0]!['error'] as JsonObject)['code'], -32601);
  for (const { id, response } of calls) response.write(done(id));
  await Promise.all(attempts);
  assert.deepEqual([one, other], [[], []]);

  onCall = () => void stream!.write(event({ id: 'q2', ...QUESTION }));
  const alone = connector.attempt(write(talkOf(one!)));
  while (answers.length === 1) await new Promise(setImmediate);
  assert.deepEqual(answers[1]!['result'], { action: 'accept', content: {} }, 'control: alone, it is asked');
  calls[2]!.response.write(done(calls[2]!.id));
  await alone;
  assert.equal(one!.length, 1);
});

test('after a call was given up, a question that names no call may be its, and is declined', async () => {
  const asked: Asking[] = [];
  onCall = () => undefined;
  const given = attemptOf({ tool: 'deed' }, {}, { mode: 'write', timeout_ms: 20 });
  assert.equal((await connector.attempt(given)).kind, 'unknown');
  onCall = () => void stream!.write(event({ id: 'q3', ...QUESTION }));
  const next = connector.attempt(write(talkOf(asked)));
  while (answers.length === 0) await new Promise(setImmediate);
  assert.ok('error' in answers[0]!);
  calls[1]!.response.write(done(calls[1]!.id));
  await next;
  assert.deepEqual(asked, []);
});
