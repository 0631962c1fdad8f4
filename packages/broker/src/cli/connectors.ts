// `countersign connectors`: what each connector connects with, and the login by which a person authorises one.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConnectorView } from '@countersign/contract/wire-operations.ts';
import type { Command } from 'commander';
import type { Bundle, ConnectorSpec } from '#bundle/bundle.ts';
import { createDiscoveredNetwork } from '#connectors/discovered-network.ts';
import { gradeOf } from '#credentials/create-credentials.ts';
import { beginLogin } from '#credentials/oauth/begin-login.ts';
import { asRecord, type Grant, readGrant } from '#credentials/oauth/grant.ts';
import { actsForItself, oauthOptions } from '#credentials/oauth/options.ts';
import { createFileVault, type Vault, VaultError } from '#credentials/oauth/vault.ts';
import { createSealedVault } from '#credentials/sealed/sealed-vault.ts';
import { type CliWorld, type ConnectionOptions, connect, withConnection } from './connection.ts';
import { CliFailure, EXIT } from './exit.ts';
import { type LoopbackRedirect, openRedirect } from './loopback-redirect.ts';
import { mistakeLine } from './mistakes.ts';
import { printable, printableJson, printableTable, printableTime } from './printable.ts';
import { readBundle } from './read-bundle.ts';
import { openSealingKeys } from './sealing-keys.ts';

/** An operation may be called by its whole statement. */
const NAME_MAX = 60;
/** How long a person may take in the browser. */
const PATIENCE_MS = 10 * 60_000;

export function connectorsCommands(program: Command, world: CliWorld): void {
  const group = program.command('connectors').description('connectors and what they connect with');
  group
    .command('list [dir]')
    .description('the connectors of a bundle, and whether a person has authorised those that need it')
    .action((dir: string | undefined) => list(dir ?? '.', world));
  withConnection(
    group.command('use').description('what runs and waits at a broker, and which breakers are open'),
  ).action((options: ConnectionOptions) => use(options, world));
  group
    .command('login <connector> [dir]')
    .description('authorise a connector with provider oauth, once, in a browser; the broker keeps the tokens')
    .action((name: string, dir: string | undefined) => login(name, dir ?? '.', world));
}

async function list(dir: string, { terminal, environment }: CliWorld): Promise<void> {
  const bundle = await open(dir);
  const vault = await vaultOf(bundle, environment);
  const rows: string[][] = [];
  for (const spec of bundle.connectors.values())
    rows.push([
      ...[spec.name, spec.kind, spec.credential?.provider ?? 'none'],
      ...[gradeOf(spec)?.grade ?? '-', (await standing(spec, vault)) || (gradeOf(spec)?.why ?? '')],
    ]);
  terminal.out(printableTable(['CONNECTOR', 'KIND', 'CREDENTIAL', 'GRADE', 'STANDING'], rows));
}

async function use(options: ConnectionOptions, world: CliWorld): Promise<void> {
  const connectors = await connect(options, world).listConnectors();
  if (options.json) return world.terminal.out(printableJson(connectors));
  const rows = connectors.map((each) => [
    each.name,
    `${each.running} of ${each.concurrency}`,
    `${each.waiting} of ${each.queue}`,
    each.rate_per_s === null ? '' : `${each.rate_per_s}/s`,
    breakerWords(each),
  ]);
  world.terminal.out(printableTable(['CONNECTOR', 'RUNNING', 'WAITING', 'RATE', 'LEFT ALONE'], rows));
}

/** What the connector is not asked for now, or only to see whether it is back. */
function breakerWords({ breakers, paused_until_ms }: ConnectorView): string {
  const words = breakers
    .filter(({ state }) => state !== 'closed')
    .map(({ operation, retry_at_ms }) => {
      const name = operation.length > NAME_MAX ? `${operation.slice(0, NAME_MAX)}…` : operation;
      return retry_at_ms === null ? `${name}: trying again` : `${name} until ${printableTime(retry_at_ms)}`;
    });
  return [
    ...(paused_until_ms === null ? [] : [`all until ${printableTime(paused_until_ms)}`]),
    ...words,
  ].join('; ');
}

async function standing({ name, credential }: ConnectorSpec, vault: Vault): Promise<string> {
  if (credential?.provider !== 'oauth') return '';
  const options = oauthOptions(credential.options);
  if (actsForItself(options)) return 'acts for itself';
  const grant = await kept(vault, name);
  if (grant === null || grant.server !== options.server) return 'not authorised yet: log in';
  if (grant.refused) return 'not accepted any more: log in';
  if (grant.wanted.length > 0) return `wants more scopes (${grant.wanted.join(' ')}): log in`;
  return `authorised at ${grant.issuer}`;
}

