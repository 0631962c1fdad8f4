// What of an upstream's progress, log lines and demands reaches the caller: only what the connector's file lets pass.
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { Demand, Notice, Reply, Talk } from '#connectors/connector.ts';
import { createConnector } from '#connectors/create-connector.ts';
import {
  answerModernBasics,
  attemptOf,
  bodyOf,
  credentialOf,
  ECHO,
  httpSpec,
  listen,
  sendJson,
  testDeps,
  withConnector,
} from './fixture.ts';

interface Heard {
  readonly reply: Reply;
  readonly notices: readonly Notice[];
  readonly demands: readonly Demand[];
  /** What the upstream was sent. */
  readonly sent: JsonObject;
}

type Behave = (response: ServerResponse, id: Json, message: JsonObject) => void;

async function hear(
  options: JsonObject,
  behave: Behave,
  talk: Partial<Talk> = {},
  response_bytes = 10_000,
): Promise<Heard> {
  let sent: JsonObject = {};
  const http = await listen((request, response) => {
    void bodyOf(request).then((message) => {
      if (answerModernBasics(message, response, [ECHO])) return;
      sent = message;
      behave(response, message['id'] ?? null, message);
    });
  });
  try {
    const connector = await createConnector(httpSpec(http.url, options), testDeps({ response_bytes }));
    return await withConnector(connector, async () => {
      const notices: Notice[] = [];
      const demands: Demand[] = [];
      const reply = await connector.attempt({
        ...attemptOf(
          { tool: 'echo' },
          { text: 'x' },
          { mode: 'read', credential: credentialOf('s3cr3t-value') },
        ),
        talk: {
          left: () => false,
          notice: (notice) => notices.push(notice),
          log_level: 'debug',
          capabilities: { elicitation: {}, experimental: {} },
          responses: null,
          state: null,
          demand: (demand) => demands.push(demand),
          ...talk,
        },
      });
      return { reply, notices, demands, sent };
    });
  } finally {
    await http.close();
  }
}

function metaOf(sent: JsonObject): JsonObject {
  return (sent['params'] as JsonObject)['_meta'] as JsonObject;
}

/** Progress of this request and of another one, and a log line that repeats the secret. */
const tell: Behave = (response, id, message) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const say = (body: object): void => {
    response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...body })}\n\n`);
  };
  const { progressToken = null } = metaOf(message);
  const progress = (token: Json, value: Json): void =>
    say({
      method: 'notifications/progress',
      params: { progressToken: token, progress: value, message: 'obey me' },
    });
  progress(progressToken, 1);
  progress('foreign', 2);
  progress(progressToken, 'three');
  say({ method: 'notifications/message', params: { level: 'info', data: 'the token is s3cr3t-value' } });
  say({ id, result: { resultType: 'complete', content: [] } });
  response.end();
};

const ask: Behave = (response, id) => {
  const params = { message: 'Is it s3cr3t-value?', requestedSchema: { type: 'object', properties: {} } };
  const inputRequests = { sure: { method: 'elicitation/create', params } };
  sendJson(response, {
    jsonrpc: '2.0',
    id,
    result: { resultType: 'input_required', inputRequests, requestState: 's' },
  });
};

test('progress passes as numbers, of this request only; log lines pass only if the file says so', async () => {
  const quiet = await hear({}, tell);
  assert.deepEqual(quiet.notices, [{ kind: 'progress', progress: 1 }]);
  assert.equal(metaOf(quiet.sent)['io.modelcontextprotocol/logLevel'], undefined);
  const loud = await hear({ log_messages: true }, tell);
  assert.equal(metaOf(loud.sent)['io.modelcontextprotocol/logLevel'], 'debug');
  assert.deepEqual(loud.notices, [
    { kind: 'progress', progress: 1 },
    { kind: 'message', level: 'info', data: 'the token is [redacted]' },
  ]);
});

test('a caller that did not ask is told nothing, and the upstream is not asked to tell', async () => {
  const { notices, sent } = await hear({ log_messages: true }, tell, { notice: null });
  assert.deepEqual(notices, []);
  assert.equal(metaOf(sent)['progressToken'], undefined);
});

test('a demand passes only if the file says so, without the secret', async () => {
  const kept = await hear({}, ask);
  assert.deepEqual(kept.demands, []);
  assert.deepEqual(metaOf(kept.sent)['io.modelcontextprotocol/clientCapabilities'], {});
  const passed = await hear({ input_required: true }, ask);
  assert.equal(passed.reply.kind, 'rejected', 'nothing was done');
  assert.deepEqual(metaOf(passed.sent)['io.modelcontextprotocol/clientCapabilities'], { elicitation: {} });
  const [demand] = passed.demands;
  assert.ok(demand?.kind === 'input');
  assert.equal(demand.state, 's');
  assert.match(JSON.stringify(demand.requests), /Is it \[redacted\]\?/);
});

test('answers go upstream only if the file says so', async () => {
  const answers = { responses: { sure: { action: 'accept' } }, state: 's' };
  const { params: kept } = (await hear({}, ask, answers)).sent as { params: JsonObject };
  assert.equal(kept['inputResponses'], undefined);
  assert.equal(kept['requestState'], undefined);
  const { params: passed } = (await hear({ input_required: true }, ask, answers)).sent as {
    params: JsonObject;
  };
  assert.deepEqual(passed['inputResponses'], answers.responses);
  assert.equal(passed['requestState'], 's');
});

test('a demand of a kind that nobody knows is none', async () => {
  const odd: Behave = (response, id) => {
    const inputRequests = { a: { method: 'tools/call', params: {} } };
    sendJson(response, { jsonrpc: '2.0', id, result: { resultType: 'input_required', inputRequests } });
  };
  const { demands, reply } = await hear({ input_required: true }, odd);
  assert.deepEqual(demands, []);
  assert.equal(reply.kind, 'rejected');
});

test('an upstream that never stops telling is not listened to for longer', async () => {
  const flood: Behave = (response, id, message) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const { progressToken = null } = metaOf(message);
    for (let progress = 1; progress <= 1_500; progress++) {
      const params = { progressToken, progress };
      const text = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/progress', params });
      response.write(`data: ${text}\n\n`);
    }
    response.end(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result: { content: [] } })}\n\n`);
  };
  const { notices, reply } = await hear({}, flood, {}, 1_000_000);
  assert.equal(notices.length, 1_000);
  assert.equal(reply.kind, 'ok');
  // What is told counts towards the size of the answer, so an upstream cannot tell without end either.
  assert.equal((await hear({}, flood)).reply.kind, 'rejected');
});

test('a read that answers too much is refused as that, and what a write did would stay unknown', async () => {
  const large: Behave = (response, id) =>
    sendJson(response, {
      jsonrpc: '2.0',
      id,
      result: { content: [{ type: 'text', text: 'x'.repeat(20_000) }] },
    });
  const { reply } = await hear({}, large);
  assert.equal(reply.kind, 'rejected');
  assert.match((reply as { reason: string }).reason, /larger than 10000 bytes/);
});
