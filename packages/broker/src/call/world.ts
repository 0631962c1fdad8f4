// What a stage may touch: the world, built in main.ts and handed down.
import type { NoteSigner } from '@countersign/contract/note.ts';
import type { Bundle } from '#bundle/bundle.ts';
import type { Connector } from '#connectors/connector.ts';
import type { Credentials } from '#credentials/create-credentials.ts';
import type { Identity } from '#identity/identity.ts';
import type { Store } from '#store/store.ts';
import type { Log } from '#telemetry/log.ts';
import type { Clock } from './clock.ts';
import type { FlowBoard } from './flow-board.ts';
import type { HaltBoard } from './halt-board.ts';
import type { LeaseBook } from './lease-book.ts';
import type { LoopWatch } from './loop-watch.ts';
import type { RunCache } from './run-cache.ts';
import type { Signals } from './signals.ts';
import type { StatusBoard } from './status-board.ts';
import type { UseBoard } from './use-board.ts';

export interface World {
  readonly clock: Clock;
  readonly random: (bytes: number) => Uint8Array;
  readonly log: Log;
  readonly store: Store;
  /** Signs the ledger's checkpoints. */
  readonly signer: NoteSigner;
  /** The bundle in force, each principal in the stricter status of bundle and store. A call keeps the one it was resolved by and is judged again if it changes. */
  readonly bundle: () => Bundle;
  /** A connector as the bundle that judged the call has it: what was approved is not done somewhere else. */
  readonly connector: (bundle: Bundle, name: string) => Connector | undefined;
  /** Mints for the connectors of a bundle. */
  readonly credentials: (bundle: Bundle) => Credentials;
  readonly identity: Identity;
  /** Halts in force; admit asks the store again. */
  readonly halts: HaltBoard;
  /** What people have set beside the bundle; `bundle` has it in. */
  readonly statuses: StatusBoard;
  /** Which tools agents have called since that was last written down. */
  readonly uses: UseBoard;
  /** Asked before every attempt: what goes to each connector now, waits, or is left alone. */
  readonly flow: FlowBoard;
  /** Runs as committed. */
  readonly runs: RunCache;
  /** How often runs repeat themselves and keep failing. */
  readonly loops: LoopWatch;
  /** Which credentials the calls under way hold. */
  readonly leases: LeaseBook;
  /** Admitted calls whose outcome could not be recorded: a job settles them once the store answers again. */
  readonly stranded: Map<string, { readonly tenant: string }>;
  /** Wakes whoever waits for a call or for work to do. */
  readonly signals: Signals;
  /** Base of links and audiences, without a trailing slash. */
  readonly base_url: () => string;
}
