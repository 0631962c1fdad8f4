// Prints the story and holds it to its word: a step that differs ends the demo with an error.
import assert from 'node:assert/strict';

let number = 0;

export function step(title: string): void {
  number += 1;
  console.log(`\n${number}  ${title}`);
}

export function say(text: string): void {
  console.log(`   ${text}`);
}

/** What was tried, what came of it, and why, in columns. */
export function row(what: string, outcome: string, why = ''): void {
  say(`${what.padEnd(36)} ${outcome.padEnd(20)} ${why}`.trimEnd());
}

export function expect(actual: unknown, expected: unknown, what: string): void {
  assert.deepEqual(
    actual,
    expected,
    `${what}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`,
  );
}
