// Puts a shipped pack into a bundle of its own, as its README says, and starts a broker on it.
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { ApprovalView } from '@countersign/contract/wire.ts';
import { sliceDescription } from '#connectors/openapi/slice.ts';
import { type BundleFiles, startTestBroker, type TestBroker } from '../harness.ts';

const PACKS = fileURLToPath(new URL('../../packs', import.meta.url));
/** Principals of a pack's bundle. */
export const NAMES = ['bot', 'desk', 'ana', 'ben', 'cleo'] as const;

export interface PackOptions {
  readonly pack: string;
  /** The vendor's whole description. */
  readonly description: Json;
  /** Base URL of the stand-in. */
  readonly server: string;
  /** Role of the agent and group of the approvers in the pack's example policy. */
  readonly role: string;
  readonly group: string;
  /** Declaration of bound context, as YAML. */
  readonly context?: string;
  /** More lines of the connector file. */
  readonly connector?: string;
}

/** Ids of the operations that the tools of a pack are bound to, with the digests that they pin. */
export function pinsOf(pack: string): Map<string, string> {
  const pins = new Map<string, string>();
  for (const text of Object.values(filesOf(pack, 'tools')))
    for (const [, id, digest] of text.matchAll(/operation: (\S+)\s+digest: (\S+)/g)) pins.set(id!, digest!);
  return pins;
}

/** The files of one folder of a pack, by path. */
export function filesOf(pack: string, folder: string): Record<string, string> {
  const names = readdirSync(join(PACKS, pack, folder));
  const read = (name: string): string => readFileSync(join(PACKS, pack, folder, name), 'utf8');
  return Object.fromEntries(names.map((name) => [`${folder}/${name}`, read(name)]));
}

/** The slice that the pack needs, cut out of the vendor's description. */
export function sliceFor(pack: string, description: Json): JsonObject {
  const sliced = sliceDescription(description, [...pinsOf(pack).keys()]);
  if (!sliced.ok) throw new Error(sliced.reason);
  return sliced.slice;
}

export function packFiles(options: PackOptions): BundleFiles {
  const { pack, server, role, group, context = '{}', connector = '' } = options;
  const own = filesOf(pack, 'connectors')[`connectors/${pack}.yaml`]!;
  // A stand-in listens on loopback; everything else of the connector stays as it is shipped.
  const pointed = own.replace(/^servers: .*$/m, `servers: ["${server}"]\nallow_private: true\n${connector}`);
  const person = (name: string): string =>
    `name: ${name}\ndisplay_name: ${name}\nroles: [approver]\ngroups: [${group}]\nkeys: ["file:keys/${name}.pub.jwk"]\n`;
  return {
    'countersign.yaml': `data_dir: ../data\ncontext: ${context}\napprovals: { default: "1 of ${group}" }\n`,
    'agents/bot.yaml': `name: bot\nowner: ana\npurpose: Tries the pack.\nroles: [${role}]\nmode: act\nkeys: ["file:keys/bot.pub.jwk"]\n`,
    'orchestrators/desk.yaml': `name: desk\nowner: ana\npurpose: Opens runs.\nagents: [bot]\ncontext: [${contextKeys(context)}]\nkeys: ["file:keys/desk.pub.jwk"]\n`,
    'people/ana.yaml': person('ana'),
    'people/ben.yaml': person('ben'),
    'people/cleo.yaml': person('cleo'),
    ...filesOf(pack, 'tools'),
    ...filesOf(pack, 'policies'),
    [`connectors/${pack}.yaml`]: pointed,
    [`specs/${pack}.json`]: JSON.stringify(sliceFor(pack, options.description)),
  };
}

function contextKeys(context: string): string {
  return [...context.matchAll(/([a-z_]+): \{ type/g)].map((match) => match[1]).join(', ');
}

export function startPack(options: PackOptions): Promise<TestBroker> {
  return startTestBroker(packFiles(options), NAMES);
}

/** Waits for the open approval of a call and lets people approve it. */
export async function approve(
  broker: TestBroker,
  callId: string,
  people: readonly string[],
): Promise<ApprovalView> {
  const open = await broker.approvals(people[0]!);
  const approval = open.find((each) => each.call_id === callId);
  if (approval === undefined) throw new Error(`no open approval of ${callId}`);
  for (const name of people) {
    const { status, body } = await broker.vote(name, approval, 'approve');
    if (status !== 200) throw new Error(`${name} could not vote: ${JSON.stringify(body)}`);
  }
  return approval;
}

/** A port of loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts a program with this Node and waits until it answers HTTP. End it by `stop`. */
export async function startProgram(
  script: string,
  args: readonly string[],
  port: number,
  env: Record<string, string> = {},
): Promise<{ readonly url: string; stop(): void }> {
  const path = process.env['PATH'] ?? '';
  const child: ChildProcess = spawn(process.execPath, [script, ...args], {
    env: { PATH: path, ...env },
    stdio: 'ignore',
  });
  const url = `http://127.0.0.1:${port}`;
  for (let i = 0; ; i++) {
    try {
      await fetch(url);
      return { url, stop: () => void child.kill('SIGKILL') };
    } catch {
      if (i > 600 || child.exitCode !== null) {
        child.kill('SIGKILL');
        throw new Error(`${script} does not answer on port ${port}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
