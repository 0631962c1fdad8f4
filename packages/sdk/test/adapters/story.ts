// What the scripted model does in every framework, and what it must have been told: one story for all adapters.
import assert from 'node:assert/strict';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Outcome } from '@countersign/sdk/outcome';
import type { AgentDesk } from './desk.ts';

export interface AskedCall {
  readonly name: string;
  readonly args: JsonObject;
}

/** One turn of the model: it asks for calls, or says something and is done. */
export interface Turn {
  readonly calls: readonly AskedCall[];
  readonly text: string;
}

/** A result as the framework showed it to the model; `error` only where the framework has a mark for it. */
export interface Shown {
  readonly text: string;
  readonly error?: boolean | undefined;
}

/** The model: sees all results so far, and answers the next turn. */
export type Script = (shown: readonly Shown[]) => Promise<Turn>;

/** What an application has in the end: the model's last words, and what became of the calls that waited. */
export interface Ended {
  readonly text: string;
  readonly outcomes: readonly Outcome[];
}

export interface Story {
  readonly script: Script;
  /**
   * Runs the application under a span, then checks what the model saw, what the application picked up, what really
   * happened at the desk, and that each call belonged to the run and carried the trace (`trace`: the framework's own).
   */
  tell(application: () => Promise<Ended>, trace?: RegExp): Promise<void>;
}

/** The example of W3C Trace Context §3.2. */
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

const call = (name: string, args: JsonObject): AskedCall => ({ name, args });

/**
 * Turn 1 reads a note and asks for a refund that policy denies; turn 2 asks for one that people must approve, which
 * they do; turn 3 looks it up; turn 4 asks for another, which people approve after the model is done.
 */
export function story(broker: AgentDesk): Story {
  const before = broker.desk.refunds();
  let seen: readonly Shown[] = [];
  const turns: readonly (() => Promise<readonly AskedCall[]> | readonly AskedCall[])[] = [
    () => [call('read_note', { note: 'N-2' }), call('refund', { account: 'AC-2', amount_minor: 100 })],
    () => [call('refund', { account: 'AC-1', amount_minor: 9000 })],
    async () => {
      await broker.decide('approve');
      return [call('countersign_call_status', { call_id: callIdIn(seen[2]!.text) })];
    },
    () => [call('refund', { account: 'AC-1', amount_minor: 8000 })],
    async () => {
      await broker.decide('approve');
      return [];
    },
  ];
  let turn = 0;
  return {
    async script(shown) {
      seen = shown;
      const calls = await turns[turn]!();
      turn += 1;
      return { calls, text: calls.length === 0 ? 'Refunded, and one more as soon as finance agrees.' : '' };
    },
    async tell(application, trace = new RegExp(`^${TRACE}$`)) {
      broker.sent.length = 0;
      const { text, outcomes } = await broker.traced(TRACE, application);
      assert.equal(text, 'Refunded, and one more as soon as finance agrees.');
      const [note, denied, held, done, heldAgain] = seen;
      assert.equal(seen.length, 5);
      assert.match(note!.text, /hello/);
      assert.match(denied!.text, /Refused, nothing was done\. .*Accounts of VIPs are not touched by agents/s);
      assert.match(held!.text, /Not done yet: waiting for 1 person of finance/);
      // LlamaIndex shows structure without quotes.
      assert.match(done!.text, /\bamount_minor"?: ?9000/);
      assert.match(heldAgain!.text, /Not done yet/);
      const marks = seen.map((each) => each.error);
      // Either the framework has no mark for errors, or exactly the refusal carries it.
      assert.ok(marks.every((mark) => mark === undefined) || marks.indexOf(true) === 1, String(marks));
      assert.equal(marks.filter((mark) => mark === true).length <= 1, true);
      assert.deepEqual(
        outcomes.map(({ status, result }) => [status, result]),
        [['succeeded', { account: 'AC-1', amount_minor: 8000 }]],
      );
      // The desk refunds in runs that are bound to a ticket, and the agent's ambient run is not.
      assert.equal(broker.desk.refunds(), before + 2);
      assert.equal(broker.sent.length, 4);
      for (const headers of broker.sent) assert.match(headers.get('traceparent') ?? '', trace);
    },
  };
}

function callIdIn(text: string): string {
  const found = /\bcall_[0-9a-z-]{10,}/.exec(text);
  if (found === null) throw new Error(`no call id in ${text}`);
  return found[0];
}
