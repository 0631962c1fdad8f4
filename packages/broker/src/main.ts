// Composes everything; the only file that reads the environment.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { noteSigner } from '@countersign/contract/note.ts';
import { type Activation, recordActivation } from '#admin/bundle.ts';
import type { Bundle, Mistake } from '#bundle/bundle.ts';
import { variablesOf } from '#bundle/variables.ts';
import { systemClock } from '#call/clock.ts';
import { FlowBoard } from '#call/flow-board.ts';
import { HaltBoard } from '#call/halt-board.ts';
import { LeaseBook } from '#call/lease-book.ts';
import { INSTALLATION_LOG, tenantLog } from '#call/logs.ts';
import { LoopWatch } from '#call/loop-watch.ts';
import { PeopleBoard } from '#call/people-board.ts';
import { refreshHalts } from '#call/refresh-halts.ts';
import { refreshPeople } from '#call/refresh-people.ts';
import { refreshRevoked } from '#call/refresh-revoked.ts';
import { RunCache } from '#call/run-cache.ts';
import { Signals } from '#call/signals.ts';
import { StatusBoard } from '#call/status-board.ts';
import { UseBoard } from '#call/use-board.ts';
import type { World } from '#call/world.ts';
import { CliFailure, EXIT } from '#cli/exit.ts';
import { runProgram } from '#cli/program.ts';
import { readBundle } from '#cli/read-bundle.ts';
import { readInput } from '#cli/read-input.ts';
import { openSealingKeys } from '#cli/sealing-keys.ts';
import type { ServeOptions } from '#cli/serve.ts';
import type { Terminal } from '#cli/terminal.ts';
import { ConnectorSet } from '#connectors/connector-set.ts';
import { createConnector } from '#connectors/create-connector.ts';
import { createDiscoveredNetwork } from '#connectors/discovered-network.ts';
import { createWebhookSender } from '#connectors/webhook-sender.ts';
import { type Credentials, createCredentials } from '#credentials/create-credentials.ts';
import { HeldSecrets } from '#credentials/held-secrets.ts';
import { OauthTokens } from '#credentials/oauth/oauth-tokens.ts';
import { createFileVault } from '#credentials/oauth/vault.ts';
import type { ProviderWorld } from '#credentials/provider.ts';
import { createHandleSeal } from '#credentials/seal-handle.ts';
import { KEY_BYTES } from '#credentials/sealed/seal.ts';
import { SealedStore } from '#credentials/sealed/sealed-store.ts';
import { createSealedVault } from '#credentials/sealed/sealed-vault.ts';
import { mountBare } from '#http/bare-door.ts';
import { createServer } from '#http/create-server.ts';
import { createIdentity } from '#identity/create-identity.ts';
import { Federation } from '#identity/federation/federation.ts';
import { openKeyFile, openSecretKey } from '#identity/key-file.ts';
import { createProvider } from '#identity/people/provider.ts';
import { recordUses } from '#jobs/record-uses.ts';
import { recoverIntents } from '#jobs/recover-intents.ts';
import { revokeLeases } from '#jobs/revoke-leases.ts';
import { runJobs, signCheckpoints } from '#jobs/run-jobs.ts';
import { createMcpDoor } from '#mcp/create-mcp-door.ts';
import { appendEntry, logs } from '#store/ledger.ts';
import { openSqlite } from '#store/sqlite.ts';
import { crashCleanly, dumpOption } from '#telemetry/crash.ts';
import { createLog, type Log } from '#telemetry/log.ts';

export interface Broker {
  /** Base of all addresses, without a trailing slash. */
  readonly url: string;
  readonly world: World;
  /** Ends doors, jobs and connectors, signs a last checkpoint, closes the store. */
  close(): Promise<void>;
}

/** What a process that is nothing but a broker does for its secrets. */
interface OwnProcess {
  /** Learns of every secret that is read or minted. */
  readonly held: HeldSecrets;
  /** Told of each bundle before it is in force. */
  readonly takes: (bundle: Bundle) => void;
}

