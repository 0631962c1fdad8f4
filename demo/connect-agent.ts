// The scripted agent: the official MCP client with the agent's key and the token of one run.
import {
  Client,
  PrivateKeyJwtProvider,
  ProtocolError,
  StreamableHTTPClientTransport,
} from '@modelcontextprotocol/client';
import type { Desk } from './set-up-desk.ts';

/** What a call answered, as the model would read it and as a program does. */
export interface Said {
  /** `succeeded`, `held`, or the code of the problem. */
  readonly outcome: string;
  /** The sentence for the model. */
  readonly text: string;
  readonly content: Record<string, unknown>;
  readonly call_id: string;
  readonly replayed: boolean;
}

export interface CallExtras {
  /** What the model claims about the circumstances. */
  readonly claimed?: Readonly<Record<string, string>>;
  readonly key?: string;
}

/** The provider of the official client, which also presents the run token when it asks for an access token. */
class RunTokenProvider extends PrivateKeyJwtProvider {
  readonly #runToken: string;

  constructor(desk: Desk, url: string, runToken: string) {
    super({
      clientId: 'support-refunds',
      privateKey: desk.key('support-refunds'),
      algorithm: 'EdDSA',
      expectedIssuer: url,
    });
    this.#runToken = runToken;
  }

  override prepareTokenRequest(scope?: string): URLSearchParams {
    const form = super.prepareTokenRequest(scope);
    form.set('run_token', this.#runToken);
    return form;
  }
}

export class AgentConnection {
  readonly #client: Client;

  private constructor(client: Client) {
    this.#client = client;
  }

  static async open(desk: Desk, url: string, runToken: string): Promise<AgentConnection> {
    const client = new Client(
      { name: 'support-refunds', version: '1.0.0' },
      { versionNegotiation: { mode: { pin: '2026-07-28' } } },
    );
    const authProvider = new RunTokenProvider(desk, url, runToken);
    await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { authProvider }));
    return new AgentConnection(client);
  }

  async tools(): Promise<readonly { readonly name: string; readonly description: string }[]> {
    const { tools } = await this.#client.listTools();
    return tools.map(({ name, description }) => ({ name, description: description ?? '' }));
  }

  async call(name: string, args: Record<string, unknown>, extras: CallExtras = {}): Promise<Said> {
    const meta = {
      ...(extras.claimed === undefined ? {} : { 'countersign/context': extras.claimed }),
      ...(extras.key === undefined ? {} : { 'countersign/idempotency-key': extras.key }),
    };
    try {
      return saidOf(await this.#client.callTool({ name, arguments: args, _meta: meta }));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return { outcome: 'tool_not_found', text: error.message, content: {}, call_id: '', replayed: false };
    }
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}

type Result = Awaited<ReturnType<Client['callTool']>>;

function saidOf(result: Result): Said {
  const content = (result.structuredContent ?? {}) as Record<string, unknown>;
  const problem = content.problem as { code: string; detail: string } | undefined;
  const first = result.content[0];
  const text = problem?.detail ?? (first?.type === 'text' ? first.text : '');
  const fallback = result.isError === true ? 'error' : 'succeeded';
  return {
    outcome: problem?.code ?? (typeof content.status === 'string' ? content.status : fallback),
    text,
    content,
    call_id: String(result._meta?.['countersign/call_id'] ?? ''),
    replayed: result._meta?.['countersign/replayed'] === true,
  };
}
