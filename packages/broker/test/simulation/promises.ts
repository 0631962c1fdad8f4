// The promises of the product, each held against what was told, what is on record and what was really done.
import { canonicalize } from '@countersign/contract/canonical.ts';
import type { Json } from '@countersign/contract/json.ts';
import type { CallAnswer } from '@countersign/contract/wire.ts';
import type { HaltScope } from '@countersign/contract/wire-operations.ts';
import type { Attempt, Reply } from '#connectors/connector.ts';
import { LEADS, LEFT_TO_PEOPLE, OWNER, PAYMENTS_A_DAY, type Variant, variants } from './bundle.ts';
import { type Execution, type Outside, SECRET } from './outside.ts';
import type { OnRecord, RecordedCall, RecordedEntry } from './record.ts';

/** A promise that does not hold. */
export class Broken extends Error {
  override readonly name = 'Broken';
}

/** One request as its caller sent it. */
export interface Request {
  readonly call_id: string;
  readonly agent: string;
  readonly tool: string;
  readonly effect: string;
  readonly connector: string;
  /** Null: the ambient run of its agent. */
  readonly run: string | null;
  readonly key: string | null;
  readonly args: string;
}

/** A halt that its operator was told is in force. */
interface Halt {
  readonly id: string;
  readonly scope: HaltScope;
  readonly target: string | null;
}

/** An unverified call may still be resolved by a person. */
const FINAL = ['succeeded', 'failed', 'refused', 'compensated'];
/** Tries after which the broker stops sending again. */
const RESENDS = 10;
const DONE = ['succeeded', 'compensated'];

export class Promises {
  readonly #outside: () => Outside;
  readonly #record: () => OnRecord;
  readonly #requests = new Map<string, Request>();
  /** Broker that heard the deed's reply, by call. */
  readonly #answered = new Map<string, string>();
  #diskFailed = false;
  readonly #halts = new Map<string, Halt>();
  readonly #final = new Map<string, string>();
  /** Calls of which their callers were told that nothing was done. */
  readonly #undone = new Map<string, string>();
  /** When their callers left, of calls that nobody had admitted or held by then. */
  readonly #leftEarly = new Map<string, number>();
  #labels: ReadonlyMap<string, readonly string[]> = new Map();

  constructor(outside: () => Outside, record: () => OnRecord) {
    this.#outside = outside;
    this.#record = record;
  }

  asked(request: Request): void {
    this.#requests.set(request.call_id, request);
  }

