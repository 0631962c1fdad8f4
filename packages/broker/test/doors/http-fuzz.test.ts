// A thousand seeded requests of nonsense, over raw sockets and well-formed HTTP: no 500, no crash, bounded memory.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { routes } from '../../src/http/routes.ts';
import { type HttpBroker, startHttpBroker } from './http-broker.ts';
import { sendRaw } from './http-send-raw.ts';

const SEED = Number(process.env.FUZZ_SEED ?? 20_260_728);
const guarded = routes.filter((route) => route.who !== 'anyone');
const OVER_HTTP = 700;
const OVER_SOCKETS = 300;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Megabytes of the heap that are still held by something. */
function held_mb(): number {
  collect();
  return process.memoryUsage().heapUsed / 1_048_576;
}

/** mulberry32: a small generator, so that a seed replays the run. */
function dice(seed: number) {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (n: number): number => Math.floor(next() * n);
  return {
    below,
    pick: <T>(list: readonly T[]): T => list[below(list.length)]!,
    odds: (p: number) => next() < p,
  };
}

type Dice = ReturnType<typeof dice>;

const WORDS = [
  ...[
    'tool',
    'args',
    'context',
    'dry_run',
    'verdict',
    'deed_digest',
    'scope',
    'target',
    'reason',
    'agent',
    'trigger',
  ],
  ...[
    'get_ticket',
    'refund',
    'everything',
    '__proto__',
    'constructor',
    'toString',
    '',
    '\u0000',
    '\ud800',
    '￿',
    '💥',
  ],
  ...["' or 1=1 --", '{{7*7}}', '../../etc/passwd', '%00', '=1+1', '<script>', 'x'.repeat(300)],
];

function nonsense(d: Dice, depth = 0): unknown {
  switch (d.below(depth > 4 ? 6 : 8)) {
    case 0:
      return d.pick([0, -0, 1, -1, 1e308, 2 ** 53, 2 ** 60, 0.1, 1e-320]);
    case 1:
      return d.odds(0.5);
    case 2:
      return null;
    case 3:
    case 4:
    case 5:
      return d.pick(WORDS);
    case 6:
      return Array.from({ length: d.below(6) }, () => nonsense(d, depth + 1));
    default: {
      const entries = Array.from(
        { length: d.below(7) },
        () => [d.pick(WORDS), nonsense(d, depth + 1)] as const,
      );
      return Object.fromEntries(entries);
    }
  }
}

function mutate(d: Dice, text: string): Buffer {
  const bytes = Buffer.from(text);
  for (let i = d.below(4); i > 0 && bytes.length > 0; i--) bytes[d.below(bytes.length)] = d.below(256);
  return d.odds(0.2) ? bytes.subarray(0, d.below(bytes.length + 1)) : bytes;
}

function somePath(d: Dice): string {
  const path = d
    .pick(routes)
    .path.replace(/\{\w+\}/g, () => encodeURIComponent(d.pick(WORDS).toWellFormed()) || 'x');
  const query = d.odds(0.3)
    ? `?${d.pick(['wait', 'limit', 'log', 'from', 'q'])}=${encodeURIComponent(d.pick(WORDS).toWellFormed())}`
    : '';
  return d.odds(0.1) ? `${path}/%${d.pick(['', 'z', '2', 'ff', 'c0%af'])}` : `${path}${query}`;
}

