// One seed: a broker's lives, its callers, its people and its outside world, until everything had time to end.
import { createHash } from 'node:crypto';
import { verifyLedger } from '#store/verify-ledger.ts';
import { Random } from '../differential/random.ts';
import { callAsAgent, toolsOf } from './agents.ts';
import { AGENTS, APPROVAL_TTL_MS, type Variant, variants } from './bundle.ts';
import { begin, type Ground, type Life, signer } from './life.ts';
import { LATE_MS, Outside, weatherOf } from './outside.ts';
import { activateNow, haltNow, liftAll, liftNow, resolveNow, voteNow } from './people.ts';
import { Broken, Promises } from './promises.ts';
import { OnRecord } from './record.ts';
import { type Owner, Scheduler } from './scheduler.ts';
import { type Disk, newStoreFile, removeStoreFile } from './simulated-store.ts';

export interface Outcome {
  readonly seed: number;
  /** The promise that does not hold, or null. */
  readonly broken: string | null;
  /** What happened, oldest first. */
  readonly trace: readonly string[];
  /** Over the whole trace: two runs of a seed have the same. */
  readonly digest: string;
  readonly counts: Counts;
}

export interface Counts {
  readonly steps: number;
  readonly calls: number;
  readonly executions: number;
  readonly crashes: number;
  readonly by_status: Readonly<Record<string, number>>;
}

/** What actors share. */
export interface Stage {
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly promises: Promises;
  readonly outside: Outside;
  readonly record: OnRecord;
  /** The broker that is alive and open, or null. */
  readonly life: () => Life | null;
  /** What the bundle folder holds now. */
  variant: Variant;
  /** Tools that are called in this world. */
  readonly tools: readonly string[];
  /** Owner of everybody who lives on when a broker dies. */
  readonly people: Owner;
  readonly trace: (line: string) => void;
}

/** Long enough for every hold to expire, every late request to arrive and every job to have its turn. */
const AFTERWARDS_MS = APPROVAL_TTL_MS + LATE_MS + 120_000;

/** A rejection that nobody takes up ends a real broker: it belongs to the seed that is running. */
let unhandled: ((error: Error) => void) | null = null;
process.on('unhandledRejection', (error: Error) => {
  if (unhandled === null) throw error;
  unhandled(error);
});

