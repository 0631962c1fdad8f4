// A handler that tries what it should not be able to do, and says what worked. Attacks of force are one a call.
interface Args {
  readonly attack: string;
  readonly secret: string;
  readonly folder: string;
  readonly port: number;
  readonly broker: number;
}

const connected = (socket: import('node:net').Socket): Promise<boolean> =>
  new Promise((resolve, reject) => {
    socket.on('connect', () => resolve(true)).on('error', reject);
  });

function attacksOf(
  { secret, folder, port, broker }: Args,
  brokerFetch: typeof fetch,
): Record<string, () => unknown> {
  return {
    'read a secret file': async () => (await import('node:fs')).readFileSync(secret, 'utf8'),
    'read the environment of the broker': async () =>
      (await import('node:fs')).readFileSync(`/proc/${broker}/environ`, 'utf8'),
    'read the memory map of the broker': async () =>
      (await import('node:fs')).readFileSync(`/proc/${broker}/maps`, 'utf8'),
    'see the environment of the broker': () => process.env['COUNTERSIGN_TEST_SECRET'],
    'find the credential': async () => {
      const text = JSON.stringify([process.env, process.argv, process.execArgv, Object.keys(globalThis)]);
      return text.includes('credential-of-the-call');
    },
    'write elsewhere': async () => {
      (await import('node:fs')).writeFileSync(`${folder}/planted`, 'x');
      return true;
    },
    connect: async () => connected((await import('node:net')).connect(port, '127.0.0.1')),
    'connect with a raw socket': async () =>
      connected(new (await import('node:net')).Socket().connect(port, '127.0.0.1')),
    'fetch past the broker': async () => (await fetch(`http://127.0.0.1:${port}/`)).status === 200,
    'fetch another host': async () => (await brokerFetch(`http://127.0.0.1:${port}/`)).status === 200,
    listen: async () => {
      const server = (await import('node:net')).createServer();
      return new Promise((resolve, reject) => {
        server.on('error', reject).listen(0, '0.0.0.0', () => server.close(() => resolve(true)));
      });
    },
    'start a child': async () =>
      (await import('node:child_process')).execFileSync('/usr/bin/env', ['id']).length > 0,
    'signal the broker': () => process.kill(broker, 0),
    'read through a database': async () => {
      const { DatabaseSync } = await import('node:sqlite');
      new DatabaseSync(`${folder}/planted.db`).exec('create table t(a)');
      return true;
    },
  };
}

async function worksInTime(attack: () => unknown): Promise<boolean> {
  const late = new Promise((resolve) => setTimeout(() => resolve(null), 1_500).unref());
  try {
    return Boolean(await Promise.race([attack(), late]));
  } catch {
    return false;
  }
}

const FORCE: Record<string, () => unknown> = {
  'fill the heap': () => {
    const kept: unknown[] = [];
    for (let i = 0; i < 1_500_000; i++) kept.push({ i, text: `text ${i}` });
    return kept.length;
  },
  'fill buffers': () => {
    const kept: Buffer[] = [];
    for (let i = 0; i < 40; i++) kept.push(Buffer.alloc(10_000_000, 1));
    return kept.length;
  },
  'fill output': () => 'x'.repeat(1_000_000),
  'write garbage': async () => {
    (await import('node:fs')).writeSync(1, 'not an answer\n');
    return new Promise(() => setInterval(() => undefined, 1_000));
  },
  'burn the processor': () => {
    // Processor time, not time: a busy machine gives less of it.
    for (let used = 0; used < 3_000_000; ) {
      const { user, system } = process.cpuUsage();
      used = user + system;
    }
    return 'burnt';
  },
  nothing: () => 'done',
};

export async function run(args: Args, ctx: { fetch: typeof fetch }): Promise<unknown> {
  const force = FORCE[args.attack];
  if (force !== undefined) return force();
  const worked: Record<string, boolean> = {};
  for (const [name, attack] of Object.entries(attacksOf(args, ctx.fetch)))
    worked[name] = await worksInTime(attack);
  return worked;
}
