// A real broker before the small desk, an agent's client for a fresh run, and people who decide.
import { AsyncLocalStorage } from 'node:async_hooks';
import { Countersign } from '@countersign/sdk';
import { type Desk, REFUND_TOOL, startDesk } from '../../../broker/test/call/desk.ts';

export interface AgentDesk {
  readonly desk: Desk;
  /** A client of the agent `bot`, in a fresh run bound to a ticket. */
  agent(): Promise<Countersign>;
  /** A client for the same run as an earlier one, as after a restart of the agent's process. */
  again(agent: Countersign): Countersign;
  runToken(agent: Countersign): string;
  /** Headers of the calls that were sent, in order. */
  readonly sent: Headers[];
  /** Runs something with a present span, as a tracer does: what it awaits and calls back sees this `traceparent`. */
  traced<Result>(traceparent: string, run: () => Promise<Result>): Promise<Result>;
  /** A person of finance decides on the one call that waits. */
  decide(verdict: 'approve' | 'reject'): Promise<void>;
  close(): Promise<void>;
}

export async function startAgentDesk(): Promise<AgentDesk> {
  // A tool that no policy permits to the agent: it is offered nowhere.
  const desk = await startDesk({
    'tools/write_off.yaml': REFUND_TOOL.replace('name: refund', 'name: write_off'),
  });
  const present = new AsyncLocalStorage<string>();
  const tokens = new Map<string | undefined, string>();
  const sent: Headers[] = [];
  const client = (runToken: string): Countersign =>
    new Countersign({
      url: desk.url,
      agent: 'bot',
      key: desk.key('bot').export({ format: 'pem', type: 'pkcs8' }) as string,
      runToken,
      traceparent: () => present.getStore(),
      fetch: (input, init) => {
        if (init?.method === 'POST' && String(input).includes('/v1/calls'))
          sent.push(new Headers(init.headers));
        return fetch(input, init);
      },
    });
  return {
    desk,
    sent,
    traced: (traceparent, run) => present.run(traceparent, run),
    async agent() {
      const { run_token } = await desk.openRun('desk', 'bot', { ticket: 'ZD-7' });
      const agent = client(run_token);
      tokens.set(agent.runId, run_token);
      return agent;
    },
    again: (agent) => client(tokens.get(agent.runId)!),
    runToken: (agent) => tokens.get(agent.runId)!,
    async decide(verdict) {
      const [approval, ...others] = await desk.approvals('ana');
      if (approval === undefined || others.length > 0) throw new Error('expected one call that waits');
      const vote = await desk.vote('ana', approval, verdict, 'as I see it');
      if (vote.status >= 300) throw new Error(`no vote: ${JSON.stringify(vote.body)}`);
    },
    close: () => desk.close(),
  };
}