async function login(name: string, dir: string, { terminal, environment }: CliWorld): Promise<void> {
  const bundle = await open(dir);
  const spec = bundle.connectors.get(name);
  if (spec?.credential?.provider !== 'oauth')
    throw new CliFailure(EXIT.usage, `there is no connector "${name}" with provider oauth in ${dir}`);
  const options = oauthOptions(spec.credential.options);
  if (actsForItself(options))
    throw new CliFailure(EXIT.usage, `connector "${name}" acts for itself; nobody logs in for it`);
  const vault = await vaultOf(bundle, environment);
  const before = await kept(vault, name);
  await using opened = new AsyncDisposableStack();
  const redirect = await listen(options.redirect_port, before);
  opened.defer(() => redirect.close());
  const network = createDiscoveredNetwork(options.allow_private);
  opened.defer(() => network.close());
  const readSecret = readPlain(environment);
  const begun = await beginLogin({
    ...{ options, before, network, readSecret },
    redirect_uri: redirect.uri,
    clock: { now: Date.now },
  });
  if (!begun.ok) throw new CliFailure(EXIT.no, printable(begun.reason));
  const scopes = begun.scopes.length === 0 ? 'what the server decides' : begun.scopes.join(' ');
  terminal.out(printable(`Authorization server: ${begun.issuer}`));
  terminal.out(printable(`It is asked for: ${scopes}`));
  terminal.out(`Open in a browser on this machine:\n${printable(begun.url)}`);
  const finished = await begun.finish(await comingBack(redirect, begun.state));
  if (!finished.ok) throw new CliFailure(EXIT.no, printable(finished.reason));
  await vault.offer(name, asRecord(finished.grant));
  const granted = finished.grant.tokens.scopes.join(' ') || 'what the server decided';
  terminal.out(printable(`${name} is authorised for: ${granted}. A running broker takes it up by itself.`));
}

async function comingBack(redirect: LoopbackRedirect, state: string): Promise<URLSearchParams> {
  try {
    return await redirect.wait(state, AbortSignal.timeout(PATIENCE_MS));
  } catch (error) {
    throw new CliFailure(EXIT.no, (error as Error).message);
  }
}

/** The port of an earlier login is tried again: a client that was registered for it stays good. */
async function listen(wanted: number, before: Grant | null): Promise<LoopbackRedirect> {
  const earlier = before === null ? 0 : Number(new URL(before.redirect_uri).port);
  try {
    return await openRedirect(wanted === 0 ? earlier : wanted);
  } catch (error) {
    if (wanted === 0) return openRedirect(0);
    throw new CliFailure(EXIT.usage, `redirect_port cannot be listened on: ${(error as Error).message}`);
  }
}

async function kept(vault: Vault, name: string): Promise<Grant | null> {
  try {
    return readGrant(await vault.look(name));
  } catch (error) {
    if (error instanceof VaultError) throw new CliFailure(EXIT.no, error.message);
    throw error;
  }
}

/** Sealed as the broker seals it: by the same key, which whoever logs in on this machine can use as well. */
async function vaultOf({ settings }: Bundle, environment: CliWorld['environment']): Promise<Vault> {
  try {
    const { keys } = await openSealingKeys(settings, readPlain(environment));
    return createSealedVault(createFileVault(join(settings.data_dir, 'oauth')), keys, randomBytes);
  } catch (error) {
    throw new CliFailure(EXIT.no, `the key that seals grants cannot be had: ${(error as Error).message}`);
  }
}

function readPlain(environment: CliWorld['environment']) {
  return async (reference: string): Promise<string> => {
    const named = reference.slice(reference.indexOf(':') + 1);
    if (reference.startsWith('sealed:'))
      throw new Error(`the secret ${named} is sealed, and only the broker opens it`);
    const value = reference.startsWith('env:') ? environment[named] : await readFile(named, 'utf8');
    if (value === undefined || value === '') throw new Error(`there is no secret at ${reference}`);
    return value;
  };
}

async function open(dir: string): Promise<Bundle> {
  const loaded = await readBundle(dir, Date.now());
  if (loaded.ok) return loaded.bundle;
  throw new CliFailure(EXIT.no, loaded.mistakes.map(mistakeLine).join('\n'));
}
