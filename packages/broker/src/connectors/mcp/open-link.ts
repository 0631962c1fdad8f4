// Opens the link of an MCP connector by its transport, with the credential that the connector itself uses.
import type { ConnectorSpec } from '#bundle/bundle.ts';
import type { Refusal } from '#rules/credential.ts';
import { createRedactor } from '#rules/redact-secrets.ts';
import { type ConnectorDeps, DEFAULT_RESPONSE_BYTES } from '../connector-deps.ts';
import { chooseIsolation } from '../isolation.ts';
import { createHttpLink } from './http-link.ts';
import { askableCapabilities } from './listen.ts';
import type { McpOptions, McpTransport } from './options.ts';
import type { Carried, McpLink } from './protocol.ts';
import { createStdioLink } from './stdio-link.ts';

/** What a child writes around the largest answer in one line. */
const LINE_SLACK = 64 * 1024;

export interface LinkEvents {
  readonly onNotification: (method: string) => void;
  readonly onGone: () => void;
}

/** Throws `ConnectorRefused` when the isolation asked for is not available. Does not connect yet. */
export async function openLink(
  spec: ConnectorSpec,
  options: McpOptions,
  deps: ConnectorDeps,
  events: LinkEvents,
): Promise<McpLink> {
  const { transport } = options;
  if (transport.kind === 'stdio') return openStdio(spec, transport, options, deps, events);
  const capabilities = askableCapabilities(options.passing);
  return createHttpLink({
    url: transport.url,
    era: options.era,
    allow_private: transport.allow_private,
    connections: transport.connections,
    response_bytes: deps.response_bytes ?? DEFAULT_RESPONSE_BYTES,
    connection: () => carriedByConnection(spec, deps),
    onNotification: events.onNotification,
    capabilities,
    onRefused: refusalOf(spec, deps),
  });
}

function refusalOf(spec: ConnectorSpec, { credentialRefused }: ConnectorDeps) {
  // A fixed secret is the same however often it is refused.
  if (spec.credential?.provider !== 'oauth' || credentialRefused === undefined) return null;
  return (refusal: Refusal) => credentialRefused(spec, refusal);
}

/** What the connector itself connects with. */
export async function carriedByConnection(spec: ConnectorSpec, deps: ConnectorDeps): Promise<Carried> {
  const credential = await deps.connectionCredential(spec);
  return { headers: Object.entries(credential?.inject.headers ?? {}).flat(), proof: credential?.proof };
}

async function openStdio(
  spec: ConnectorSpec,
  transport: Extract<McpTransport, { kind: 'stdio' }>,
  { era, probe_ms }: McpOptions,
  deps: ConnectorDeps,
  events: LinkEvents,
): Promise<McpLink> {
  const isolator = await chooseIsolation(
    transport.program,
    transport.isolation,
    deps.protect,
    transport.limits,
  );
  deps.log.info({ connector: spec.name, isolation: isolator.kind }, 'child process isolation chosen');
  return createStdioLink({
    name: spec.name,
    line_bytes: (deps.response_bytes ?? DEFAULT_RESPONSE_BYTES) + LINE_SLACK,
    era,
    probe_ms,
    log: deps.log,
    ...events,
    launch: async () => {
      const credential = await deps.connectionCredential(spec);
      const redactor = createRedactor(credential?.secrets ?? []);
      return isolator.launch({ ...transport.program.env, ...credential?.inject.env }, redactor.text);
    },
  });
}
