// One run: upstreams behind fault proxies, load on a broker that is killed again and again, and what is found afterwards.
import { execFile } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { JsonObject } from '@countersign/contract/json.ts';
import { startApprover } from './approver.ts';
import type { BrokerProcess } from './broker-process.ts';
import { AGENTS, ASK_ABOVE_MINOR, PERSON, QUOTA_LIMITS, type Upstreams, writeChaosBundle } from './bundle.ts';
import { check } from './check.ts';
import { checkReservations } from './check-reservations.ts';
import { type Client, createClient } from './client.ts';
import { startFiles } from './files-upstream.ts';
import { killAgainAndAgain } from './kill-broker.ts';
import { findLastingPort } from './lasting-port.ts';
import { startLoad, type Wanted } from './load.ts';
import { startLedgerDatabase } from './postgres-upstream.ts';
import { readStore } from './read-evidence.ts';
import { type StripeOptions, startStripe } from './stripe-upstream.ts';
import { TIMEOUT_MS } from './tools.ts';
import type { Deed } from './upstream.ts';

export interface ChaosOptions {
  readonly seed: number;
  readonly kills: number;
  readonly callers: number;
  /** Share of the requests to upstreams that a proxy disturbs. */
  readonly fault_rate: number;
  /** How long the broker serves at most before it is killed. */
  readonly serves_most_ms: number;
  /** How long the broker may take at the end to find out what is in doubt. */
  readonly recovers_most_ms: number;
  /** Whether faults end with the kills, so that what is in doubt can be found out. Default true. */
  readonly calms?: boolean;
  /** What is otherwise on the way to Stripe: for controls. */
  readonly stripe?: Partial<StripeOptions>;
  readonly say?: (line: string) => void;
}

export interface ChaosReport {
  readonly seed: number;
  readonly kills: number;
  readonly took_ms: number;
  /** Folder with the bundle, the store and what was found; kept. */
  readonly root: string;
  readonly violations: readonly string[];
  readonly wanted: readonly Wanted[];
  readonly deeds: readonly Deed[];
  /** Calls by effect and final status, as the store has them. */
  readonly outcomes: ReadonlyMap<string, number>;
  /** Injected faults by upstream and kind. */
  readonly faults: ReadonlyMap<string, number>;
  readonly in_doubt: number;
  /** Checkpoints that were taken out during the run and that the final ledger had to lead to. */
  readonly checkpoints: number;
}

/** Replies that are held back come after the broker has given up. */
const LATE_MS = TIMEOUT_MS + 500;
/** No promise about speed, but one that nobody waits for ever. */
const ANSWERS_MOST_MS = 240_000;
const COMMAND = fileURLToPath(new URL('../../bin/countersign.js', import.meta.url));

export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { seed, fault_rate: rate, stripe: otherwise, say = () => undefined } = options;
  const began = performance.now();
  const stream = streamsOf(seed);
  const root = mkdtempSync(join(tmpdir(), 'countersign-chaos-'));
  const [stripe, files, postgres] = await Promise.all([
    startStripe({ seed: stream(1), rate, late_ms: LATE_MS, ...otherwise }),
    startFiles(stream(2), rate, LATE_MS),
    startLedgerDatabase(stream(3), rate, LATE_MS),
  ]);
  const upstreams: Upstreams = { stripe, files, postgres };
  try {
    return { ...(await run(options, root, upstreams, say)), took_ms: performance.now() - began };
  } finally {
    await Promise.all([stripe.stop(), files.stop(), postgres.stop()]);
  }
}