async function overHttp(d: Dice, broker: HttpBroker): Promise<number> {
  const route = d.pick(guarded);
  const method = d.odds(0.9) ? route.method : d.pick(['GET', 'POST', 'DELETE', 'PUT', 'PATCH', 'OPTIONS']);
  const as = d.pick([
    'desk-agent',
    'desk-orchestrator',
    'olga',
    'paul',
    'amir',
    'nils',
    'idle-agent',
    'nobody',
  ]);
  const likely = d.pick([
    { tool: d.pick(['get_ticket', 'refund', 'none']), args: nonsense(d), context: nonsense(d) },
    { agent: 'desk-agent', trigger: nonsense(d), context: nonsense(d) },
    { scope: d.pick(['agent', 'tool', nonsense(d)]), target: nonsense(d), reason: nonsense(d) },
    nonsense(d),
  ]);
  const withBody = method !== 'GET' && d.odds(0.9);
  const headers: Record<string, string> = {
    ...(d.odds(0.9) ? { authorization: `Bearer ${broker.token(as)}` } : {}),
    ...(withBody
      ? {
          'content-type': d.pick([
            'application/json',
            'application/json',
            'application/json',
            'text/plain',
            'application/x-www-form-urlencoded',
            'a/b;c',
          ]),
        }
      : {}),
    ...(d.odds(0.2) ? { 'idempotency-key': d.pick(['a', '"a"', '"', 'a b', 'x'.repeat(300)]) } : {}),
  };
  const body = mutate(d, JSON.stringify(likely));
  const response = await fetch(`${broker.url}${somePath(d)}`, {
    method,
    headers,
    ...(withBody ? { body } : {}),
  });
  const text = await response.text();
  const type = response.headers.get('content-type') ?? '';
  if (response.status >= 400) {
    const told = JSON.parse(text) as { status?: number; error?: string };
    assert.ok(
      type === 'application/problem+json' ? told.status === response.status : told.error !== undefined,
      text,
    );
  }
  return response.status;
}

async function overSocket(d: Dice, broker: HttpBroker): Promise<number> {
  const body = JSON.stringify(nonsense(d));
  const lines = [
    `${d.pick(['GET', 'POST', 'get', 'PRI', 'CONNECT', 'TRACE', 'X'])} ${d.pick([somePath(d), '*', 'http://x/', '//'])} ${d.pick(['HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', ''])}`,
    ...(d.odds(0.9) ? [`host: ${d.odds(0.8) ? new URL(broker.url).host : d.pick(WORDS)}`] : []),
    ...(d.odds(0.7)
      ? [`authorization: Bearer ${d.odds(0.7) ? broker.token('desk-agent') : d.pick(WORDS)}`]
      : []),
    ...(d.odds(0.7) ? ['content-type: application/json'] : []),
    ...(d.odds(0.3)
      ? [
          `${d.pick(['transfer-encoding', 'connection', 'upgrade', 'expect', 'te', 'x'])}: ${d.pick(['chunked', 'close', 'websocket', '100-continue', ...WORDS])}`,
        ]
      : []),
    `content-length: ${d.pick([String(Buffer.byteLength(body)), '0', '-1', '5', 'x', '99999999999999999999'])}`,
    'connection: close',
  ];
  const raw = await sendRaw(broker.url, mutate(d, `${lines.join('\r\n')}\r\n\r\n${body}`), 150);
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(raw.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, ''))?.[1] ?? 0);
}

test(`fuzzed requests are answered with problems (seed ${SEED})`, async (t) => {
  const broker = await startHttpBroker();
  t.after(() => broker.close());
  const d = dice(SEED);
  const statuses = new Map<number, number>();
  const count = (status: number): void => void statuses.set(status, (statuses.get(status) ?? 0) + 1);
  for (let i = 0; i < 50; i++) count(await overHttp(d, broker));
  const before_mb = held_mb();
  for (let i = 50; i < OVER_HTTP; i++) count(await overHttp(d, broker));
  for (let i = 0; i < OVER_SOCKETS; i += 10) {
    const answers = await Promise.all(Array.from({ length: 10 }, () => overSocket(d, broker)));
    answers.forEach(count);
  }
  const grown_mb = held_mb() - before_mb;
  t.diagnostic(
    `statuses ${JSON.stringify(Object.fromEntries([...statuses].sort()))}, heap grown ${grown_mb.toFixed(1)} MB`,
  );
  assert.equal(statuses.get(500), undefined);
  assert.deepEqual(
    broker.logged.filter((line) => line.includes('broke')),
    [],
  );
  assert.ok(grown_mb < 16, `the heap grew by ${grown_mb} MB`);
  assert.equal((await broker.ask('GET', '/healthz')).status, 200);
});
