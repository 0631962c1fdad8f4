// A credential that is bound to a key: every request carries a proof of its own, and a challenge is answered once.
import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Connector, Reply } from '#connectors/connector.ts';
import { createConnector } from '#connectors/create-connector.ts';
import type { Credential, Refusal, RequestProof } from '#rules/credential.ts';
import {
  answerModernBasics,
  attemptOf,
  bodyOf,
  credentialOf,
  ECHO,
  httpSpec,
  listen,
  responseOf,
  sendJson,
  testDeps,
  withConnector,
} from './fixture.ts';

interface Seen {
  readonly method: string;
  readonly said: string;
  readonly proof: string;
}

/** Signs nothing: a proof is the request it is for, a number and the nonce. */
class CountedProof implements RequestProof {
  nonce = 'none';
  made = 0;
  async headersFor(method: string, url: string): Promise<readonly string[]> {
    return ['dpop', `${method} ${new URL(url).pathname} ${++this.made} ${this.nonce}`];
  }
  heed({ status, challenge, nonce }: Parameters<RequestProof['heed']>[0]): boolean {
    if (nonce !== null) this.nonce = nonce;
    return status === 401 && challenge === 'DPoP error="use_dpop_nonce"' && nonce !== null;
  }
}

/** Refuses, or answers false and lets the request be handled. */
type Guard = (request: IncomingMessage, response: ServerResponse) => boolean;

interface Opened {
  readonly connector: Connector;
  readonly proof: CountedProof;
  readonly seen: Seen[];
  readonly refusals: Refusal[];
  /** Calls that were carried out. */
  readonly done: () => number;
}

async function withProof(
  guard: Guard,
  work: (opened: Opened) => Promise<void>,
  era: 'modern' | 'legacy' = 'modern',
): Promise<void> {
  const seen: Seen[] = [];
  const refusals: Refusal[] = [];
  let done = 0;
  const http = await listen((request, response) => void serve(request, response));
  const proof = new CountedProof();
  const credential: Credential = { ...credentialOf('the-token'), proof };
  const spec = { ...httpSpec(http.url), credential: { provider: 'oauth', options: {} } };
  const deps = testDeps({
    connectionCredential: async () => credential,
    credentialRefused: async (_, refusal) => {
      refusals.push(refusal);
      return null;
    },
  });
  try {
    const connector = await createConnector(spec, deps);
    await withConnector(connector, () => work({ connector, proof, seen, refusals, done: () => done }));
  } finally {
    await http.close();
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const message = request.method === 'GET' ? { method: 'stream' } : await bodyOf(request);
    seen.push({
      ...{ method: request.method!, said: String(message['method']) },
      proof: String(request.headers['dpop']),
    });
    if (guard(request, response)) return;
    if (request.method === 'GET') return void response.writeHead(405).end();
    if (era === 'legacy') return answerLegacy(message, response, () => done++);
    if (answerModernBasics(message, response, [ECHO])) return;
    done++;
    sendJson(response, { jsonrpc: '2.0', id: message['id'] ?? null, result: RESULT });
  }
}

const RESULT = { resultType: 'complete', content: [{ type: 'text', text: 'done' }] };

function answerLegacy(message: JsonObject, response: ServerResponse, count: () => void): void {
  const { id = null, method } = message;
  if (method === 'server/discover') return void response.writeHead(400).end();
  if (id === null) return void response.writeHead(202).end();
  const initialized = {
    ...{ protocolVersion: '2025-11-25', capabilities: { tools: {} } },
    serverInfo: { name: 'x', version: '1' },
  };
  if (method === 'tools/call') count();
  const result = method === 'initialize' ? initialized : method === 'tools/list' ? { tools: [ECHO] } : RESULT;
  sendJson(response, { jsonrpc: '2.0', id, result });
}

function call({ connector, proof }: Opened, mode: 'read' | 'write' = 'write'): Promise<Reply> {
  const credential = { ...credentialOf('the-token'), proof };
  return connector.attempt(attemptOf({ tool: 'echo' }, { text: 'x' }, { mode, credential }));
}

const open: Guard = () => false;

