// Starts the servers of a client's configuration, each after a person agreed, and asks them for their tools.
import { randomBytes } from 'node:crypto';
import type { ConnectorSpec } from '#bundle/bundle.ts';
import type { ClientServer } from '#bundle/import-client.ts';
import { type ConnectorDraft, draftConnector, type ImportWorld } from '#bundle/import-connector.ts';
import type { OfferedTool } from '#bundle/import-tools.ts';
import { ConnectorRefused } from '#connectors/connector-deps.ts';
import { createDiscoveredNetwork } from '#connectors/discovered-network.ts';
import { listUpstreamTools } from '#connectors/mcp/list-upstream-tools.ts';
import { createCredentials } from '#credentials/create-credentials.ts';
import { createHandleSeal } from '#credentials/seal-handle.ts';
import { KEY_BYTES } from '#credentials/sealed/seal.ts';
import { CliFailure, EXIT } from './exit.ts';
import { countOf } from './mistakes.ts';
import { printable } from './printable.ts';
import type { Terminal } from './terminal.ts';

export interface AskedServers {
  readonly connectors: readonly ConnectorDraft[];
  readonly offered: readonly OfferedTool[];
  /** A sentence for each server or tool that is left out. */
  readonly left: readonly string[];
}

/** `yes`: start them without a question. */
export async function askServers(
  servers: readonly ClientServer[],
  world: ImportWorld,
  terminal: Terminal,
  yes: boolean,
): Promise<AskedServers> {
  const connectors: ConnectorDraft[] = [];
  const offered: OfferedTool[] = [];
  const left: string[] = [];
  for (const server of servers) {
    const name = printable(server.name);
    terminal.out(`\n${name}`);
    const draft = draftConnector(server, world);
    const taken = 'name' in draft && connectors.some((it) => it.name === draft.name);
    if ('refused' in draft || taken) {
      const why =
        'refused' in draft ? draft.refused : `another server is already called "${draft.name}" here`;
      terminal.out(printable(`  left out: ${why}`));
      left.push(`The server ${name} is left out: ${why}.`);
      continue;
    }
    for (const line of draft.shown) terminal.out(printable(`  ${line}`));
    if (!yes && !(await agreed(terminal))) {
      left.push(`The server ${name} is left out: nobody agreed to start it.`);
      continue;
    }
    const listed = await listTools(draft, world);
    if (typeof listed === 'string') {
      terminal.out(printable(`  left out: ${listed}`));
      left.push(`The server ${name} is left out: ${listed}.`);
      continue;
    }
    terminal.out(`  ${countOf(listed.tools.length, 'tool')}`);
    connectors.push(draft);
    offered.push(...listed.tools);
    left.push(...listed.dropped.map((it) => `A tool of ${name} breaks the protocol: ${it}.`));
  }
  return { connectors, offered, left };
}

async function agreed(terminal: Terminal): Promise<boolean> {
  const answer = await terminal.ask('  Start it and ask for its tools? [y/N] ');
  if (answer === null)
    throw new CliFailure(
      EXIT.no,
      'Nobody to ask here, so nothing was started. Use --yes to start without a question.',
    );
  return /^y(es)?$/i.test(answer.trim());
}

/** The tools, or why they could not be had. */
async function listTools(
  draft: ConnectorDraft,
  { environment, protect, owner }: ImportWorld,
): Promise<string | { readonly tools: readonly OfferedTool[]; readonly dropped: readonly string[] }> {
  const { transport, credential } = draft.value as {
    transport: ConnectorSpec['options'];
    credential?: object;
  };
  const { provider = 'static', ...options } = (credential ?? {}) as { provider?: string };
  const spec: ConnectorSpec = {
    name: draft.name,
    kind: 'mcp',
    owner,
    options: { transport },
    credential: credential === undefined ? null : { provider, options },
  };
  const readSecret = async (reference: string): Promise<string> => {
    const value = reference.startsWith('env:')
      ? environment[reference.slice('env:'.length)]
      : draft.secret?.text;
    if (value === undefined || value === '') throw new Error(`there is no secret at ${reference}`);
    return value;
  };
  const clock = { now: Date.now };
  try {
    const credentials = createCredentials(new Map([[spec.name, spec]]), {
      ...{ readSecret, clock, random: randomBytes, oauth: null, sealed: null },
      seal: createHandleSeal(randomBytes(KEY_BYTES)),
      network: ({ allow_private, ca }) => createDiscoveredNetwork(allow_private, ca),
    });
    const listed = await listUpstreamTools(spec, {
      clock,
      log: { info: () => {}, warn: () => {}, error: () => {} },
      connectionCredential: (each) => credentials.forConnection(each),
      protect,
    });
    if (!listed.ok) return `it could not be asked for its tools: ${listed.reason}`;
    const tools = listed.tools.map((it) => ({
      connector: spec.name,
      tool: it.name,
      digest: it.digest,
      definition: it.definition,
    }));
    return { tools, dropped: listed.dropped };
  } catch (error) {
    if (error instanceof ConnectorRefused || error instanceof Error) return error.message;
    throw error;
  }
}
