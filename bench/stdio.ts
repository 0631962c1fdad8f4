// The bench of a stdio upstream: the same server, called by an official stdio client in this process, through a proxy
// made of the official SDK, and through Countersign, in alternating rounds of one run.
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { checkLedger } from './check-ledger.ts';
import { type Load, load, type Measured, type Target } from './load.ts';
import { lookupOrder, type Order, orderId, orderOf } from './order.ts';
import { medianOf, printTable, writeResult } from './report.ts';
import { runBench } from './run-bench.ts';
import { startBroker } from './start-broker.ts';
import { type Running, startServer } from './start-process.ts';

const ROUNDS = 3;
const BUSY: Load = { callers: 64, requests: 2_000, warmup: 200 };
const SLOWER: Load = { callers: 64, requests: 1_000, warmup: 100 };
const SERVER = new URL('stdio-upstream/server.ts', import.meta.url).pathname;
/** All that the server reads: itself (in a folder of its own, away from the bundle), the orders, and the SDK. */
const READ = ['stdio-upstream', 'order.ts', '../package.json', '../node_modules'].map(
  (path) => new URL(path, import.meta.url).pathname,
);

await runBench(run);

async function run(root: string, started: Running[]): Promise<void> {
  const proxy = await startServer('sdk-proxy.ts', ['stdio', SERVER]);
  started.push(proxy);
  const isolation = process.argv.includes('--isolation=none')
    ? { kind: 'none', reason: 'a bench' }
    : { kind: 'auto', read: READ };
  const connector = {
    ...{ name: 'upstream', kind: 'mcp', owner: 'maya' },
    transport: {
      stdio: { command: process.execPath, args: [SERVER], isolation },
    },
  };
  const governed = await startBroker(root, new URL('http://127.0.0.1:1/mcp'), {
    'connectors/upstream.yaml': connector,
  });
  started.push(governed.running);
  const client = new Client({ name: 'bench', version: '1.0.0' });
  await client.connect(new StdioClientTransport({ command: process.execPath, args: [SERVER] }));
  const through: Target = {
    name: 'sdk-proxy',
    url: new URL(`http://127.0.0.1:${proxy.port}/mcp`),
    authorization: null,
    pid: proxy.pid,
  };
  const sides: readonly (readonly [string, () => Promise<Measured>])[] = [
    ['direct stdio client', () => loadDirect(client, SLOWER)],
    ['sdk-proxy', () => load(through, SLOWER)],
    ['countersign', () => load(governed.target, BUSY)],
  ];
  const measured = new Map<string, Measured[]>(sides.map(([name]) => [name, []]));
  for (let round = 1; round <= ROUNDS; round++)
    for (const [name, measure] of sides) measured.get(name)!.push(await measure());
  await client.close();
  await governed.running.stop();
  const ledger = await checkLedger(governed.bundle.dataDir, ROUNDS * (BUSY.requests + BUSY.warmup));
  const medians = new Map([...measured].map(([name, all]) => [name, medianOf(all)]));
  printTable(`calls through a stdio upstream, median of ${ROUNDS} alternating rounds`, medians);
  const [direct, bare, own] = [...medians.values()].map(({ rate_per_s }) => rate_per_s) as [
    number,
    number,
    number,
  ];
  const ratios = { to_proxy: own / bare, to_direct: own / direct };
  console.log(
    `${ratios.to_proxy.toFixed(2)} times the SDK proxy, ${ratios.to_direct.toFixed(2)} times a direct client (isolation: ${isolation.kind})`,
  );
  console.log(`${ledger.holds ? 'holds ' : 'MISSED'}  ${ledger.sentence}`);
  writeResult('stdio', {
    rounds: ROUNDS,
    isolation: isolation.kind,
    medians: Object.fromEntries(medians),
    all: Object.fromEntries(measured),
    ratios,
    ledger,
  });
  if (!ledger.holds) process.exitCode = 1;
}

/** What the load generator does, without HTTP between. The processor time is that of this process, so none is told. */
async function loadDirect(client: Client, { callers, requests, warmup }: Load): Promise<Measured> {
  let next = 0;
  const times_ms: number[] = [];
  const caller = async (until: number): Promise<void> => {
    while (next < until) {
      const asked = orderOf(orderId(next++));
      const began = performance.now();
      const { structuredContent } = await client.callTool({
        name: lookupOrder.name,
        arguments: { order_id: asked.order_id },
      });
      times_ms.push(performance.now() - began);
      const got = structuredContent as Order | undefined;
      if (
        got?.order_id !== asked.order_id ||
        got.status !== asked.status ||
        got.amount_minor !== asked.amount_minor
      )
        throw new Error(`expected order ${asked.order_id}, got ${JSON.stringify(got)}`);
    }
  };
  const all = (until: number) => Promise.all(Array.from({ length: callers }, () => caller(until)));
  await all(warmup);
  times_ms.length = 0;
  const began = performance.now();
  await all(warmup + requests);
  const took_ms = performance.now() - began;
  times_ms.sort((a, b) => a - b);
  const at = (share: number): number => times_ms[Math.ceil(times_ms.length * share) - 1]!;
  return {
    callers,
    requests,
    rate_per_s: (requests / took_ms) * 1000,
    p50_ms: at(0.5),
    p95_ms: at(0.95),
    p99_ms: at(0.99),
    cpu_us_per_call: null,
  };
}
