// Throws seeded requests at one broker, judges every answer, and looks at what the broker is like afterwards.

import { type BrokerProcess, type Memory, startBrokerProcess } from './broker-process.ts';
import { type Cast, castTokens } from './cast.ts';
import { diceOf } from './dice.ts';
import { type Heard, Line } from './exchange.ts';
import { judge, judgeForm } from './judge.ts';
import { type Fuzzed, fuzzRequest } from './mutate-wire.ts';
import { plainHttp, plainMcp } from './requests.ts';

export interface FuzzOptions {
  readonly seed: number;
  readonly requests: number;
  /** Throws this one alone, and says what came back. */
  readonly only?: number;
  readonly say?: (line: string) => void;
}

export interface FuzzReport {
  readonly seed: number;
  readonly requests: number;
  readonly took_ms: number;
  /** Answers by status; `none` where the connection ended without one. */
  readonly statuses: Readonly<Record<string, number>>;
  /** How many requests each mutation was done to; `nothing` for those left as they were. */
  readonly mutations: Readonly<Record<string, number>>;
  /** Requests that had to work and those that had to be refused. */
  readonly held: { readonly works: number; readonly refused: number; readonly strangers: number };
  readonly failures: readonly string[];
  /** After a fifth of the requests, and at the end. */
  readonly memory: { readonly early: Memory; readonly late: Memory };
  readonly entries: number;
}

const CALLERS = 16;
/** Tokens live five minutes. */
const CAST_EVERY_MS = 120_000;
const FAILURES_MAX = 20;
const MB = 1_048_576;
/** What a broker may have gained after a fifth of the run: caches that are bounded by number, and the heap's own slack. */
export const HEAP_GROWTH_MAX_MB = 32;
export const RSS_GROWTH_MAX_MB = 160;

export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const broker = await startBrokerProcess();
  const line = new Line(broker.port);
  let stopped: { readonly ledger: boolean; readonly entries: number } | null = null;
  try {
    const run = new Run(options, broker, line);
    const report = await run.all();
    line.close();
    stopped = await broker.stop();
    const failures = [...report.failures];
    if (!stopped.ledger) failures.push('the ledger does not verify');
    return { ...report, failures, entries: stopped.entries };
  } finally {
    line.close();
    if (stopped === null) await broker.stop();
  }
}

class Run {
  readonly #options: FuzzOptions;
  readonly #broker: BrokerProcess;
  readonly #line: Line;
  readonly #statuses = new Map<string, number>();
  readonly #mutations = new Map<string, number>();
  readonly #held = { works: 0, refused: 0, strangers: 0 };
  readonly #failures: string[] = [];
  #cast!: Cast;
  #castAt_ms = 0;
  #next = 0;

  constructor(options: FuzzOptions, broker: BrokerProcess, line: Line) {
    this.#options = options;
    this.#broker = broker;
    this.#line = line;
  }

