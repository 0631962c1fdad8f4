// Runs the simulation against every planted bug, each in a process of its own, and once against none.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { mutants } from './mutants.ts';

const { values } = parseArgs({
  options: {
    /** Seeds within which every bug is to be found; the control runs a quarter of them. */
    seeds: { type: 'string', default: '1500' },
    only: { type: 'string', default: '' },
    /** Number of the first one, to go on where an earlier run was ended. */
    first: { type: 'string', default: '1' },
  },
});

const run = join(import.meta.dirname, 'run.ts');
const plant = pathToFileURL(join(import.meta.dirname, 'plant-mutant.ts')).href;
const wanted = mutants.slice(Number(values.first) - 1).filter(({ name }) => name.includes(values.only));
const escaped: string[] = [];

function simulate(name: string | null, seeds: number): { status: number | null; said: string } {
  const imported = name === null ? [] : ['--import', plant];
  const arguments_ = [...imported, run, '--seeds', String(seeds), '--most', '1', '--trace', '0'];
  const { status, stdout, stderr } = spawnSync(process.execPath, arguments_, {
    encoding: 'utf8',
    env: { ...process.env, ...(name === null ? {} : { SIMULATED_MUTANT: name }) },
  });
  return { status, said: stdout === '' ? stderr : stdout };
}

for (const { name } of wanted) {
  const { status, said } = simulate(name, Number(values.seeds));
  const why = /^seed \d+: .*$/m.exec(said)?.[0];
  console.log(`${why === undefined ? 'ESCAPED' : 'caught '}  ${name}\n         ${why ?? said.trim()}`);
  if (status !== 1 || why === undefined) escaped.push(name);
}
const control = simulate(null, Math.ceil(Number(values.seeds) / 4));
console.log(`control: ${control.said.trim()}`);
console.log(`${wanted.length - escaped.length} of ${wanted.length} caught`);
process.exitCode = escaped.length === 0 && control.status === 0 ? 0 : 1;
