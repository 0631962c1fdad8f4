// Runs LangChain's and LlamaIndex's Python clients against a real broker; says SKIPPED where PyPI cannot be reached.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Desk, startDesk } from '../packages/broker/test/call/desk.ts';

/** One environment each: their dependencies exclude one another. */
const CLIENTS = [
  { module: 'langchain_tools', requirement: 'langchain-mcp-adapters==0.3.2' },
  { module: 'llamaindex_tools', requirement: 'llama-index-tools-mcp==0.6.0' },
] as const;

/** Lists, reads, is refused, is held, says so on a line of its own, and looks the held call up. */
const DRIVER = `
import asyncio, importlib, json, os, re, sys
async def main():
    example = importlib.import_module(sys.argv[1])
    env = os.environ
    tools = await example.load_tools(env["URL"], "bot", env["KEY"], env["RUN_TOKEN"])
    named = {(tool.metadata if hasattr(tool, "acall") else tool).name: tool for tool in tools}
    print(json.dumps(sorted(named)), flush=True)
    async def call(name, **arguments):
        text = await example.call(named[name], arguments)
        print(json.dumps(text), flush=True)
        return text
    await call("read_note", note="N-2")
    await call("refund", account="AC-2", amount_minor=100)
    held = await call("refund", account="AC-1", amount_minor=9000)
    await call("countersign_call_status", call_id=re.search("call_[0-9a-z-]{10,}", held).group())
asyncio.run(main())
`;

const examples = resolve(import.meta.dirname, '../examples/frameworks');
// COUNTERSIGN_VENVS keeps the environments for the next time.
const kept = process.env.COUNTERSIGN_VENVS;
const folder = kept ?? mkdtempSync(join(tmpdir(), 'countersign-python-'));
const counts = { passed: 0, failed: 0, skipped: 0 };
for (const { module, requirement } of CLIENTS) {
  const python = installed(module, requirement);
  if (python === undefined) {
    counts.skipped += 1;
    console.log(
      `SKIPPED ${module}: ${requirement} cannot be installed here (a python3 with venv and PyPI are needed)`,
    );
    continue;
  }
  try {
    await check(python, module);
    counts.passed += 1;
    console.log(`ok ${module} (${requirement})`);
  } catch (error) {
    counts.failed += 1;
    console.log(`FAILED ${module}: ${error instanceof Error ? error.message : error}`);
  }
}
if (kept === undefined) rmSync(folder, { recursive: true, force: true });
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed === 0 ? 0 : 1;

/** The Python of an environment that has the package; undefined when it cannot be made. */
function installed(module: string, requirement: string): string | undefined {
  const home = join(folder, module);
  const python = join(home, 'bin/python');
  const steps: readonly (readonly [string, readonly string[]])[] = [
    ...(existsSync(python) ? [] : [['python3', ['-m', 'venv', home]] as const]),
    [python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', requirement]],
  ];
  const made = steps.every(
    ([program, args]) => spawnSync(program, args, { timeout: 300_000, stdio: 'ignore' }).status === 0,
  );
  return made ? python : undefined;
}

async function check(python: string, module: string): Promise<void> {
  const desk = await startDesk();
  try {
    const lines = await drive(desk, python, module);
    const [names, note, denied, held, done] = lines.map((line) => JSON.parse(line) as string | string[]);
    assert.deepEqual(names, ['close_account', 'countersign_call_status', 'read_note', 'refund', 'send_mail']);
    assert.match(String(note), /hello/);
    assert.match(String(denied), /Refused, nothing was done.*Accounts of VIPs are not touched by agents/s);
    assert.match(String(held), /Not done yet: waiting for 1 person of finance/);
    assert.match(String(done), /amount_minor\W+9000/);
    assert.equal(desk.refunds(), 1);
  } finally {
    await desk.close();
  }
}

/** The driver's lines; a person approves once the call is held. */
async function drive(desk: Desk, python: string, module: string): Promise<string[]> {
  const { run_token } = await desk.openRun('desk', 'bot', { ticket: 'ZD-7' });
  const key = desk.key('bot').export({ format: 'pem', type: 'pkcs8' }) as string;
  const env = { ...process.env, URL: desk.url, KEY: key, RUN_TOKEN: run_token, PYTHONPATH: examples };
  const child = spawn(python, ['-B', '-c', DRIVER, module], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 120_000,
  });
  const closed = once(child, 'close');
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  let out = '';
  let asked = false;
  for await (const text of child.stdout.setEncoding('utf8')) {
    out += text;
    if (asked || !out.includes('Not done yet')) continue;
    asked = true;
    const [approval] = await desk.approvals('ana');
    assert.ok(approval, 'no approval is open');
    await desk.vote('ana', approval, 'approve');
  }
  const [code] = (await closed) as [number | null];
  assert.equal(code, 0, `${module} ended with ${code}:\n${out}\n${errors}`);
  return out.trim().split('\n');
}
