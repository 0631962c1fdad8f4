// The examples run as they stand, each in a process of its own, against a broker with the demo's bundle.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { countRefunds } from '../../../demo/read-desk.ts';
import { type Desk, setUpDesk } from '../../../demo/set-up-desk.ts';
import { type Running, startBroker } from '../../../demo/start-broker.ts';

let desk: Desk;
let broker: Running;
before(async () => {
  desk = setUpDesk();
  broker = await startBroker(desk);
});
after(async () => {
  await broker?.stop();
  desk?.remove();
});

interface Example {
  readonly child: ChildProcess;
  /** Resolves with the first line of output that begins so. */
  readonly line: (start: string) => Promise<string>;
  readonly end: () => Promise<{ code: number | null; out: string }>;
}

function start(name: string, principal: string, args: readonly string[] = [], runToken?: string): Example {
  const file = fileURLToPath(new URL(`../../../examples/${name}`, import.meta.url));
  const env = {
    ...process.env,
    COUNTERSIGN_URL: broker.url,
    COUNTERSIGN_KEY: desk.keyFile(principal),
    ...(runToken === undefined ? {} : { COUNTERSIGN_RUN_TOKEN: runToken }),
  };
  const child = spawn(process.execPath, [file, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  const closed = once(child, 'close');
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
  }
  return {
    child,
    async line(begin) {
      for (;;) {
        const found = out.split('\n').find((each) => each.startsWith(begin));
        if (found !== undefined) return found;
        if (child.exitCode !== null) throw new Error(`${name} ended without "${begin}":\n${out}`);
        await Promise.race([once(child.stdout, 'data'), closed]);
      }
    },
    async end() {
      const [code] = await closed;
      return { code, out: out.trim() };
    },
  };
}

async function run(
  name: string,
  principal: string,
  args?: readonly string[],
  runToken?: string,
): Promise<string> {
  const { code, out } = await start(name, principal, args, runToken).end();
  assert.equal(code, 0, `${name}:\n${out}`);
  return out;
}

test('the orchestrator opens a run; the agent refunds; a larger refund waits for the approver', async () => {
  const token = await run('open-run.ts', 'support-desk', ['ZD-991']);
  assert.match(token, /^[\w-]+\.[\w-]+\.[\w-]+$/);

  const small = await run('refund.ts', 'support-refunds', ['INV-1001', '1900'], token);
  assert.match(small, /^succeeded .*"invoice":"INV-1001"/);

  const larger = start('refund.ts', 'support-refunds', ['INV-1002', '12000'], token);
  const approval = (await larger.line('held ')).slice('held '.length);
  const listed = await run('approve.ts', 'ana');
  assert.ok(listed.startsWith(`${approval} support-refunds wants to refund 120.00 EUR`), listed);
  assert.match(await run('approve.ts', 'ana', [approval]), /\napproved$/);
  const done = await larger.end();
  assert.equal(done.code, 0, done.out);
  assert.match(done.out, /\nsucceeded /);
  assert.equal(countRefunds(desk), 2);
});

test('what is refused is told with its reason', async () => {
  const token = await run('open-run.ts', 'support-desk', ['ZD-666']);
  const { code, out } = await start('refund.ts', 'support-refunds', ['INV-1002', '100'], token).end();
  assert.equal(code, 1);
  assert.match(out, /^policy_denied: .*Refunds go only to the customer of the run/);
});

test('the official MCP client connects with the key of the agent and the token of the run', async () => {
  const token = await run('open-run.ts', 'support-desk', ['ZD-991']);
  const out = await run('mcp-client.ts', 'support-refunds', [], token);
  assert.match(out, /^find_invoices .*refund_invoice .*countersign_call_status/);
  assert.match(out, /"ticket":"ZD-991"/);
});
