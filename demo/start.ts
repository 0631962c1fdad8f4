// `npm start`: the support desk of the demo with the broker running, and how to talk to it.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Orchestrator } from '@countersign/sdk/orchestrator';
import { setUpDesk } from './set-up-desk.ts';
import { type Running, startBroker } from './start-broker.ts';

const PORT = 8787;

const desk = setUpDesk();
let broker: Running | undefined;
const end = async (): Promise<void> => {
  await broker?.stop();
  desk.remove();
};
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void end().finally(() => process.exit(0)));
}
try {
  broker = await startBroker(desk, Number(process.env.PORT ?? PORT));
  await openRun(broker.url);
  explain(broker.url);
  await broker.ended;
} catch (error) {
  console.error(`${(error as Error).message}\nIs the port taken? PORT=0 npm start takes a free one.`);
  process.exitCode = 1;
} finally {
  await end();
}

/** Leaves the token of a run for ticket ZD-991 in the desk's folder, for the agent. */
async function openRun(url: string): Promise<void> {
  const key = desk.key('support-desk');
  const orchestrator = new Orchestrator({ url, orchestrator: 'support-desk', key });
  const run = await orchestrator.openRun({
    agent: 'support-refunds',
    trigger: 'zendesk:ticket/991',
    context: { ticket: 'ZD-991' },
  });
  writeFileSync(join(desk.folder, 'run-token'), run.run_token, { mode: 0o600 });
}

function explain(url: string): void {
  console.log(`Countersign serves the demo's support desk at ${url}. Ctrl-C ends it and removes its folder.

In another terminal:
  export COUNTERSIGN_URL=${url} DESK=${desk.folder}

The agent asks for a refund that needs a person, and waits (its run, for ticket ZD-991, is open):
  COUNTERSIGN_KEY=$DESK/keys/support-refunds.jwk COUNTERSIGN_RUN_TOKEN=$(cat $DESK/run-token) npx node examples/refund.ts INV-1002 12000

Ana of finance looks at it and decides:
  npm run -s countersign -- approvals list --as ana --key $DESK/keys/ana.jwk
  npm run -s countersign -- approvals approve apr_... --as ana --key $DESK/keys/ana.jwk

Ben, the operator and auditor, looks at what happened and stops the agent:
  npm run -s countersign -- calls list --as ben --key $DESK/keys/ben.jwk
  npm run -s countersign -- halt agent support-refunds --reason drill --as ben --key $DESK/keys/ben.jwk

The bundle is $DESK/bundle; change it and see: npm run -s countersign -- check $DESK/bundle
MCP endpoint: ${url}/mcp   HTTP API: curl ${url}/openapi.json
`);
}
