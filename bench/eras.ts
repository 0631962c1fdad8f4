// The bench of the two eras: the same call in revision 2026-07-28 and in a session of 2025-11-25, through a bare SDK
// proxy and through Countersign, in alternating rounds of one run.
import { checkLedger } from './check-ledger.ts';
import { type Load, load, lookup, type Measured, type Question, type Target } from './load.ts';
import { lookupOrder, orderId } from './order.ts';
import { medianOf, printTable, writeResult } from './report.ts';
import { runBench } from './run-bench.ts';
import { startBroker } from './start-broker.ts';
import { type Running, startServer } from './start-process.ts';

const ROUNDS = 3;
const BUSY: Load = { callers: 64, requests: 3_000, warmup: 300 };
const SLOWER: Load = { callers: 64, requests: 1_000, warmup: 100 };

await runBench(run);

interface Side {
  readonly target: Target;
  readonly question: Question;
  readonly load: Load;
}

async function run(root: string, started: Running[]): Promise<void> {
  const upstream = await startServer('upstream.ts', []);
  started.push(upstream);
  const url = new URL(`http://127.0.0.1:${upstream.port}/mcp`);
  const proxy = await startServer('sdk-proxy.ts', [url.href, 'both-eras']);
  started.push(proxy);
  const governed = await startBroker(root, url);
  started.push(governed.running);
  const through = (name: string): Target => ({
    ...{ name, authorization: null, pid: proxy.pid },
    url: new URL(`http://127.0.0.1:${proxy.port}/mcp`),
  });
  const session = await openSession(governed.target);
  const sides: readonly Side[] = [
    { target: through('sdk-proxy 2026-07-28'), question: lookup, load: SLOWER },
    { target: through('sdk-proxy 2025-11-25'), question: inSession(null), load: SLOWER },
    { target: { ...governed.target, name: 'countersign 2026-07-28' }, question: lookup, load: BUSY },
    {
      target: { ...governed.target, name: 'countersign 2025-11-25' },
      question: inSession(session),
      load: BUSY,
    },
  ];
  const measured = new Map<string, Measured[]>(sides.map(({ target }) => [target.name, []]));
  for (let round = 1; round <= ROUNDS; round++) {
    for (const { target, question, load: amount } of sides)
      measured.get(target.name)!.push(await load(target, amount, question));
  }
  await governed.running.stop();
  const ledger = await checkLedger(governed.bundle.dataDir, 2 * ROUNDS * (BUSY.requests + BUSY.warmup));
  const medians = new Map([...measured].map(([name, all]) => [name, medianOf(all)]));
  printTable(`a call in both eras, median of ${ROUNDS} alternating rounds`, medians);
  const rate = (name: string): number => medians.get(name)!.rate_per_s;
  const ratios = {
    session_to_stateless: rate('countersign 2025-11-25') / rate('countersign 2026-07-28'),
    stateless_to_proxy: rate('countersign 2026-07-28') / rate('sdk-proxy 2026-07-28'),
    session_to_proxy: rate('countersign 2025-11-25') / rate('sdk-proxy 2025-11-25'),
  };
  console.log(
    `a session serves ${ratios.session_to_stateless.toFixed(2)} times what the stateless revision does`,
  );
  console.log(
    `against the SDK proxy: ${ratios.stateless_to_proxy.toFixed(1)} times in 2026-07-28, ${ratios.session_to_proxy.toFixed(1)} in 2025-11-25`,
  );
  console.log(`${ledger.holds ? 'holds ' : 'MISSED'}  ${ledger.sentence}`);
  writeResult('eras', {
    rounds: ROUNDS,
    medians: Object.fromEntries(medians),
    all: Object.fromEntries(measured),
    ratios,
    ledger,
  });
  if (!ledger.holds) process.exitCode = 1;
}

async function openSession({ url, authorization }: Target): Promise<string> {
  const params = {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'bench', version: '1.0.0' },
  };
  const answer = await fetch(url, {
    method: 'POST',
    headers: {
      ...{ 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      authorization: String(authorization),
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }),
  });
  const session = answer.headers.get('mcp-session-id');
  if (session === null) throw new Error(`expected a session, got ${answer.status} ${await answer.text()}`);
  return session;
}

/** Null: the proxy keeps no sessions, and answers each request of that era alone. */
function inSession(session: string | null): Question {
  return {
    headers: {
      'mcp-protocol-version': '2025-11-25',
      ...(session === null ? {} : { 'mcp-session-id': session }),
    },
    body: (id) => {
      const params = { name: lookupOrder.name, arguments: { order_id: orderId(id) } };
      return { jsonrpc: '2.0', id, method: 'tools/call', params };
    },
    // The proxy answers that era as a stream of one event.
    isAnswer: (text, id) => lookup.isAnswer(/^data: (.*)$/m.exec(text)?.[1] ?? text, id),
  };
}