/** The bundle at start is broken; `mistakes` says where. */
export class BundleRefused extends Error {
  override readonly name = 'BundleRefused';
  readonly mistakes: readonly Mistake[];
  constructor(mistakes: readonly Mistake[]) {
    super(`the bundle has ${mistakes.length} mistakes`);
    this.mistakes = mistakes;
  }
}

/**
 * Starts a broker on the bundle in a folder; resolves once it serves. Throws BundleRefused when that is broken.
 */
export async function startBroker(
  options: ServeOptions,
  { held, takes }: OwnProcess = { held: new HeldSecrets(), takes: () => undefined },
): Promise<Broker> {
  const log = createLog(options.log_level, (line) => held.clean(line));
  const clock = systemClock;
  const random = pooledRandom();
  const folder = resolve(options.bundle);
  const loaded = await readBundle(folder, clock.now());
  if (!loaded.ok) throw new BundleRefused(loaded.mistakes);
  const { settings } = loaded.bundle;
  const keys = join(settings.data_dir, 'keys');
  const signer = noteSigner('countersign', openKeyFile(join(keys, 'ledger.pem')));
  const store = await openSqlite(join(settings.data_dir, 'countersign.db'), {
    now_ms: clock.now(),
    trust: { vkey: signer.vkey, held: options.checkpoints ?? [] },
  });

  takes(loaded.bundle);
  let inForce = loaded.bundle;
  const statuses = new StatusBoard();
  const credentialsOf = new WeakMap<Bundle['connectors'], Credentials>();
  const sealing = await openSealingKeys(settings, held.reading(readPlain)).catch(async (error: Error) => {
    await store.close();
    throw error;
  });
  const files = createFileVault(join(settings.data_dir, 'oauth'));
  const vault = createSealedVault(files, sealing.keys, randomBytes);
  const sealed = new SealedStore({
    ...{ store, clock, keys: sealing.keys, random: randomBytes },
    rewrapElsewhere: () => vault.rewrap(inForce.connectors.keys()),
    tenant: () => inForce.settings.tenants[0]!,
  });
  const readSecret = held.reading(async (reference) =>
    reference.startsWith(SEALED)
      ? (await sealed.read(reference.slice(SEALED.length))).reveal()
      : readPlain(reference),
  );
  let url = settings.public_url ?? '';
  const connectors = new ConnectorSet((spec, credentials) =>
    createConnector(spec, {
      clock,
      log: connectorLog(log, spec.name),
      connectionCredential: (each) => credentials.forConnection(each),
      credentialRefused: (each, refusal) => credentials.refused(each, refusal),
      protect: [folder, settings.data_dir],
      response_bytes: settings.limits.result_bytes,
    }),
  );
  const oauth = new OauthTokens({
    vault: held.keeping(vault),
    network: createDiscoveredNetwork,
    readSecret,
    clock,
    log,
  });
  const providers: ProviderWorld = {
    ...{ readSecret, clock, random, sealed, oauth },
    seal: createHandleSeal(openSecretKey(join(keys, 'leases.key'), KEY_BYTES)),
    network: ({ allow_private, ca }) => createDiscoveredNetwork(allow_private, ca),
  };
  const identity = createIdentity({
    keyFile: join(keys, 'tokens.pem'),
    issuer: () => url,
    bundle: () => statuses.over(inForce),
    store,
    clock,
    random,
    federation: new Federation({ network: createDiscoveredNetwork, clock, log, random, tenantLog }),
  });
  const world: World = {
    clock,
    random,
    log,
    store,
    signer,
    bundle: () => statuses.over(inForce),
    connector: (bundle, name) => connectors.get(bundle, name),
    // INVARIANT: a bundle judges calls only once it was put in force, with its credentials.
    credentials: (bundle) => credentialsOf.get(bundle.connectors)!,
    identity,
    halts: new HaltBoard(),
    statuses,
    uses: new UseBoard(),
    flow: new FlowBoard(clock, log),
    runs: new RunCache(),
    people: new PeopleBoard(statuses),
    loops: new LoopWatch(),
    leases: new LeaseBook(),
    stranded: new Map(),
    signals: new Signals(clock),
    base_url: () => url,
  };
  const activation: Activation = {
    load: () => readBundle(folder, clock.now()),
    prepare: async (bundle) => {
      takes(bundle);
      const credentials = held.minting(createCredentials(bundle.connectors, providers));
      const prepared = await connectors.prepare(bundle, credentials);
      const commit = (): void => {
        prepared.commit();
        credentialsOf.set(bundle.connectors, credentials);
        inForce = bundle;
      };
      return { commit, abandon: prepared.abandon };
    },
  };
  (await activation.prepare(loaded.bundle)).commit();
  await beforeDoorsOpen(world);
  await settleSealing(sealed, log);
  await refreshRevoked(world, identity);

  const ready = async (): Promise<boolean> => {
    try {
      await store.read((tx) => logs(tx));
      return true;
    } catch {
      return false;
    }
  };
  const provider = createProvider({ network: createDiscoveredNetwork, readSecret });
  const app = createServer(world, { tokens: identity, activation, provider, ready, sealed });
  mountBare(app, world, createMcpDoor(world));
  try {
    await app.listen({ host: settings.listen.host, port: options.port ?? settings.listen.port });
  } catch (error) {
    await connectors.close();
    await store.close();
    throw error;
  }
  if (settings.public_url === null) url = addressOf(app.server.address() as AddressInfo);
  const send = createWebhookSender({ readSecret, timeout_ms: WEBHOOK_MS });
  const jobs = runJobs(world, { tokens: identity, send, sealed });
  returnMemory();
  log.info('serving', { url, bundle: loaded.bundle.revision, tools: loaded.bundle.tools.size });
  return {
    url,
    world,
    async close() {
      await app.close();
      await jobs.stop();
      // What calls held should not outlive the broker; what cannot be revoked now is due at the next start.
      await revokeLeases(world).catch((error: Error) =>
        log.error('leases are left to the next start', { why: error.message }),
      );
      await connectors.close();
      await sealing.close();
      // A store that cannot be written any more is closed all the same; the next start signs.
      await recordUses(world).catch((error: Error) =>
        log.error('the last uses of tools were not recorded', { why: error.message }),
      );
      await signCheckpoints(world).catch((error: Error) =>
        log.error('the last checkpoint was not signed', { why: error.message }),
      );
      await store.close();
    },
  };
}