function challenge(response: ServerResponse, nonce: string): true {
  response.writeHead(401, { 'www-authenticate': 'DPoP error="use_dpop_nonce"', 'dpop-nonce': nonce }).end();
  return true;
}

for (const era of ['modern', 'legacy'] as const)
  test(`in the ${era} era every request carries a proof of its own, for its method and address`, () =>
    withProof(
      open,
      async (opened) => {
        responseOf(await call(opened));
        responseOf(await call(opened));
        const proofs = opened.seen.map(({ proof }) => proof);
        assert.equal(new Set(proofs).size, proofs.length);
        for (const { method, proof, said } of opened.seen)
          assert.ok(proof.startsWith(`${method} /mcp `), said);
        const said = new Set(opened.seen.map((each) => each.said));
        const expected =
          era === 'modern'
            ? ['server/discover', 'tools/list', 'tools/call']
            : ['server/discover', 'initialize', 'notifications/initialized', 'tools/list', 'tools/call'];
        assert.deepEqual([...said], expected);
      },
      era,
    ));

test('control: a credential without a proof sends none', () =>
  withProof(open, async ({ connector, seen }) => {
    const before = seen.length;
    await connector.attempt(attemptOf({ tool: 'echo' }, {}, { credential: credentialOf('the-token') }));
    assert.deepEqual(
      seen.slice(before).map(({ proof }) => proof),
      ['undefined'],
    );
  }));

test('a challenge for a nonce is answered once, the deed is done once, and the nonce is kept', () => {
  const wants: Guard = (request, response) =>
    !String(request.headers['dpop']).endsWith(' n1') && challenge(response, 'n1');
  return withProof(wants, async (opened) => {
    // The first request of the connector met the challenge; what came after it had the nonce.
    assert.deepEqual(
      opened.seen.map(({ said }) => said),
      ['server/discover', 'server/discover', 'tools/list'],
    );
    opened.proof.nonce = 'stale';
    responseOf(await call(opened));
    responseOf(await call(opened));
    const calls = opened.seen.filter(({ said }) => said === 'tools/call');
    assert.deepEqual(
      calls.map(({ proof }) => proof.split(' ').at(-1)),
      ['stale', 'n1', 'n1'],
    );
    assert.equal(opened.done(), 2);
    assert.equal(opened.refusals.length, 0);
  });
});

test('a server that is content with no nonce is asked twice for a call, not for ever', () => {
  let hostile = false;
  let nonces = 0;
  const guard: Guard = (_, response) => hostile && challenge(response, `n${++nonces}`);
  return withProof(guard, async (opened) => {
    hostile = true;
    const before = opened.seen.length;
    const reply = await call(opened);
    assert.equal(reply.kind, 'rejected');
    assert.equal(opened.seen.length - before, 2);
    assert.equal(opened.done(), 0);
    assert.deepEqual(
      opened.refusals.map(({ authorization }) => authorization),
      ['Bearer the-token'],
    );
  });
});

test('control: a refusal that is about no nonce is not answered with another request', () => {
  let hostile = false;
  const guard: Guard = (_, response) => {
    if (hostile) response.writeHead(401, { 'www-authenticate': 'DPoP', 'dpop-nonce': 'n1' }).end();
    return hostile;
  };
  return withProof(guard, async (opened) => {
    hostile = true;
    const before = opened.seen.length;
    assert.equal((await call(opened)).kind, 'rejected');
    assert.equal(opened.seen.length - before, 1);
  });
});

test('a nonce that comes with a good answer goes into the next proof', () => {
  const guard: Guard = (_, response) => {
    response.setHeader('dpop-nonce', 'next');
    return false;
  };
  return withProof(guard, async (opened) => {
    responseOf(await call(opened));
    assert.match(opened.seen.at(-1)!.proof, / next$/);
  });
});

test('what cannot be signed is not sent', () =>
  withProof(open, async (opened) => {
    const before = opened.seen.length;
    opened.proof.headersFor = () => Promise.reject(new Error('no key'));
    const reply = await call(opened);
    assert.equal(reply.kind, 'not_sent');
    assert.equal(opened.seen.length, before);
  }));
