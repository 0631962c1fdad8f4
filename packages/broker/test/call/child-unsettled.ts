// A broker of its own that never records the outcome of an undo: to be killed after the deed and before its mark.
import { startBroker } from '../../src/main.ts';

const [bundle = '', port = ''] = process.argv.slice(2);
const { world, url } = await startBroker({ bundle, port: Number(port), log_level: 'silent' });
const store = world.store as { perform: typeof world.store.perform };
const perform = store.perform.bind(world.store);
store.perform = (unit, input) =>
  unit === 'settleCall' && 'undone' in input ? new Promise<never>(() => undefined) : perform(unit, input);
process.stdout.write(`${url}\n`);