/** What a start does before anybody can ask for anything: a store that a crash left behind is in order again. */
export async function beforeDoorsOpen(world: World): Promise<void> {
  await recordStart(world);
  await recoverIntents(world);
  // What a crash left without a signature has one before anything new happens.
  await signCheckpoints(world);
  await refreshHalts(world);
  await refreshPeople(world);
}

/** Loading a bundle leaves garbage and a grown heap behind: once, at start, both go back to the system. */
function returnMemory(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options: object) => void;
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

/** Random bytes from a pool: one call of the generator for many ids. Bytes are handed out once. */
function pooledRandom(): (bytes: number) => Uint8Array {
  let pool = randomBytes(0);
  let used = 0;
  return (bytes) => {
    if (used + bytes > pool.length) {
      pool = randomBytes(Math.max(RANDOM_POOL_BYTES, bytes));
      used = 0;
    }
    used += bytes;
    return pool.subarray(used - bytes, used);
  };
}

const RANDOM_POOL_BYTES = 8_192;

/** How long the receiver of an alert may take to answer; Standard Webhooks names 15 to 30 s. */
const WEBHOOK_MS = 15_000;

/** A start is an entry; a bundle other than the last one activated is an activation too. */
async function recordStart(world: World): Promise<void> {
  await world.store.write((tx) =>
    appendEntry(tx, {
      log: INSTALLATION_LOG,
      at_ms: world.clock.now(),
      kind: 'broker.started',
      facts: { bundle: world.bundle().revision, ledger_key: world.signer.vkey },
      payload: null,
    }),
  );
  await recordActivation(world, world.bundle(), 'start');
}