  async all(): Promise<Omit<FuzzReport, 'entries'>> {
    const { seed, requests, only } = this.#options;
    const began = performance.now();
    await this.#castAnew();
    if (only !== undefined) this.#next = only;
    const end = only === undefined ? requests : only + 1;
    await this.#throwUntil(Math.min(end, Math.floor(requests / 5)));
    const early = await this.#broker.memory();
    await this.#throwUntil(end);
    await this.#stillWorks();
    const late = await this.#broker.memory();
    this.#judgeMemory(early, late);
    const took_ms = performance.now() - began;
    const sorted = (counts: Map<string, number>) => Object.fromEntries([...counts].sort());
    return {
      ...{ seed, requests, took_ms, failures: this.#failures, memory: { early, late }, held: this.#held },
      ...{ statuses: sorted(this.#statuses), mutations: sorted(this.#mutations) },
    };
  }

  async #throwUntil(end: number): Promise<void> {
    const caller = async (): Promise<void> => {
      while (this.#next < end && this.#failures.length < FAILURES_MAX && this.#broker.alive()) {
        if (performance.now() - this.#castAt_ms > CAST_EVERY_MS) await this.#castAnew();
        const from = this.#next;
        // Some go out together on one connection, before any is answered.
        const dice = diceOf(this.#options.seed ^ 0x5bd1e995, from);
        const many = this.#options.only === undefined && dice.odds(0.05) ? 2 + dice.below(4) : 1;
        this.#next = Math.min(end, from + many);
        if (from % 10_000 === 0) this.#options.say?.(`${from} requests, ${this.#failures.length} failures`);
        await this.#throwAll(Array.from({ length: this.#next - from }, (_, i) => from + i));
      }
    };
    await Promise.all(Array.from({ length: CALLERS }, caller));
  }

  async #throwAll(indices: readonly number[]): Promise<void> {
    const all = indices.map((index) => ({ index, fuzzed: this.#make(index) }));
    const line = all.filter(({ fuzzed }) => fuzzed.framed && fuzzed.end === 'keep');
    if (line.length > 1) await this.#throwTogether(line);
    for (const one of all) if (line.length < 2 || !line.includes(one)) await this.#throwTogether([one]);
  }

  /** One connection, one burst of bytes. */
  async #throwTogether(all: readonly { readonly index: number; readonly fuzzed: Fuzzed }[]): Promise<void> {
    const [first] = all;
    const { framed, end, cuts } = first!.fuzzed;
    let heard: Heard;
    try {
      heard = await this.#line.send({
        ...{ end, cuts, due: framed ? all.length : null },
        bytes: Buffer.concat(all.map(({ fuzzed }) => fuzzed.bytes)),
        methods: all.map(({ fuzzed }) => fuzzed.bytes.toString('latin1', 0, 8).split(' ')[0]!),
      });
    } catch (error) {
      return this.#fail(first!.index, first!.fuzzed, (error as Error).message);
    }
    if (end === 'reset') return this.#count('none', first!.fuzzed);
    if (heard.left.length > 0)
      this.#fail(
        first!.index,
        first!.fuzzed,
        `bytes that are no answer: ${heard.left.toString('latin1').slice(0, 300)}`,
      );
    all.forEach(({ index, fuzzed }, place) => {
      const answer = heard.answers[place];
      this.#count(answer === undefined ? 'none' : String(answer.status), fuzzed);
      const closed = heard.answers
        .slice(0, place)
        .some(({ headers }) => headers.get('connection') === 'close');
      if (answer !== undefined) this.#judge(index, fuzzed, judge(fuzzed, answer));
      // Whoever ends their side is taken to be gone: what was asked is done and recorded, and may go unanswered.
      else if (framed && !closed && end === 'keep') this.#fail(index, fuzzed, 'no answer');
    });
    // Where the framing was tampered with, one request may have been read as several: each answer is well formed all the same.
    for (const more of heard.answers.slice(all.length))
      this.#judge(first!.index, first!.fuzzed, judgeForm(more, more.body.toString('utf8')));
  }

  #make(index: number): Fuzzed {
    const dice = diceOf(this.#options.seed, index);
    const door = dice.below(10);
    const plain =
      door < 4 ? plainHttp(dice, this.#cast) : plainMcp(dice, this.#cast, door < 7 ? 'stateless' : 'session');
    return fuzzRequest(dice, this.#cast, plain);
  }

  #count(status: string, { did, expects, stranger }: Fuzzed): void {
    this.#statuses.set(status, (this.#statuses.get(status) ?? 0) + 1);
    for (const name of did.length === 0 ? ['nothing'] : did)
      this.#mutations.set(name, (this.#mutations.get(name) ?? 0) + 1);
    if (expects !== 'any') this.#held[expects] += 1;
    if (stranger) this.#held.strangers += 1;
  }

  #judge(index: number, fuzzed: Fuzzed, wrong: string | null): void {
    if (wrong !== null) this.#fail(index, fuzzed, wrong);
  }

  #fail(index: number, { did, plain, bytes }: Fuzzed, why: string): void {
    const sent = JSON.stringify(
      bytes
        .toString('latin1')
        .replace(/Bearer [\w.-]{60,}/, 'Bearer …')
        .slice(0, 400),
    );
    this.#failures.push(
      `--seed ${this.#options.seed} --only ${index} (${plain.era}; ${did.join(', ')}): ${why}\n    sent ${sent}`,
    );
  }

