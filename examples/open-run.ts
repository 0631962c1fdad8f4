// An orchestrator opens a run for a ticket, and hands the run token, and nothing else, to the agent.
//
//   COUNTERSIGN_URL=… COUNTERSIGN_KEY=support-desk.jwk node examples/open-run.ts ZD-991
import { readFileSync } from 'node:fs';
import { Orchestrator } from '@countersign/sdk/orchestrator';

const { COUNTERSIGN_URL: url = 'http://127.0.0.1:8787', COUNTERSIGN_KEY: keyFile = 'support-desk.jwk' } =
  process.env;
const [ticket = 'ZD-991'] = process.argv.slice(2);

const desk = new Orchestrator({
  url,
  orchestrator: 'support-desk',
  key: JSON.parse(readFileSync(keyFile, 'utf8')),
});
const run = await desk.openRun({
  agent: 'support-refunds',
  trigger: `zendesk:ticket/${ticket.slice(3)}`,
  context: { ticket },
  model: { provider: 'example', name: 'example-1' },
});
console.log(run.run_token);
