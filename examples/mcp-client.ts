// Any MCP client will do: here the official one, with the agent's key (private_key_jwt) and the run token.
//
//   COUNTERSIGN_URL=… COUNTERSIGN_KEY=support-refunds.jwk COUNTERSIGN_RUN_TOKEN=… node examples/mcp-client.ts
import { readFileSync } from 'node:fs';
import { Client, PrivateKeyJwtProvider, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const {
  COUNTERSIGN_URL: url = 'http://127.0.0.1:8787',
  COUNTERSIGN_KEY: keyFile = 'support-refunds.jwk',
  COUNTERSIGN_RUN_TOKEN: runToken,
} = process.env;

/** Presents the run token beside the client's assertion. Without one, the calls belong to the agent's ambient run. */
class RunTokenProvider extends PrivateKeyJwtProvider {
  override prepareTokenRequest(scope?: string): URLSearchParams {
    const form = super.prepareTokenRequest(scope);
    if (runToken !== undefined) form.set('run_token', runToken);
    return form;
  }
}

const authProvider = new RunTokenProvider({
  clientId: 'support-refunds',
  privateKey: JSON.parse(readFileSync(keyFile, 'utf8')),
  algorithm: 'EdDSA',
  expectedIssuer: url,
});
const client = new Client(
  { name: 'support-refunds', version: '1.0.0' },
  { versionNegotiation: { mode: { pin: '2026-07-28' } } },
);
await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { authProvider }));
const { tools } = await client.listTools();
console.log(tools.map((tool) => tool.name).join(' '));
const ticket = await client.callTool({ name: 'read_ticket', arguments: { ticket: 'ZD-991' } });
console.log(JSON.stringify(ticket.structuredContent));
await client.close();
