// `countersign agents new`, `rotate-key` and `set-owner`: change files of the bundle, checked before they are written.
import { mkdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { type Command, Option } from 'commander';
import { type Document, isSeq, parseDocument, stringify } from 'yaml';
import { overlaps, realPath } from '#bundle/reach.ts';
import { importRegisteredKey, thumbprint } from '#identity/jwk.ts';
import { writeKeyFile } from '#identity/key-file.ts';
import { generateKeyPair } from '#identity/keys.ts';
import { readWhole, replaceFile, type WholeBundle } from './bundle-folder.ts';
import { type CliWorld, type ConnectionOptions, connect, withConnection } from './connection.ts';
import { CliFailure, EXIT } from './exit.ts';
import { mistakeLine } from './mistakes.ts';
import { printable } from './printable.ts';
import { judgeTexts } from './read-bundle.ts';

interface FileOptions {
  readonly bundle: string;
}

interface NewOptions extends FileOptions {
  readonly owner: string;
  readonly purpose: string;
  readonly mode: 'observe' | 'suggest' | 'act';
  readonly role: readonly string[];
  readonly tenant?: string;
  /** False with `--no-key`; absent where nothing was said. */
  readonly key?: string | false;
  readonly issuer?: string;
  readonly claims?: string;
}

interface RotateOptions extends FileOptions, ConnectionOptions {
  readonly out?: string;
  readonly dropOld?: boolean;
}

const ACTIVATE = 'Review the change, and put it into force: countersign bundle activate';

/** Adds them to the group of `countersign agents`. */
export function agentFileCommands(agents: Command, world: CliWorld): void {
  agents
    .command('new <name>')
    .description('write the file of a new agent and a key pair for it')
    .requiredOption('--owner <person>', 'who answers for it')
    .requiredOption('--purpose <text>', 'what it is for, in a sentence; approvers read it')
    .addOption(
      new Option('--mode <mode>', 'how much it may do by itself')
        .choices(['observe', 'suggest', 'act'])
        .default('suggest'),
    )
    .option('--role <name>', 'a role that policies grant to; repeatable', append, [])
    .option('--tenant <name>', 'default: the first of the bundle')
    .option('--key <file>', 'where its private key goes, outside the bundle; default: <name>.jwk')
    .option('--no-key', 'make none')
    .option('--issuer <name>', 'instead of a key: an issuer of the bundle knows it by --claims')
    .option('--claims <json>', 'what its tokens of that issuer say, e.g. {"sub":"0oa1"}')
    .option('--bundle <dir>', 'folder of the bundle', '.')
    .action((name: string, options: NewOptions) => create(name, options, world));
  withConnection(
    agents
      .command('rotate-key <name>')
      .description('add a new key beside the old ones; --drop-old removes these once the new one was used'),
  )
    .option('--out <file>', 'where the new private key goes, outside the bundle; default: <name>-<key>.jwk')
    .option('--drop-old', 'ask the broker whether the newest key was used, and remove the others')
    .option('--bundle <dir>', 'folder of the bundle', '.')
    .action((name: string, options: RotateOptions) =>
      options.dropOld === true ? dropOld(name, options, world) : addKey(name, options, world),
    );
  agents
    .command('set-owner <name> <person>')
    .description('change who answers for an agent or orchestrator')
    .option('--bundle <dir>', 'folder of the bundle', '.')
    .action((name: string, person: string, options: FileOptions) => setOwner(name, person, options, world));
}

function append(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

async function create(name: string, options: NewOptions, world: CliWorld): Promise<void> {
  const bundle = await readWhole(options.bundle, Date.now(), 'you add to it');
  const file = `agents/${name}.yaml`;
  if (bundle.texts.has(file)) throw new CliFailure(EXIT.usage, printable(`${file} is there already`));
  const identity = identityOf(options);
  const keyless = typeof options.key !== 'string' && (options.key === false || identity !== null);
  const pair = keyless ? null : newPair(name, bundle);
  const { owner, purpose, mode, role, tenant } = options;
  const value = {
    name,
    ...(tenant === undefined ? {} : { tenant }),
    ...{ owner, purpose, roles: role, mode },
    ...(pair === null ? {} : { keys: [`file:${pair.path}`] }),
    ...(identity === null ? {} : { identities: [identity] }),
  };
  bundle.texts.set(file, stringify(value, { lineWidth: 0 }));
  const warnings = judge(bundle);
  if (pair !== null) {
    writePrivate(bundle, typeof options.key === 'string' ? options.key : `${name}.jwk`, pair.privateJwk);
    writeNew(bundle, pair.path);
  }
  writeNew(bundle, file);
  for (const line of warnings) world.terminal.err(line);
  world.terminal.out(printable(`Wrote ${file}. No policy needs to know it by name: its roles decide.`));
  if (pair === null && identity === null)
    world.terminal.out('It cannot authenticate yet: add its identity to the file.');
  world.terminal.out(ACTIVATE);
}

async function addKey(name: string, options: RotateOptions, world: CliWorld): Promise<void> {
  const bundle = await readWhole(options.bundle, Date.now(), 'you change it');
  const { file, document } = find(name, bundle);
  const pair = newPair(name, bundle);
  const keys = document.get('keys');
  if (isSeq(keys)) keys.add(document.createNode(`file:${pair.path}`));
  else document.set('keys', document.createNode([`file:${pair.path}`]));
  bundle.texts.set(file, document.toString({ lineWidth: 0 }));
  judge(bundle);
  const out = options.out ?? `${name}-${pair.short}.jwk`;
  writePrivate(bundle, out, pair.privateJwk);
  writeNew(bundle, pair.path);
  replaceFile(join(bundle.root, file), bundle.texts.get(file)!);
  for (const line of [
    `Added a key to ${file}; its private half is in ${out}.`,
    `1. ${ACTIVATE}`,
    `2. Give ${out} to ${name} in place of its old key, and start it again.`,
    `3. Once it has got a token with it: countersign agents rotate-key ${name} --drop-old`,
  ])
    world.terminal.out(printable(line));
}

/** Only once the new one was seen in use: dropping the old one earlier would lock the agent out. */
async function dropOld(name: string, options: RotateOptions, world: CliWorld): Promise<void> {
  const bundle = await readWhole(options.bundle, Date.now(), 'you change it');
  const { file, document } = find(name, bundle);
  const keys = document.get('keys');
  const prints = isSeq(keys) ? keys.items.map((item) => thumbprintOf(item, bundle)) : [];
  const newest = prints.at(-1);
  if (!isSeq(keys) || newest === undefined || prints.length < 2)
    throw new CliFailure(EXIT.usage, printable(`${name} has no old key beside a new one`));
  const view = await connect(options, world).showAgent(name);
  const known = view.keys.find((key) => key.thumbprint === newest);
  if (known?.last_used_at_ms == null) {
    const why = known === undefined ? 'is not in the bundle in force yet' : 'was not used yet';
    throw new CliFailure(
      EXIT.no,
      printable(`The newest key of ${name} (${newest}) ${why}; nothing is dropped.`),
    );
  }
  const gone = keys.items.slice(0, -1).map((item) => String((item as { value?: unknown }).value ?? ''));
  keys.items.splice(0, keys.items.length - 1);
  bundle.texts.set(file, document.toString({ lineWidth: 0 }));
  const files = gone.filter((each) => each.startsWith('file:')).map((each) => each.slice('file:'.length));
  const unneeded = files.filter(
    (path) => ![...bundle.texts.values()].some((text) => text.includes(`file:${path}`)),
  );
  for (const path of unneeded) bundle.texts.delete(path);
  judge(bundle);
  replaceFile(join(bundle.root, file), bundle.texts.get(file)!);
  for (const path of unneeded) unlinkSync(join(bundle.root, path));
  world.terminal.out(printable(`${file} has one key now: ${newest}.`));
  world.terminal.out(ACTIVATE);
}

async function setOwner(name: string, person: string, options: FileOptions, world: CliWorld): Promise<void> {
  const bundle = await readWhole(options.bundle, Date.now(), 'you change it');
  const { file, document } = find(name, bundle);
  if (file.startsWith('people/')) throw new CliFailure(EXIT.usage, printable(`${name} is a person`));
  document.set('owner', person);
  bundle.texts.set(file, document.toString({ lineWidth: 0 }));
  for (const line of judge(bundle)) world.terminal.err(line);
  replaceFile(join(bundle.root, file), bundle.texts.get(file)!);
  world.terminal.out(printable(`${person} answers for ${name} now.`));
  world.terminal.out(ACTIVATE);
}

/** Whatever the claims are, `check` says whether they name this agent and nobody else. */
function identityOf({ issuer, claims }: NewOptions): JsonObject | null {
  if (issuer === undefined && claims === undefined) return null;
  if (issuer === undefined || claims === undefined)
    throw new CliFailure(EXIT.usage, '--issuer and --claims go together');
  try {
    return { issuer, claims: JSON.parse(claims) as Json };
  } catch {
    throw new CliFailure(EXIT.usage, '--claims is not JSON');
  }
}

/** The file of a principal, with its comments. */
function find(name: string, { texts }: WholeBundle): { readonly file: string; readonly document: Document } {
  for (const [file, text] of texts) {
    if (!/^(agents|orchestrators|people)\//.test(file)) continue;
    const document = parseDocument(text);
    if (document.get('name') === name) return { file, document };
  }
  throw new CliFailure(EXIT.usage, printable(`nobody in the bundle is called ${name}`));
}

/** A pair whose public half is in the texts already, under a name that no other key has. */
function newPair(name: string, { texts }: WholeBundle) {
  const { privateJwk, publicJwk } = generateKeyPair();
  const short = thumbprint(publicJwk)
    .replaceAll(/[^A-Za-z0-9]/g, '')
    .slice(0, 8);
  const path = `keys/${name}-${short}.pub.jwk`;
  texts.set(path, `${JSON.stringify(publicJwk, null, 2)}\n`);
  return { privateJwk, path, short };
}

function thumbprintOf(item: unknown, { texts }: WholeBundle): string | undefined {
  const given = (item as { toJSON(): Json }).toJSON();
  const jwk = typeof given === 'string' ? JSON.parse(texts.get(given.slice('file:'.length)) ?? '{}') : given;
  return importRegisteredKey(jwk as JsonObject)?.thumbprint;
}

/** Lines of warnings. Throws CliFailure where the change would break the bundle: then nothing was written. */
function judge({ root, texts }: WholeBundle): readonly string[] {
  const loaded = judgeTexts(root, texts, Date.now());
  if (loaded.ok) return loaded.warnings.map(mistakeLine);
  throw new CliFailure(EXIT.no, `${loaded.mistakes.map(mistakeLine).join('\n')}\nNothing was written.`);
}

/** Before everything else: where it cannot be written, nothing is. */
function writePrivate({ root }: WholeBundle, out: string, privateJwk: JsonObject): void {
  if (overlaps(realPath(resolve(out)), root))
    throw new CliFailure(EXIT.usage, 'a private key has no place in the bundle; choose another folder');
  try {
    writeKeyFile(out, `${JSON.stringify(privateJwk, null, 2)}\n`, 'refuse');
  } catch (error) {
    throw new CliFailure(EXIT.usage, (error as Error).message);
  }
}

function writeNew({ root, texts }: WholeBundle, path: string): void {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, texts.get(path)!, { flag: 'wx' });
}