/** Runs a seed to its end, or to the first promise that does not hold. */
export async function simulate(seed: number): Promise<Outcome> {
  const random = new Random(seed);
  const trace: string[] = [];
  const started_ms = 1_800_000_000_000;
  const say = (line: string): void =>
    void trace.push(`${String(scheduler.now_ms - started_ms).padStart(7)} ms  ${line}`);
  const scheduler = new Scheduler(random, say);
  const file = newStoreFile();
  const record = new OnRecord(file);
  let broken: Error | null = null;
  const guard = (check: () => void): void => {
    try {
      check();
    } catch (error) {
      broken ??= error as Error;
    }
  };
  unhandled = (error) => {
    broken ??= error;
  };
  const promises = new Promises(
    () => outside,
    () => record,
  );
  const weather = weatherOf(random);
  const disk: Disk = { failing: 0 };
  const outside = new Outside(scheduler, random, weather, {
    leaving: (attempt, broker) => guard(() => promises.leaving(attempt, broker)),
    answered: (attempt, reply, broker) => promises.answered(attempt, reply, broker),
    executed: (execution) => guard(() => promises.executed(execution)),
  });
  const log: string[] = [];
  const ground: Ground = {
    ...{ random, scheduler, outside, disk, file, fine: random.chance(0.3) },
    log: (line) => {
      log.push(line);
      say(line);
    },
  };
  let life: Life | null = null;
  let crashes = 0;
  const stage: Stage = {
    ...{ random, scheduler, promises, outside, record, trace: say },
    life: () => (life?.owner.alive === true && life.open ? life : null),
    variant: variants[0]!,
    tools: toolsOf(random),
    people: { name: 'people', alive: true },
  };
  const crash = (): void => {
    if (life?.owner.alive !== true) return;
    say('CRASH');
    crashes++;
    life.kill();
  };
  let lives = 0;
  const revive = async (): Promise<void> => {
    if (life?.owner.alive === true) return;
    life = null;
    try {
      life = await begin(ground, `broker ${++lives}`, stage.variant.bundle, record.checkpoints());
    } catch (error) {
      say(`the broker cannot start: ${(error as Error).message}`);
      if (disk.failing === 0) throw error;
    }
  };
  const crashOdds = random.pick([0, 0.002, 0.01]);
  const diskOdds = random.pick([0, 0, 0.05, 0.3]);
  const late_ms = random.pick([0, 0, 100, 2_000]);
  const act = actors(stage, guard);
  try {
    const troubled_until = scheduler.now_ms + random.pick([10_000, 20_000, 70_000]);
    while (broken === null && (act.left() || scheduler.now_ms < troubled_until)) {
      if (random.chance(0.01)) disk.failing = random.pick([0, diskOdds]);
      if (disk.failing > 0) promises.diskFailed();
      if (random.chance(crashOdds)) crash();
      await revive();
      if (!(await scheduler.step(late_ms))) break;
      if (random.chance(0.05)) guard(() => promises.always());
    }
    // From now on everything is well, and has time.
    weather.trouble = 0;
    disk.failing = 0;
    say('everything is well from now on');
    const until = scheduler.now_ms + AFTERWARDS_MS;
    let lifted = false;
    while (broken === null && scheduler.now_ms < until) {
      await revive();
      if (!lifted && stage.life() !== null) {
        lifted = true;
        void liftAll(stage);
      }
      if (!(await scheduler.step(scheduler.now_ms < until - 15_000 ? 5_000 : 0))) break;
    }
    if (broken === null) guard(() => promises.atTheEnd(log));
    if (broken === null) {
      const report = verifyLedger(file, signer.vkey, { held: record.checkpoints() });
      if (!report.ok) broken = new Broken(`the ledger does not verify: ${JSON.stringify(report.failures)}`);
    }
  } catch (error) {
    broken ??= error as Error;
  }
  const by_status: Record<string, number> = {};
  const calls = record.calls();
  for (const { status } of calls) by_status[status] = (by_status[status] ?? 0) + 1;
  (life as Life | null)?.kill();
  outside.owner.alive = false;
  stage.people.alive = false;
  unhandled = null;
  record.close();
  removeStoreFile(file);
  const error = broken as Error | null;
  const why =
    error === null ? null : error instanceof Broken ? error.message : (error.stack ?? error.message);
  return {
    seed,
    broken: why,
    trace,
    digest: createHash('sha256').update(trace.join('\n')).digest('hex'),
    counts: {
      steps: scheduler.steps,
      calls: calls.length,
      executions: outside.executions.length,
      crashes,
      by_status,
    },
  };
}

type Guard = (check: () => void) => void;

/** Everybody outside the broker: what they do next is the seed's choice, and so is when. */
function actors(stage: Stage, guard: Guard): { left: () => boolean } {
  const { random, scheduler, people } = stage;
  let running = 0;
  const play = (name: string, times: number, pause_ms: number, turn: () => Promise<void>): void => {
    running++;
    const go = async (): Promise<void> => {
      for (let n = 0; n < times; n++) {
        await scheduler.sleep(people, random.below(pause_ms));
        try {
          await turn();
        } catch (error) {
          if (error instanceof Broken)
            guard(() => {
              throw error;
            });
          else stage.trace(`${name}: ${(error as Error).message}`);
        }
      }
      running--;
    };
    void go();
  };
  for (const agent of AGENTS) play(agent, 2 + random.below(5), 4_000, callAsAgent(stage, agent));
  play('voters', 10 + random.below(20), 3_000, () => voteNow(stage));
  if (random.chance(0.4))
    play('operator', 1 + random.below(10), random.pick([1_000, 8_000]), () =>
      random.chance(0.5) ? haltNow(stage) : liftNow(stage),
    );
  if (random.chance(0.3)) play('resolver', 1 + random.below(6), 8_000, () => resolveNow(stage));
  if (random.chance(0.3)) play('admin', 1 + random.below(3), 12_000, () => activateNow(stage));
  return { left: () => running > 0 };
}
