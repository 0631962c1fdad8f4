// Runs inside the isolated process: takes one call from standard input, runs the handler, answers on standard output.
import { Console } from 'node:console';
import { registerHooks } from 'node:module';
import { createInterface } from 'node:readline';

const MAIN = 'countersign:handler';
const write = process.stdout.write.bind(process.stdout);
const say = (message) => write(`${JSON.stringify(message)}\n`);

// Standard output is the line to the broker; what a handler prints goes beside it.
globalThis.console = new Console(process.stderr, process.stderr);
process.stdout.write = process.stderr.write.bind(process.stderr);

const waiting = new Map();
let fetches = 0;

/** Like the web's fetch, carried out by the broker: listed hosts only, redirects answered and not followed. */
async function brokerFetch(input, init) {
  const request = new Request(input, init);
  const body = request.body === null ? null : Buffer.from(await request.arrayBuffer()).toString('base64');
  const id = ++fetches;
  const answer = new Promise((resolve) => waiting.set(id, resolve));
  say({ fetch: { id, url: request.url, method: request.method, headers: [...request.headers], body } });
  const { error, status, headers, body: text } = await answer;
  if (error !== undefined) throw new TypeError(error);
  const empty = status === 204 || status === 205 || status === 304;
  return new Response(empty ? null : Buffer.from(text, 'base64'), { status, headers });
}

/** Thrown by `reject`: the handler says that nothing was done. */
class Rejected extends Error {}

async function run({ source, name, args, call_id, mode }) {
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier === MAIN) return { url: MAIN, format: 'module-typescript', shortCircuit: true };
      if (specifier.startsWith('node:')) return next(specifier, context);
      throw new Error(`a handler is one file and imports only node: modules, not "${specifier}"`);
    },
    load: (url, context, next) =>
      url === MAIN ? { format: 'module-typescript', source, shortCircuit: true } : next(url, context),
  });
  const handler = (await import(MAIN))[name];
  if (typeof handler !== 'function') throw new Error(`the module exports no function "${name}"`);
  const reject = (reason) => {
    throw new Rejected(String(reason));
  };
  return (await handler(args, { call_id, mode, fetch: brokerFetch, reject })) ?? null;
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const message = JSON.parse(line);
  if (message.fetched !== undefined) {
    waiting.get(message.fetched.id)?.(message.fetched);
    waiting.delete(message.fetched.id);
    return;
  }
  run(message.run).then(
    (response) => say({ ok: response }),
    (error) =>
      say(
        error instanceof Rejected ? { rejected: error.message } : { failed: String(error?.message ?? error) },
      ),
  );
});
