// Callers: agents that ask, repeat themselves, ask twice at once, leave before the answer, and come back for it.

import type { JsonObject } from '@countersign/contract/json.ts';
import type { CallAnswer } from '@countersign/contract/wire.ts';
import { showCall } from '#admin/calls.ts';
import { openRun } from '#admin/runs.ts';
import { askCall, performCall } from '#call/perform-call.ts';
import type { Talk } from '#connectors/connector.ts';
import { bearer } from '#identity/identity.ts';
import type { Random } from '../differential/random.ts';
import { variants } from './bundle.ts';
import type { Stage } from './simulate.ts';

/** A world calls few tools often, or all of them. */
export function toolsOf(random: Random): readonly string[] {
  const some = [...READS, ...WRITES].filter(() => random.chance(0.3));
  return some.length === 0 || random.chance(0.4) ? [...READS, ...WRITES] : some;
}

const READS = ['read_note', 'read_balance'];
const WRITES = ['pay', 'post_ticket', 'set_limit', 'comment', 'notify', 'close_account'];

interface Wish {
  readonly tool: string;
  readonly args: JsonObject;
  readonly key: string | null;
  readonly run: string | null;
}

/** One turn of an agent: a call, or an earlier one once more. */
export function callAsAgent(stage: Stage, agent: string): () => Promise<void> {
  const { random } = stage;
  const wishes: Wish[] = [];
  let run: string | null = null;
  let keys = 0;
  return async () => {
    if (run === null && random.chance(0.4)) run = await newRun(stage, agent);
    const again = wishes.length > 0 && random.chance(0.3);
    const wish = again
      ? random.pick(wishes)
      : newWish(stage, random.chance(0.5) ? `${agent}-${++keys}` : null, run);
    if (!again) wishes.push(wish);
    const times = random.chance(0.15) ? 2 + random.below(3) : 1;
    await Promise.all(Array.from({ length: times }, () => ask(stage, agent, wish)));
  };
}

async function newRun(stage: Stage, agent: string): Promise<string | null> {
  const life = stage.life();
  if (life === null) return null;
  const { world } = life;
  const desk = world.bundle().orchestrators.get('desk')!;
  const opened = await life.ask(() =>
    openRun(world, desk, { agent, trigger: 'ticket:1', context: { ticket: 'T-1' } }),
  );
  return opened?.ok === true ? opened.value.run_id : null;
}

function newWish({ random, tools }: Stage, key: string | null, run: string | null): Wish {
  const tool = random.pick(tools);
  const item = `I-${random.below(4)}`;
  const amount_minor = 1 + random.pick([10, 3_000, 8_000, 30_000]) + random.below(50);
  const args = tool === 'pay' || tool === 'set_limit' ? { item, amount_minor } : { item };
  return { tool, args, key, run };
}

async function ask(stage: Stage, agent: string, { tool, args, key, run }: Wish): Promise<void> {
  const { random, promises, scheduler } = stage;
  const life = stage.life();
  if (life === null) return;
  const { world } = life;
  let gone = false;
  const talk: Talk = {
    left: () => gone,
    ...{ notice: null, log_level: null, capabilities: {}, responses: null, state: null },
    demand: () => undefined,
  };
  const asked = askCall(world, {
    door: 'http',
    proof: { kind: 'bearer', presented: bearer(run === null ? agent : `${agent} ${run}`), resource: 'v1' },
    toolName: tool,
    args,
    claimed: {},
    idempotencyKey: key,
    dryRun: random.chance(0.03),
    ...(random.chance(0.3) ? { talk } : {}),
    ...(random.chance(0.1) ? { deadlineAt_ms: world.clock.now() + random.below(4_000) } : {}),
  });
  const { effect, connector } = variants[0]!.bundle.tools.get(tool)!;
  promises.asked({ call_id: asked.id, agent, tool, effect, connector, run, key, args: JSON.stringify(args) });
  stage.trace(
    `${agent} asks for ${tool} ${JSON.stringify(args)} key ${key} run ${run?.slice(-6) ?? 'ambient'}: ${asked.id.slice(-6)}`,
  );
  if (asked.talk !== undefined && random.chance(0.6)) {
    scheduler.at(stage.people, `${agent} leaves`, random.below(1_000), () => {
      gone = true;
      promises.left(asked.id, scheduler.now_ms);
    });
  }
  const performed = await life.ask(() => performCall(asked, world));
  if (performed === null) return stage.trace(`${agent} hears nothing of ${asked.id.slice(-6)}`);
  if (performed.kind === 'problem') {
    stage.trace(`${agent} is told ${performed.problem.code} of ${asked.id.slice(-6)}`);
    return promises.toldUndone(asked.id, performed.problem.code);
  }
  hear(stage, agent, performed.answer);
  await comeBack(stage, agent, run, performed.answer);
}

function hear(stage: Stage, agent: string, answer: CallAnswer): void {
  const { status, problem, call_id } = answer;
  stage.trace(`${agent} is told ${status} ${problem?.code ?? ''} of ${call_id.slice(-6)}`);
  stage.promises.told(answer);
}

/** Some callers look again, some wait on the line. */
async function comeBack(stage: Stage, agent: string, run: string | null, answer: CallAnswer): Promise<void> {
  const { random } = stage;
  if (answer.dry_run === true || !['held', 'running', 'in_doubt'].includes(answer.status)) return;
  await stage.scheduler.sleep(stage.people, random.below(5_000));
  const life = stage.life();
  if (life === null) return;
  const { world } = life;
  const principal = world.bundle().agents.get(agent)!;
  const wait_ms = random.pick([0, 5_000]);
  const shown = await life.ask(() => showCall(world, { principal, run_id: run }, answer.call_id, wait_ms));
  if (shown?.ok === true) hear(stage, agent, shown.value);
}