  /** The broker is there, has logged nothing broken, and answers a valid call at each door as it should. */
  async #stillWorks(): Promise<void> {
    const said = this.#broker.said();
    if (!this.#broker.alive()) this.#failures.push(`the broker is gone: ${said}`);
    const broken = /^.*(broke|failed|unhandled|uncaught|fatal|Error:).*$/im.exec(
      said.replace(/serves at.*/, ''),
    );
    if (broken !== null) this.#failures.push(`the broker logged: ${broken[0]}`);
    if (!this.#broker.alive()) return;
    await this.#castAnew();
    for (const era of ['http', 'stateless', 'session'] as const) {
      let index = 0;
      for (let found = 0; found < 5; index++) {
        const dice = diceOf(this.#options.seed ^ 0x2545f491, index);
        const plain = era === 'http' ? plainHttp(dice, this.#cast) : plainMcp(dice, this.#cast, era);
        if (plain.works === null || !/hello/.test(plain.works.source)) continue;
        found += 1;
        const bare = fuzzRequest(
          { below: () => 0, pick: (list) => list[0]!, odds: () => false },
          this.#cast,
          plain,
        );
        await this.#throwTogether([{ index: -1, fuzzed: bare }]);
      }
    }
  }

  #judgeMemory(early: Memory, late: Memory): void {
    const heap_mb = (late.heapUsed + late.external - early.heapUsed - early.external) / MB;
    const rss_mb = (late.rss - early.rss) / MB;
    if (heap_mb > HEAP_GROWTH_MAX_MB) this.#failures.push(`the heap grew by ${heap_mb.toFixed(1)} MB`);
    if (rss_mb > RSS_GROWTH_MAX_MB) this.#failures.push(`the process grew by ${rss_mb.toFixed(1)} MB`);
  }

  async #castAnew(): Promise<void> {
    this.#castAt_ms = performance.now();
    const { url, tokenKeyFile } = this.#broker;
    const { tokens, bad } = await castTokens(url, tokenKeyFile, (name, resource) =>
      this.#broker.token(name, resource),
    );
    const sessionOf = (name: string) => openSession(url, tokens.get(`${name} mcp`)!);
    const bot = tokens.get('bot v1')!;
    const made = { call: 'call_none', approval: 'apr_none', digest: 'sha256:none', run: 'run_none' };
    const held = await post(url, bot, '/v1/calls', { tool: 'close_account', args: { account: 'AC-1' } });
    made.call = String(held.call_id ?? made.call);
    const run = await post(url, tokens.get('desk v1')!, '/v1/runs', {
      agent: 'bot',
      trigger: 't',
      context: { ticket: 'ZD-1' },
    });
    made.run = String(run.run_id ?? made.run);
    const open = (await (
      await fetch(`${url}/v1/approvals?status=open`, {
        headers: { authorization: `Bearer ${tokens.get('ana v1')}` },
      })
    ).json()) as { approvals?: { approval_id: string; deed_digest: string }[] };
    const approval = open.approvals?.[0];
    this.#cast = {
      ...{ host: new URL(url).host, tokens, bad, digest: approval?.deed_digest ?? made.digest },
      sessions: {
        own: [await sessionOf('bot'), await sessionOf('bot')],
        foreign: [await sessionOf('other-bot')],
      },
      ids: {
        call: made.call,
        run: made.run,
        approval: approval?.approval_id ?? made.approval,
        halt: 'halt_none',
        log: 'tenant:acme',
      },
    };
  }
}

async function post(
  url: string,
  token: string,
  path: string,
  body: object,
): Promise<Record<string, unknown>> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const answer = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  return (await answer.json()) as Record<string, unknown>;
}

async function openSession(url: string, token: string): Promise<string> {
  const params = {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'fuzz', version: '1' },
  };
  const answer = await fetch(`${url}/mcp`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params }),
  });
  await answer.text();
  return answer.headers.get('mcp-session-id') ?? 'none';
}
