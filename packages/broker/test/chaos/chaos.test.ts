// The short form of `npm run chaos`: a broker killed under load, what must hold afterwards, and that it can fail.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { whyNoPostgres } from '../connectors/sql-postgres-server.ts';
import { runChaos } from './chaos.ts';

const skip = whyNoPostgres() ?? false;
const SHORT = { callers: 9, serves_most_ms: 800, recovers_most_ms: 8_000 } as const;

test('a broker killed under load in front of failing upstreams does nothing twice and loses nothing', {
  skip,
}, async () => {
  const report = await runChaos({ ...SHORT, seed: 7, kills: 10, fault_rate: 0.25 });
  assert.deepEqual(report.violations, [], `seed ${report.seed}, store in ${report.root}`);
  assert.ok(report.deeds.length > 0, 'control: something was done');
  rmSync(report.root, { recursive: true, force: true });
});

test('control: where the idempotency key gets lost and requests arrive twice, the deeds done twice are found', {
  skip,
}, async () => {
  const stripe = { rate: 1, odds: { 'duplicate delivery': 1 }, strip: ['idempotency-key'] };
  const report = await runChaos({ ...SHORT, seed: 7, kills: 0, fault_rate: 0, calms: false, stripe });
  assert.match(report.violations.join('\n'), /done twice: stripe did call_\w+ 2 times/);
  rmSync(report.root, { recursive: true, force: true });
});
