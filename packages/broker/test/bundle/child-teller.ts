// Loads the bundle in the folder that it is given and prints what is told of it: run by tests as another user.
import { loadBundle } from '../../src/bundle/compile-bundle.ts';
import { toldBy } from './edit-bundle.ts';

process.stdout.write(`${toldBy(await loadBundle(process.argv[2]!)).join('\n')}\n`);
