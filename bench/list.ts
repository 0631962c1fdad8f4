// The bench of tools/list: a thousand tools and a hundred agents, each list made by asking policy about every tool,
// beside an official SDK server that lists its thousand tools to anybody.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { toolDigest } from '../packages/broker/src/connectors/mcp/tool-definition.ts';
import { getToken } from './get-token.ts';
import { type Load, load, META, type Measured, type Question, type Target } from './load.ts';
import { manyTools, TOOLS } from './many-tools.ts';
import { lookupOrder } from './order.ts';
import { medianOf, printTable, writeResult } from './report.ts';
import { runBench } from './run-bench.ts';
import { startBroker } from './start-broker.ts';
import { type Running, startServer } from './start-process.ts';

const AGENTS = 100;
const ROUNDS = 3;
/** What an agent is shown at most: the rest is found by search. */
const SHOWN = 30;
const BUSY: Load = { callers: 64, requests: 3_000, warmup: 300 };
const SLOWER: Load = { callers: 64, requests: 150, warmup: 15 };

await runBench(run);

async function run(root: string, started: Running[]): Promise<void> {
  const rival = await startServer('sdk-list-server.ts', []);
  const upstream = await startServer('upstream.ts', []);
  started.push(rival, upstream);
  const keys = Array.from({ length: AGENTS }, () => generateKeyPairSync('ed25519'));
  const startedAt = performance.now();
  const files = { ...agentFiles(keys.map((pair) => pair.publicKey)), ...toolFiles() };
  const governed = await startBroker(root, new URL(`http://127.0.0.1:${upstream.port}/mcp`), files);
  const start_ms = performance.now() - startedAt;
  started.push(governed.running);
  const base = governed.target.url.origin;
  const tokens: string[] = [];
  for (const [n, pair] of keys.entries()) tokens.push(await getToken(base, agentName(n), pair.privateKey));

  const first_ms: number[] = [];
  const one: Load = { callers: 1, requests: 1, warmup: 0 };
  for (const token of tokens) {
    const { p50_ms } = await load({ ...governed.target, authorization: token }, one, listing(SHOWN));
    first_ms.push(p50_ms);
  }
  const targets: readonly (readonly [Target, Load, Question])[] = [
    [
      {
        name: 'sdk-server, all 1000',
        url: new URL(`http://127.0.0.1:${rival.port}/mcp`),
        authorization: null,
        pid: rival.pid,
      },
      SLOWER,
      listing(TOOLS),
    ],
    [
      { ...governed.target, name: 'countersign, 30 of 1000 for each of 100 agents', authorization: tokens },
      BUSY,
      listing(SHOWN),
    ],
  ];
  const measured = new Map<string, Measured[]>(targets.map(([{ name }]) => [name, []]));
  for (let round = 1; round <= ROUNDS; round++) {
    for (const [target, amount, question] of targets)
      measured.get(target.name)!.push(await load(target, amount, question));
  }
  const medians = new Map([...measured].map(([name, all]) => [name, medianOf(all)]));
  first_ms.sort((a, b) => a - b);
  const first = { p50_ms: first_ms[AGENTS / 2]!, worst_ms: first_ms.at(-1)! };
  printTable(`tools/list of ${TOOLS} tools, median of ${ROUNDS} alternating rounds`, medians);
  const [rivalMedian, own] = [...medians.values()] as [Measured, Measured];
  const ratio = own.rate_per_s / rivalMedian.rate_per_s;
  console.log(`lists a second: ${ratio.toFixed(1)} times the SDK server's`);
  console.log(
    `the first list of an agent, when policy is asked about every tool: p50 ${first.p50_ms.toFixed(1)} ms, worst ${first.worst_ms.toFixed(1)} ms`,
  );
  console.log(
    `the broker serves ${start_ms.toFixed(0)} ms after its start with ${TOOLS} tools and ${AGENTS + 1} agents`,
  );
  writeResult('list', {
    rounds: ROUNDS,
    tools: TOOLS,
    agents: AGENTS,
    medians: Object.fromEntries(medians),
    all: Object.fromEntries(measured),
    first,
    ratio,
    start_ms,
  });
}

function agentName(n: number): string {
  return `agent-${n}`;
}

function agentFiles(keys: readonly KeyObject[]): Record<string, unknown> {
  const agentOf = (key: KeyObject, n: number) => ({
    ...{ name: agentName(n), owner: 'maya', purpose: 'Lists tools.', roles: ['support'], mode: 'act' },
    keys: [key.export({ format: 'jwk' })],
  });
  return Object.fromEntries(keys.map((key, n) => [`agents/${agentName(n)}.yaml`, agentOf(key, n)]));
}

function toolFiles(): Record<string, unknown> {
  const digest = toolDigest(lookupOrder);
  const permits =
    '@id("all-lookups")\npermit (principal in Role::"support", action in Action::"read", resource);\n';
  const manifests = manyTools.map(({ name, description, inputSchema, outputSchema }) => [
    `tools/${name}.yaml`,
    {
      ...{ name, version: '1.0.0', owner: 'maya', connector: 'upstream', description, effect: 'read' },
      input: inputSchema,
      resources: ["'shop:order/' + args.order_id"],
      bind: { mcp: { tool: lookupOrder.name, digest, args: { order_id: '=args.order_id' } } },
      timeout: '5s',
      output: { schema: outputSchema },
      summary: ['look up order ', '=args.order_id'],
    },
  ]);
  return { ...Object.fromEntries(manifests), 'policies/lookups.cedar': permits };
}

/** The whole list is looked at: so many tools, each with its schema, and no further page. */
function listing(tools: number): Question {
  return {
    headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' },
    body: (id) => ({ jsonrpc: '2.0', id, method: 'tools/list', params: { _meta: META } }),
    isAnswer(text, id) {
      const { id: answered, result } = JSON.parse(text) as {
        id: number;
        result?: { tools: { name: string; inputSchema: object }[]; nextCursor?: string };
      };
      if (answered !== id || result === undefined || result.nextCursor !== undefined) return false;
      const names = new Set(result.tools.map((tool) => tool.name));
      return names.size === tools && result.tools.every((tool) => typeof tool.inputSchema === 'object');
    },
  };
}
