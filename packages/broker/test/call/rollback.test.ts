// A store that was rolled back to an older copy is not served to whoever kept a newer checkpoint.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runProgram } from '#cli/program.ts';
import { startBroker } from '../../src/main.ts';
import { startDesk } from './desk.ts';

test('a store behind a checkpoint that somebody holds is not served', async (t) => {
  const desk = await startDesk();
  t.after(() => {
    desk.db.close();
    rmSync(desk.root, { recursive: true, force: true });
  });
  const data = join(desk.root, 'data');
  const copy = join(desk.root, 'copy');
  const copyAll = (from: string, to: string): void => {
    rmSync(to, { recursive: true, force: true });
    mkdirSync(join(to, 'keys'), { recursive: true, mode: 0o700 });
    for (const name of readdirSync(from).filter((each) => each.startsWith('countersign.db')))
      copyFileSync(join(from, name), join(to, name));
    for (const name of readdirSync(join(from, 'keys')))
      copyFileSync(join(from, 'keys', name), join(to, 'keys', name));
  };
  await desk.call('bot', 'read_note', { note: 'N-2' });
  await desk.restart();
  copyAll(data, copy);
  await desk.call('bot', 'read_note', { note: 'N-2' });
  const held = (await desk.send('ben', 'GET', '/v1/ledger/checkpoint')).body;
  await desk.broker.close();
  const file = join(desk.root, 'held.json');
  writeFileSync(file, JSON.stringify(held));

  const said: string[] = [];
  const terminal = {
    out: (text: string) => said.push(text),
    err: (text: string) => said.push(text),
    ask: async () => null,
    input: async () => '',
  };
  const serve = async (): Promise<string> => {
    said.length = 0;
    const code = await runProgram(
      [
        'serve',
        '--bundle',
        join(desk.root, 'bundle'),
        '--port',
        '0',
        '--log-level',
        'silent',
        '--checkpoint',
        file,
      ],
      {
        terminal,
        environment: {},
        serve: async (options) => {
          await (await startBroker(options)).close();
          said.push('served');
        },
      },
    );
    return `${code} ${said.join()}`;
  };
  assert.equal(await serve(), '0 served', 'control: the store as it was left');
  copyAll(copy, data);
  assert.match(await serve(), /^1 not started: .*does not lead to a held checkpoint.*rolled back/);
});