function addressOf({ address, family, port }: AddressInfo): string {
  const host = family === 'IPv6' ? `[${address}]` : address;
  return `http://${host}:${port}`;
}

/**
 * A rotation that a crash cut, or a key that its owner changed, is taken up; secrets that do not open keep nothing
 * else from starting.
 */
async function settleSealing(sealed: SealedStore, log: Log): Promise<void> {
  try {
    const { rewrapped, failed, key_id } = await sealed.settle();
    if (rewrapped > 0) log.info('secrets are wrapped with the current key', { key: key_id, rewrapped });
    if (failed.length > 0)
      log.error('secrets cannot be opened', { secrets: failed.join(' '), where: sealed.where });
  } catch (error) {
    log.error('the key of the sealed store cannot be used', { why: (error as Error).message });
  }
}

const SEALED = 'sealed:';

/** The value behind `env:NAME` or `file:/path`. Errors name the reference, never a value. */
async function readPlain(reference: string): Promise<string> {
  const [kind, name] = [
    reference.slice(0, reference.indexOf(':')),
    reference.slice(reference.indexOf(':') + 1),
  ];
  const value =
    kind === 'env' ? variable(name) : kind === 'file' ? (await readFile(name, 'utf8')).trim() : undefined;
  if (value === undefined || value === '') throw new Error(`there is no secret at ${reference}`);
  return value;
}

/** Variables that hold secrets, taken out of the environment of the process. */
const taken = new Map<string, string>();

function variable(name: string): string | undefined {
  return process.env[name] ?? taken.get(name);
}

/** Variables that the bundle refers to leave the environment: reports of Node about worker threads would print them. */
function takeVariables(bundle: Bundle): void {
  for (const name of variablesOf(bundle)) {
    const value = process.env[name];
    if (value !== undefined) taken.set(name, value);
    delete process.env[name];
  }
}

function connectorLog(log: Log, connector: string) {
  const line = (write: Log['info']) => (fields: object, message: string) =>
    write(message, { connector, ...fields });
  return { info: line(log.info), warn: line(log.warn), error: line(log.error) };
}

/** `countersign serve`: until the process is told to end. */
async function serve(options: ServeOptions): Promise<void> {
  const dump = dumpOption(`${process.execArgv.join(' ')} ${process.env.NODE_OPTIONS ?? ''}`);
  if (dump !== null)
    throw new CliFailure(EXIT.usage, `not started: ${dump} writes every secret in memory into a file`);
  const held = new HeldSecrets();
  crashCleanly((text) => held.clean(text));
  const broker = await startBroker(options, { held, takes: takeVariables });
  const ended = new AbortController();
  const ends = ['SIGINT', 'SIGTERM'].map((name) => once(process, name, { signal: ended.signal }));
  if (options.until_input_ends) ends.push(once(process.stdin.resume(), 'close', { signal: ended.signal }));
  // Not before it listens for signals: whoever reads this may end it at once, and it must stop in order.
  process.stdout.write(`countersign serves at ${broker.url}\n`);
  await Promise.race(ends);
  ended.abort();
  // Its starter may keep the other end open: being read, the input alone would keep a stopped broker alive.
  if (options.until_input_ends) process.stdin.destroy();
  await broker.close();
}

const terminal: Terminal = {
  out: (text) => process.stdout.write(`${text}\n`),
  err: (text) => process.stderr.write(`${text}\n`),
  async ask(question) {
    if (!process.stdin.isTTY) return null;
    const lines = createInterface({ input: process.stdin, output: process.stdout });
    try {
      return await lines.question(question);
    } finally {
      lines.close();
    }
  },
  input: (hint) => readInput(process.stdin, (text) => process.stderr.write(text), hint),
};

/** The `countersign` command. `argv` without node and script. */
export async function main(argv: readonly string[]): Promise<void> {
  process.exitCode = await runProgram(argv, { serve, terminal, environment: process.env });
}

if (import.meta.main) await main(process.argv.slice(2));
