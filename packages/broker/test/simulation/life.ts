// One life of the broker, from its start to its crash: the world as main.ts composes it, in simulated surroundings.
import { generateKeyPairSync } from 'node:crypto';
import { noteSigner } from '@countersign/contract/note.ts';
import type { Bundle } from '#bundle/bundle.ts';
import { FlowBoard } from '#call/flow-board.ts';
import { HaltBoard } from '#call/halt-board.ts';
import { LeaseBook } from '#call/lease-book.ts';
import { LoopWatch } from '#call/loop-watch.ts';
import { PeopleBoard } from '#call/people-board.ts';
import { RunCache } from '#call/run-cache.ts';
import { Signals } from '#call/signals.ts';
import { StatusBoard } from '#call/status-board.ts';
import { UseBoard } from '#call/use-board.ts';
import type { World } from '#call/world.ts';
import type { Connector } from '#connectors/connector.ts';
import { type Credentials, createCredentials } from '#credentials/create-credentials.ts';
import { createIdentity } from '#identity/create-identity.ts';
import type { Identity } from '#identity/identity.ts';
import { signingKey } from '#identity/signing-key.ts';
import { runJobs } from '#jobs/run-jobs.ts';
import type { LedgerTrust } from '#store/appender.ts';
import { StoreUnavailable } from '#store/tx.ts';
import { beforeDoorsOpen } from '../../src/main.ts';
import { providerWorld } from '../credentials/provider-world.ts';
import type { Random } from '../differential/random.ts';
import { variants } from './bundle.ts';
import { type Outside, SECRET } from './outside.ts';
import type { Owner, Scheduler } from './scheduler.ts';
import { type Disk, openSimulated } from './simulated-store.ts';

/** Keys of the whole process: nothing that is simulated depends on what they are. */
export const signer = noteSigner('simulated', generateKeyPairSync('ed25519').privateKey);
const tokenKey = signingKey(generateKeyPairSync('ed25519').privateKey);

export interface Ground {
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly outside: Outside;
  readonly disk: Disk;
  readonly fine: boolean;
  readonly file: string;
  readonly log: (line: string) => void;
}

export interface Life {
  readonly owner: Owner;
  readonly world: World;
  /** False until what a crash left is in order: nobody can ask for anything before. */
  readonly open: boolean;
  /** Puts a bundle in force, as the folder's files changed. */
  readonly prepare: (bundle: Bundle) => Promise<{ commit: () => void; abandon: () => Promise<void> }>;
  /** What the caller hears, or null when the broker died before it had said anything. */
  ask<T>(work: () => Promise<T>): Promise<T | null>;
  /** Ends everything that lives in its memory, at once. */
  kill(): void;
}

/** Starts a broker on the store in the file; resolves once it is alive, and opens when it has recovered. */
export async function begin(
  ground: Ground,
  name: string,
  bundle: Bundle,
  held: LedgerTrust['held'],
): Promise<Life> {
  const { random, scheduler, outside, disk, fine, file, log } = ground;
  const owner: Owner = { name, alive: true };
  const { store, kill } = await openSimulated(
    file,
    { vkey: signer.vkey, held },
    { scheduler, random, owner, disk, fine },
  );
  const clock = {
    now: () => scheduler.now_ms,
    sleep: (ms: number, signal?: Parameters<Scheduler['sleep']>[2]) => scheduler.sleep(owner, ms, signal),
  };
  const bytes = (n: number): Uint8Array => Uint8Array.from({ length: n }, () => random.below(256));
  const readSecret = async (): Promise<string> => {
    await scheduler.point(owner, 'reads a secret');
    return SECRET;
  };
  const connectors = new Map<string, Connector>(
    [...bundle.connectors.keys()].map((each) => [each, outside.connector(each, owner)]),
  );
  const credentialsOf = new WeakMap<Bundle['connectors'], Credentials>();
  let inForce = bundle;
  const statuses = new StatusBoard();
  const say = (level: string) => (message: string, fields?: object) =>
    log(`${name} ${level}: ${message} ${JSON.stringify(fields ?? {})}`);
  const identity = createIdentity({
    keyFile: '',
    key: tokenKey,
    issuer: () => 'https://broker.example',
    bundle: () => statuses.over(inForce),
    store,
    clock,
    random: bytes,
  });
  const told = { info: say('info'), warn: say('warn'), error: say('error') };
  const world: World = {
    clock,
    random: bytes,
    log: told,
    store,
    signer,
    bundle: () => statuses.over(inForce),
    connector: (_, each) => connectors.get(each),
    credentials: (of) => credentialsOf.get(of.connectors)!,
    identity: { ...identity, authenticate: byName(identity) },
    halts: new HaltBoard(),
    statuses,
    uses: new UseBoard(),
    flow: new FlowBoard(clock, told),
    runs: new RunCache(),
    people: new PeopleBoard(statuses),
    loops: new LoopWatch(),
    leases: new LeaseBook(),
    stranded: new Map(),
    signals: new Signals(clock),
    base_url: () => 'https://broker.example',
  };
  const prepare: Life['prepare'] = async (next) => {
    const real = createCredentials(next.connectors, providerWorld({ readSecret, clock }));
    const credentials: Credentials = {
      ...real,
      async mint(connector, request) {
        await scheduler.point(owner, 'mints a credential');
        return (await real.mint(connector, request))!;
      },
    };
    await scheduler.point(owner, 'readies a bundle');
    const commit = (): void => {
      credentialsOf.set(next.connectors, credentials);
      inForce = next;
    };
    return { commit, abandon: async () => undefined };
  };
  let died: () => void = () => undefined;
  const death = new Promise<null>((resolve) => {
    died = () => resolve(null);
  });
  let open = false;
  const start = async (): Promise<void> => {
    (await prepare(bundle)).commit();
    await beforeDoorsOpen(world);
    runJobs(world, { tokens: identity, send: async () => ({ ok: true }), sealed: null });
    open = true;
  };
  void start().catch((error: Error) => {
    // As in production: a broker that cannot start ends, and its supervisor starts it again.
    log(`${name} could not start: ${error.message}`);
    if (!(error instanceof StoreUnavailable)) throw error;
    scheduler.at(owner, 'ends, since it could not start', 1_000, () => life.kill());
  });
  const life: Life = {
    owner,
    world,
    get open() {
      return open;
    },
    prepare,
    ask: (work) => Promise.race([work(), death]),
    kill() {
      if (!owner.alive) return;
      owner.alive = false;
      kill();
      died();
    },
  };
  return life;
}

/** Tokens are tested elsewhere: here a caller says who it is, and for which run. */
function byName(identity: Identity): Identity['authenticate'] {
  return ({ token }) => {
    const [name = '', run = ''] = (token ?? '').split(' ');
    const known = variants[0]!.bundle.agents.get(name);
    const authentication = identity.recallAgent(known?.tenant ?? '', name, null);
    if (!authentication.ok || run === '') return authentication;
    return { ok: true, caller: { ...authentication.caller, run_id: run } };
  };
}