async function run(
  options: ChaosOptions,
  root: string,
  upstreams: Upstreams,
  say: (line: string) => void,
): Promise<Omit<ChaosReport, 'took_ms'>> {
  const { seed, kills, callers, serves_most_ms } = options;
  const stream = streamsOf(seed);
  const all = Object.values(upstreams);
  const bundle = writeChaosBundle(root, upstreams);
  const port = await findLastingPort();
  const url = `http://127.0.0.1:${port}`;
  const clients = AGENTS.map((name) => createClient(url, name, bundle.keys.get(name)!));
  const person = createClient(url, PERSON, bundle.keys.get(PERSON)!);
  const load = startLoad({
    seed: stream(100),
    callers,
    clients,
    charges: upstreams.stripe.charges,
    ask_above_minor: ASK_ABOVE_MINOR,
  });
  const approver = startApprover(stream(4), person);
  const held: string[] = [];
  const keep = async (): Promise<void> => {
    const checkpoint = await person.ask('GET', '/v1/ledger/checkpoint');
    if (checkpoint?.['checkpoint'] === undefined) return;
    held.push(join(root, `checkpoint-${held.length}.json`));
    writeFileSync(held.at(-1)!, JSON.stringify(checkpoint));
  };
  let broker: BrokerProcess | null = null;
  let inDoubt: string[] = [];
  const violations: string[] = [];
  try {
    broker = await killAgainAndAgain({
      bundle: bundle.folder,
      port,
      seed: stream(5),
      kills,
      serves_most_ms,
      serving: keep,
      say,
    });
    if (options.calms !== false) for (const { faults } of all) faults.calm();
    say('no more kills and faults: callers get their answers');
    await load.finish(ANSWERS_MOST_MS);
    await approver.stop();
    say('the broker finds out what is in doubt');
    inDoubt = await settleDown(person, options.recovers_most_ms);
    const died = broker.died();
    if (died !== null) violations.push(`the broker ended by itself: ${died}`);
  } catch (error) {
    violations.push((error as Error).message);
  } finally {
    await Promise.all([load.finish(0), approver.stop()]);
    await broker?.stop();
  }
  const deeds = (await Promise.all(all.map((each) => each.deeds()))).flat();
  const file = join(bundle.dataDir, 'countersign.db');
  const store = readStore(file);
  violations.push(...check({ deeds, ...store, wanted: load.wanted, listed_in_doubt: inDoubt }));
  violations.push(...checkReservations(store, QUOTA_LIMITS));
  const { balances, entries } = await upstreams.postgres.taken();
  if (balances !== entries) violations.push(`the accounts lack ${balances}, their entries say ${entries}`);
  violations.push(...(await verifyOffline(file, store.vkeys, held)));
  writeFileSync(
    join(root, 'found.json'),
    JSON.stringify({ seed, violations, deeds, wanted: load.wanted }, null, 1),
  );
  return {
    seed,
    kills,
    root,
    violations,
    wanted: load.wanted,
    deeds,
    outcomes: tally(store.calls.map(({ effect, status }) => `${effect} ${status}`)),
    faults: new Map(
      all.flatMap(({ name, faults }) => [...faults.counts].map(([kind, n]) => [`${name}: ${kind}`, n])),
    ),
    in_doubt: inDoubt.length,
    checkpoints: held.length,
  };
}

/** Seeds of the parts of a run, which those of another run do not share. Callers count on from the last. */
function streamsOf(seed: number): (part: number) => number {
  return (part) => seed * 10_000 + part;
}

/** Time for the broker to recover. Answers what it then still lists as in doubt. */
async function settleDown(person: Client, most_ms: number): Promise<string[]> {
  const until_ms = performance.now() + most_ms;
  for (;;) {
    const open = await Promise.all(['running', 'held', 'in_doubt'].map((status) => list(person, status)));
    const known = open.filter((each) => each !== null);
    if (known.length === open.length) {
      if (known.flat().length === 0 || performance.now() > until_ms) return known.at(-1)!;
    } else if (performance.now() > until_ms + GRACE_MS) throw new Error('the broker lists no calls any more');
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

/** For a list that was asked for when the time was over. */
const GRACE_MS = 30_000;

/** Null: the broker did not tell, e.g. since the token of a long run has expired. That is not the same as none. */
async function list(person: Client, status: string): Promise<string[] | null> {
  const ids: string[] = [];
  for (;;) {
    const before = ids.length === 0 ? '' : `&before=${ids.at(-1)}`;
    const page = await person.ask('GET', `/v1/calls?status=${status}&limit=200${before}`);
    if (page === null || !Array.isArray(page['calls'])) return null;
    const calls = page['calls'] as readonly JsonObject[];
    ids.push(...calls.map((call) => String(call['call_id'])));
    if (calls.length < 200) return ids;
  }
}

/** `countersign ledger verify`, as an auditor would run it, with every checkpoint that was taken out. */
async function verifyOffline(
  file: string,
  vkeys: ReadonlySet<string>,
  held: readonly string[],
): Promise<string[]> {
  const [vkey = '', ...others] = vkeys;
  if (others.length > 0) return ['the broker changed its key'];
  const args = [
    'ledger',
    'verify',
    '--file',
    file,
    '--key',
    vkey,
    ...held.flatMap((path) => ['--checkpoint', path]),
  ];
  try {
    await promisify(execFile)(process.execPath, [COMMAND, ...args]);
    return [];
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string };
    return [`the ledger does not verify: ${stdout}${stderr}`];
  }
}

function tally(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of [...names].sort()) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}