  /** The caller gave up while the call had not yet been decided on. */
  left(callId: string, now_ms: number): void {
    if (this.#record().about(callId, 'call.admitted', 'call.held').length === 0)
      this.#leftEarly.set(callId, now_ms);
  }

  haltTold(halt: Halt): void {
    this.#halts.set(halt.id, halt);
  }

  haltLifting(id: string): void {
    this.#halts.delete(id);
  }

  /** From here on a reply may be lost that was to be kept. */
  diskFailed(): void {
    this.#diskFailed = true;
  }

  /** The deed was answered, to a broker that still lives. */
  answered({ call_id, mode }: Attempt, reply: Reply, broker: string): void {
    if (mode === 'write' && reply.kind === 'ok') this.#answered.set(call_id, broker);
  }

  /** A request leaves the broker: its intent is on record, and no halt stands against it. */
  leaving(attempt: Attempt, broker: string): void {
    const request = this.#requests.get(attempt.call_id);
    if (request === undefined) throw new Broken(`${attempt.call_id} leaves, and nobody asked for it`);
    const { agent, tool, connector, run } = request;
    const admitted = this.#record().about(attempt.call_id, 'call.admitted');
    // What an admitted write has done may be looked at: that only reads, and ends a doubt.
    const looks = attempt.mode === 'read' && request.effect !== 'read' && admitted.length > 0;
    const answered = looks && this.#answered.get(attempt.call_id) === broker;
    if (answered && !this.#diskFailed && this.#record().call(attempt.call_id)?.reply == null)
      throw new Broken(`the reply to ${attempt.call_id} is acted on before it is kept`);
    for (const { id, scope, target } of this.#halts.values()) {
      const names: Partial<Record<HaltScope, string | null>> = { agent, tool, connector, run };
      const named = names[scope];
      const covers = scope === 'everything' || scope === 'tenant' || (named != null && named === target);
      if (covers && !looks)
        throw new Broken(`${tool} of ${agent} leaves while halt ${id} of ${scope} is in force`);
    }
    if (attempt.mode === 'read') return;
    if (admitted.length !== 1) {
      throw new Broken(`a write leaves with ${admitted.length} intents on record: ${attempt.call_id}`);
    }
    this.#mayBeDone(request, admitted[0]!);
  }

  executed(execution: Execution): void {
    if (execution.duplicate) return;
    const done = this.#outside().doneBy(execution.call_id);
    if (done.length > 1)
      throw new Broken(`${execution.what} was done ${done.length} times by ${execution.call_id}`);
  }

  /** What a caller hears: it agrees with the truth and with what was told before, and its labels are the run's. */
  told(answer: CallAnswer): void {
    if (JSON.stringify(answer).includes(SECRET)) throw new Broken(`a secret was told with ${answer.call_id}`);
    if (answer.dry_run === true) return;
    const { call_id, status } = answer;
    const request = this.#requests.get(call_id);
    if (request === undefined) throw new Broken(`an answer to ${call_id}, for which nobody asked`);
    const wrote = request.effect !== 'read';
    const done = this.#outside().doneBy(call_id).length;
    if (wrote && DONE.includes(status) && done === 0)
      throw new Broken(`${request.tool} was told as ${status}, and was not done: ${call_id}`);
    if (wrote && (status === 'failed' || status === 'refused')) this.#toldUndone(call_id, status);
    if (status === 'succeeded' && this.#record().about(call_id, 'call.admitted').length === 0)
      throw new Broken(`a result was told without an intent on record: ${call_id}`);
    const run = this.#record().labels().get(answer.run_id) ?? [];
    const missing = answer.labels.filter((label) => !run.includes(label));
    if (missing.length > 0)
      throw new Broken(`${missing.join()} was told, and the run does not carry it: ${call_id}`);
    this.#sameAsBefore(answer);
  }

  /** The caller was told that the broker did nothing. */
  toldUndone(callId: string, why: string): void {
    if (this.#requests.get(callId)?.effect !== 'read') this.#toldUndone(callId, why);
  }

  #toldUndone(callId: string, why: string): void {
    if (this.#outside().doneBy(callId).length > 0)
      throw new Broken(`${callId} was told as ${why}, and had been done`);
    this.#undone.set(callId, why);
  }

  #sameAsBefore(answer: CallAnswer): void {
    const { replayed, ...told } = answer;
    // The outcome of a read without a key may be lost after it was told: nobody can ask for it again.
    if (!FINAL.includes(answer.status) || this.#forgettable(answer.call_id)) return;
    const text = canonicalize(told as unknown as Json);
    const before = this.#final.get(answer.call_id);
    if (before !== undefined && before !== text)
      throw new Broken(`${answer.call_id} has two answers:\n  ${before}\n  ${text}`);
    this.#final.set(answer.call_id, text);
  }

  #forgettable(callId: string): boolean {
    const request = this.#requests.get(callId);
    return request?.effect === 'read' && request.key === null;
  }

  /** Held all the time. */
  always(): void {
    const now = this.#record().labels();
    for (const [run, before] of this.#labels) {
      const lost = before.filter((label) => now.get(run)?.includes(label) !== true);
      if (lost.length > 0) throw new Broken(`run ${run} has lost its label ${lost.join()}`);
    }
    this.#labels = now;
    for (const { quota, subject, posted, reserved } of this.#record().uses()) {
      const limit =
        quota === 'payments'
          ? PAYMENTS_A_DAY
          : Math.max(...variants.map(({ rules }) => rules.writes_a_minute));
      if (posted + reserved > limit)
        throw new Broken(`quota ${quota} of ${subject} is overshot: ${posted} posted, ${reserved} reserved`);
    }
  }

  /** Held once everything has had time to end, with every system well. */
  atTheEnd(logs: readonly string[]): void {
    this.always();
    const record = this.#record();
    const calls = record.calls();
    for (const call of calls) this.#ended(call);
    this.#keys(calls);
    this.#approvals();
    this.#quotas(calls);
    this.#halted();
    for (const { call_id, what, duplicate } of this.#outside().executions) {
      if (!duplicate && record.about(call_id, 'call.admitted').length !== 1)
        throw new Broken(`${what} was done without one intent on record: ${call_id}`);
    }
    for (const [callId, why] of this.#undone) {
      if (this.#outside().doneBy(callId).length > 0)
        throw new Broken(`${callId} was told as ${why}, and was done after that`);
    }
    for (const [callId, left_ms] of this.#leftEarly) {
      // What was held in the same instant may have been underway to the disk.
      const held = record.about(callId, 'call.held').some((each) => each.at_ms === left_ms);
      if (!held && this.#outside().doneBy(callId).length > 0)
        throw new Broken(`${callId} was done after its caller had cancelled it`);
    }
    for (const text of record.texts())
      if (text.includes(SECRET)) throw new Broken('a secret is in the store');
    for (const line of logs) if (line.includes(SECRET)) throw new Broken(`a secret is in the log: ${line}`);
  }

  #ended(call: RecordedCall): void {
    const { id, status, tool } = call;
    const record = this.#record();
    const admitted = record.about(id, 'call.admitted').length;
    const outcomes = record.about(id, 'call.settled', 'call.refused').length;
    const resolved = record.about(id, 'call.resolved').length;
    const doubts = record.about(id, 'call.in_doubt').length;
    if (admitted > 1) throw new Broken(`${id} was admitted ${admitted} times`);
    if (outcomes > 1) throw new Broken(`${id} was settled ${outcomes} times`);
    if (resolved > 1) throw new Broken(`${id} was resolved ${resolved} times`);
    if (status === 'running' || status === 'held') throw new Broken(`${tool} ${id} is still ${status}`);
    if (status === 'in_doubt' ? doubts === 0 || resolved > 0 : outcomes + resolved === 0)
      throw new Broken(`${id} is ${status}, with ${outcomes} outcomes and ${doubts} doubts on record`);
    if (status === 'in_doubt') this.#leftToPeople(call);
    if (call.effect === 'read') return;
    const done = this.#outside().doneBy(id).length;
    if (DONE.includes(status) && done === 0) throw new Broken(`${tool} ${id} is ${status}, and was not done`);
    if ((status === 'failed' || status === 'refused') && done > 0)
      throw new Broken(`${tool} ${id} is ${status}, and was done`);
  }

  /** What nobody but a person can settle is listed for people; everything else was settled. */
  #leftToPeople({ id, tool }: RecordedCall): void {
    const doubt = this.#record()
      .doubts()
      .find((each) => each.call_id === id);
    if (doubt === undefined) throw new Broken(`${tool} ${id} is in doubt, and nobody looks for it`);
    const { next_at_ms, tries, resends, why } = doubt;
    const sent_often = resends >= RESENDS;
    if (next_at_ms === null && (LEFT_TO_PEOPLE.includes(tool) || sent_often)) return;
    // Nothing is sent again for an agent that the bundle suspends: the deed waits, as under a halt.
    const agent = this.#requests.get(id)?.agent ?? '';
    if (next_at_ms !== null && this.#inForce()?.rules.suspended.includes(agent) === true) return;
    // A refusal tells nothing of an earlier attempt: it is sent again until a person is asked.
    if (this.#outside().refuses(id)) return;
    throw new Broken(`${tool} ${id} is in doubt after ${tries} tries, with every system well: ${why}`);
  }

  /** The variant that was activated last. */
  #inForce(): (typeof variants)[number] | undefined {
    const activated = this.#record()
      .entries()
      .findLast(({ kind }) => kind === 'bundle.activated');
    return variants.find(({ bundle }) => bundle.revision === activated?.facts['bundle']);
  }

  /** What was reserved is posted or given back, as the call ended; the counters are the sums of that. */
  #quotas(calls: readonly RecordedCall[]): void {
    const status = new Map(calls.map((call) => [call.id, call.status]));
    const sums = new Map<string, { posted: number; reserved: number }>();
    for (const {
      quota,
      subject,
      window_start_ms,
      call_id,
      amount,
      counts,
      state,
    } of this.#record().reservations()) {
      const ended = status.get(call_id) ?? 'unknown';
      const undone = counts === 'writes' && (ended === 'failed' || ended === 'refused');
      const expected = ended === 'in_doubt' ? 'reserved' : undone ? 'released' : 'posted';
      if (state !== expected)
        throw new Broken(`the reservation of ${call_id}, which is ${ended}, in ${quota} is ${state}`);
      const key = `${quota} ${subject} ${window_start_ms}`;
      const sum = sums.get(key) ?? { posted: 0, reserved: 0 };
      if (state !== 'released') sum[state as 'posted' | 'reserved'] += amount;
      sums.set(key, sum);
    }
    for (const { quota, subject, window_start_ms, posted, reserved } of this.#record().uses()) {
      const sum = sums.get(`${quota} ${subject} ${window_start_ms}`);
      if (sum?.posted !== posted || sum.reserved !== reserved)
        throw new Broken(
          `${quota} of ${subject} counts ${posted} and ${reserved}, its calls ${JSON.stringify(sum)}`,
        );
    }
  }

  /** One key, one call. */
  #keys(calls: readonly RecordedCall[]): void {
    const admitted = new Map<string, string>();
    for (const { id } of calls) {
      const request = this.#requests.get(id);
      if (request?.key == null || this.#record().about(id, 'call.admitted').length === 0) continue;
      const key = `${request.agent}/${request.key}`;
      const other = admitted.get(key);
      if (other !== undefined) throw new Broken(`key ${key} was admitted as ${other} and as ${id}`);
      admitted.set(key, id);
    }
  }

  /** In the ledger's own order, nothing is admitted that a halt covers, or whose agent is suspended. */
  #halted(): void {
    const halts = new Map<string, { scope: string; target: string }>();
    const connectorOf = (tool: string): string => variants[0]!.bundle.tools.get(tool)?.connector ?? '';
    for (const { log, kind, facts } of this.#record().entries()) {
      if (!log.startsWith('tenant/')) continue;
      const fact = (name: string): string => String(facts[name] ?? '');
      if (kind === 'halt.set') halts.set(fact('halt'), { scope: fact('scope'), target: fact('target') });
      if (kind === 'halt.lifted') halts.delete(fact('halt'));
      if (kind === 'principal.suspended')
        halts.set(fact('status'), { scope: 'agent', target: fact('principal') });
      if (kind === 'principal.resumed') halts.delete(fact('status'));
      if (kind !== 'call.admitted') continue;
      for (const [id, { scope, target }] of halts) {
        const named = scope === 'connector' ? connectorOf(fact('tool')) : fact(scope);
        if (scope === 'tenant' || named === target)
          throw new Broken(`${fact('call')} was admitted under halt ${id} of ${scope}`);
      }
    }
  }

  /** An approval is spent once, by the call that it is for. */
  #approvals(): void {
    const record = this.#record();
    const spent = new Map<string, string>();
    for (const { kind, facts } of record.entries()) {
      if (kind !== 'call.admitted' || facts['approval'] === undefined) continue;
      const [approval, call] = [String(facts['approval']), String(facts['call'])];
      const other = spent.get(approval);
      if (other !== undefined) throw new Broken(`approval ${approval} was spent by ${other} and by ${call}`);
      spent.set(approval, call);
      const row = record.approvals().find((each) => each.id === approval);
      if (row?.status !== 'spent' && row?.status !== 'void')
        throw new Broken(`approval ${approval} was used, and is still ${row?.status}`);
      if (row?.call_id !== call)
        throw new Broken(`approval ${approval} of ${row?.call_id} was spent by ${call}`);
    }
  }

  /** Whether enough of the right people have said yes, by the rules of the bundle that admitted it. */
  #mayBeDone(request: Request, admitted: RecordedEntry): void {
    const variant = variants.find(({ bundle }) => bundle.revision === admitted.facts['bundle']);
    if (variant === undefined)
      throw new Broken(`admitted by a bundle that nobody activated: ${request.call_id}`);
    if (variant.rules.suspended.includes(request.agent))
      throw new Broken(`${request.agent} acts while it is suspended: ${request.call_id}`);
    const approval = this.#record()
      .approvals()
      .find((each) => each.id === admitted.facts['approval']);
    for (const { rule, quorum, group, excluding } of asksOf(request, variant)) {
      const yes = new Set(
        approval === undefined
          ? []
          : this.#record()
              .votes(approval.id)
              .filter((vote) => vote.rule === rule && vote.verdict === 'approve')
              .filter((vote) => vote.deed_digest === approval.deed_digest)
              .map((vote) => vote.person)
              .filter((person) => group.includes(person) && !excluding.includes(person)),
      );
      if (yes.size < quorum)
        throw new Broken(
          `${request.tool} leaves with ${yes.size} of ${quorum} approvals: ${request.call_id}`,
        );
      if (approval!.expires_at_ms <= admitted.at_ms)
        throw new Broken(`${request.tool} was admitted on an approval that had expired: ${request.call_id}`);
    }
  }
}

interface Ask {
  readonly rule: string;
  readonly quorum: number;
  readonly group: readonly string[];
  readonly excluding: readonly string[];
}

/** Who must agree, said once more and otherwise than the policies say it. */
function asksOf({ tool, agent, args }: Request, { rules }: Variant): Ask[] {
  const asks: Ask[] = [];
  const minor = Number((JSON.parse(args) as { amount_minor?: number }).amount_minor ?? 0);
  if (tool === 'pay' && minor > rules.pay_asks_minor)
    asks.push({ rule: 'pay-one', quorum: 1, group: rules.finance, excluding: [] });
  if (tool === 'pay' && minor > rules.pay_asks_two_minor)
    asks.push({ rule: 'pay-two', quorum: 2, group: rules.finance, excluding: [OWNER] });
  const leads = { quorum: 1, group: LEADS, excluding: [] };
  if (agent === 'shy') asks.push({ rule: 'baseline-suggest', ...leads });
  if (tool === 'close_account') asks.push({ rule: 'baseline-irreversible', ...leads });
  return asks;
}
