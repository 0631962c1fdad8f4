// Starts the broker and kills it, over and over, at moments that the seed says: while it starts, recovers and serves.
import { diceOf } from '../fuzz/dice.ts';
import { type BrokerProcess, startBrokerProcess } from './broker-process.ts';

export interface Killing {
  readonly bundle: string;
  readonly port: number;
  readonly seed: number;
  readonly kills: number;
  /** How long it serves at most before it is killed. */
  readonly serves_most_ms: number;
  /** Called whenever it serves. */
  readonly serving: () => Promise<void>;
  readonly say: (line: string) => void;
}

/** Share of the kills that do not wait until it serves: recovery itself is killed too. */
const EARLY = 0.25;
const EARLY_MOST_MS = 2_500;

/** Answers the last broker, which nobody has killed, or why one did not start again or ended by itself. */
export async function killAgainAndAgain(killing: Killing): Promise<BrokerProcess> {
  const { bundle, port, seed, kills, serves_most_ms, serving, say } = killing;
  for (let kill = 1; kill <= kills; kill++) {
    const dice = diceOf(seed, kill);
    const broker = startBrokerProcess(bundle, port);
    const early = dice.odds(EARLY);
    if (early) await Promise.race([pause(1 + dice.below(EARLY_MOST_MS)), broker.serves]);
    else {
      await mustServe(broker);
      await Promise.all([serving(), pause(1 + dice.below(serves_most_ms))]);
    }
    const died = broker.died();
    if (died !== null) throw new Error(`the broker ended by itself before kill ${kill}: ${died}`);
    await broker.kill();
    if (kill % 10 === 0) say(`${kill} of ${kills} kills`);
  }
  const last = startBrokerProcess(bundle, port);
  await mustServe(last);
  return last;
}

async function mustServe(broker: BrokerProcess): Promise<void> {
  if (!(await broker.serves)) throw new Error(`the broker did not start again: ${broker.died()}`);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
