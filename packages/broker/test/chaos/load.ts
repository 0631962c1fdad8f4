// The load: callers that ask for writes and reads, lose answers, and send the same key again until they know.
import type { JsonObject } from '@countersign/contract/json.ts';
import { type Dice, diceOf } from '../fuzz/dice.ts';
import type { Client, DoorName, Told } from './client.ts';

/** One thing that a caller wanted, under one key, and everything that it was told about it. */
export interface Wanted {
  readonly key: string;
  readonly tool: string;
  readonly write: boolean;
  readonly door: DoorName;
  /** Every answer, in order. */
  readonly told: Told[];
  /** How often it was sent. */
  sent: number;
  /** The caller gave up for good without an answer: only a broker that hangs makes it. */
  unanswered: boolean;
}

export interface Load {
  readonly wanted: readonly Wanted[];
  /** Callers finish what they are at; resolves when each has its answer, or has waited `most_ms`. */
  finish(most_ms: number): Promise<void>;
}

export interface LoadOptions {
  readonly seed: number;
  readonly callers: number;
  /** One per agent; callers take turns. */
  readonly clients: readonly Client[];
  readonly charges: readonly string[];
  /** Above this a person is asked. */
  readonly ask_above_minor: number;
}

const ACCOUNTS = ['AC-1', 'AC-2', 'AC-2', 'AC-1', 'AC-404'];
const PAUSE_MOST_MS = 250;
/** A refusal that may pass is sent again this often, under the same key. */
const MOST_REFUSALS = 3;

export function startLoad(options: LoadOptions): Load {
  const wanted: Wanted[] = [];
  let finishing: { readonly until_ms: number } | null = null;
  const callers = Array.from({ length: options.callers }, (_, index) => work(index));

  async function work(caller: number): Promise<void> {
    const client = options.clients[caller % options.clients.length]!;
    const door: DoorName = caller % 3 === 2 ? 'mcp' : 'http';
    for (let n = 0; finishing === null; n++) {
      // Dice of its own for each wish, so that what is asked for does not hang on what was answered before.
      const dice = diceOf(options.seed + caller + 1, n);
      const { tool, args, write } = choose(dice, `k-${caller}-${n}`, options);
      const wish: Wanted = {
        key: `k-${caller}-${n}`,
        tool,
        write,
        door,
        told: [],
        sent: 0,
        unanswered: false,
      };
      wanted.push(wish);
      await pursue(wish, args, client, dice);
    }
  }

  async function pursue(wish: Wanted, args: JsonObject, client: Client, dice: Dice): Promise<void> {
    for (let refusals = 0; ; ) {
      if (finishing !== null && performance.now() > finishing.until_ms) {
        wish.unanswered = wish.told.at(-1)?.word !== 'not done';
        return;
      }
      const impatient = wish.sent === 0 && dice.odds(0.05);
      wish.sent++;
      const patience = impatient ? [dice.below(60) + 1] : [];
      const told = await client.call(wish.door, wish.tool, args, wish.key, ...patience);
      if (told !== null) wish.told.push(told);
      const over = told !== null && told.word !== 'open';
      if (over && told.word !== 'not done') {
        // Now and then it is asked once more, as by a client that crashed after it had the answer.
        if (!dice.odds(0.1)) return;
      } else if (over && (++refusals >= MOST_REFUSALS || !dice.odds(0.7))) return;
      await new Promise((resolve) => setTimeout(resolve, 1 + dice.below(PAUSE_MOST_MS)));
    }
  }

  return {
    wanted,
    async finish(most_ms) {
      finishing = { until_ms: performance.now() + most_ms };
      await Promise.all(callers);
    },
  };
}

function choose(
  dice: Dice,
  note: string,
  { charges, ask_above_minor }: LoadOptions,
): { readonly tool: string; readonly args: JsonObject; readonly write: boolean } {
  const charge = dice.pick(charges);
  const account = dice.pick(ACCOUNTS);
  // Most are small, some wait for a person, and some are more than the charge ever was.
  const size = dice.below(20);
  const small = 1 + dice.below(100);
  const amount_minor =
    size === 0 ? ask_above_minor + small : size === 1 && charge !== charges[0] ? 999_999_999 : small;
  return dice.pick([
    { tool: 'refund_charge', args: { charge, amount_minor, note }, write: true },
    { tool: 'refund_charge', args: { charge, amount_minor, note }, write: true },
    {
      tool: 'book_entry',
      args: { account, amount_minor: Math.min(amount_minor, 10_000), note },
      write: true,
    },
    {
      tool: 'book_entry',
      args: { account, amount_minor: Math.min(amount_minor, 10_000), note },
      write: true,
    },
    { tool: 'append_line', args: { note }, write: true },
    { tool: 'append_line', args: { note }, write: true },
    { tool: 'read_charge', args: { charge }, write: false },
    { tool: 'read_account', args: { account }, write: false },
    { tool: 'read_journal', args: {}, write: false },
  ]);
}
