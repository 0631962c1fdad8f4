// Loaded into a broker by a test: at a signal it throws what nobody catches, with every secret that the test has planted.
import { readFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

function breaking() {
  const secrets = JSON.parse(readFileSync(process.env.CANARY_LIST, 'utf8'));
  const error = new Error(`it broke over ${secrets.join(' and ')}`);
  error.sent = { secrets, encoded: secrets.map((each) => Buffer.from(`user:${each}`).toString('base64')) };
  return error;
}

if (isMainThread) {
  process.on('SIGHUP', () => {
    throw breaking();
  });
  process.on('SIGWINCH', () => {
    Promise.reject(breaking());
  });
  if (process.env.CANARY_BREAKS === 'at once') setImmediate(() => process.kill(process.pid, 'SIGHUP'));
}
