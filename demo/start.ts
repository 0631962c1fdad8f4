// `npm start`: the support desk of the demo with the broker running, and how to talk to it.
import { Orchestrator } from '@countersign/sdk/orchestrator';
import { setUpDesk } from './set-up-desk.ts';
import { startBroker } from './start-broker.ts';

const desk = setUpDesk();
const port = process.env.PORT === undefined ? undefined : Number(process.env.PORT);
const broker = await startBroker(desk, port);
const { url } = broker;
const orchestrator = new Orchestrator({ url, orchestrator: 'support-desk', key: desk.key('support-desk') });
const run = await orchestrator.openRun({
  agent: 'support-refunds',
  trigger: 'zendesk:ticket/991',
  context: { ticket: 'ZD-991' },
});

console.log(`Countersign runs at ${url} (process ${broker.pid}); Ctrl-C ends it and removes its folder.

  bundle     ${desk.bundle}
  database   ${desk.database}
  keys       ${desk.keyFile('ana')} (approver), ${desk.keyFile('ben')} (operator, auditor),
             ${desk.keyFile('support-refunds')} (agent), ${desk.keyFile('support-desk')} (orchestrator)

The tools of the agent, what waits for Ana, and what Ben may stop:

  export COUNTERSIGN_URL=${url}
  npm run -s countersign -- tools --as support-refunds --key ${desk.keyFile('support-refunds')}
  npm run -s countersign -- approvals list --as ana --key ${desk.keyFile('ana')}
  npm run -s countersign -- halt agent support-refunds --reason drill --as ben --key ${desk.keyFile('ben')}

MCP endpoint: ${url}/mcp     API: ${url}/v1 (described at ${url}/openapi.json)
A run for ticket ZD-991 is open; its token, for the agent alone:

  ${run.run_token}
`);

let ending = false;
const end = async (): Promise<void> => {
  if (ending) return;
  ending = true;
  await broker.stop();
  desk.remove();
};
process.on('SIGINT', end);
process.on('SIGTERM', end);
await broker.ended;
await end();
