// Loaded before everything else in a process of its own: changes the source of the broker as one mutant says.
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { mutants } from './mutants.ts';

const name = process.env['SIMULATED_MUTANT'];
const planted = mutants.find((each) => each.name === name);
if (planted === undefined) throw new Error(`there is no mutant "${name}"`);

const source = join(import.meta.dirname, '../../src');
const changed = new Map<string, string>();
for (const { file, find, replace } of planted.edits) {
  const url = pathToFileURL(join(source, file)).href;
  const text = changed.get(url) ?? readFileSync(join(source, file), 'utf8');
  const found = text.split(find).length - 1;
  if (found !== 1) throw new Error(`"${find}" occurs ${found} times in ${file}`);
  changed.set(
    url,
    text.replace(find, () => replace),
  );
}

registerHooks({
  load(url, context, nextLoad) {
    const text = changed.get(url);
    return text === undefined
      ? nextLoad(url, context)
      : { format: 'module-typescript', source: text, shortCircuit: true };
  },
});
