// Checkpoints that people keep outside the broker: the file that `ledger checkpoint` writes.
import { readFileSync } from 'node:fs';
import { isJsonObject, type Json } from '@countersign/contract/json.ts';
import { CliFailure, EXIT } from './exit.ts';

export interface HeldCheckpoint {
  readonly log: string;
  /** Signed note. */
  readonly checkpoint: string;
  readonly vkey: string;
}

/** Throws CliFailure with what is wrong with the file. */
export function readHeld(file: string): HeldCheckpoint {
  const value = readJson<Json>(file);
  if (isJsonObject(value)) {
    const { log, checkpoint, vkey } = value;
    if (typeof log === 'string' && typeof checkpoint === 'string' && typeof vkey === 'string')
      return { log, checkpoint, vkey };
  }
  throw new CliFailure(EXIT.usage, `${file} is not a checkpoint as \`ledger checkpoint --out\` writes it`);
}

export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw new CliFailure(EXIT.usage, `cannot read ${file}`);
  }
}

export function readJson<Shape>(file: string): Shape {
  const text = readText(file);
  try {
    return JSON.parse(text) as Shape;
  } catch {
    throw new CliFailure(EXIT.usage, `${file} is not JSON`);
  }
}

/** For options that may be given several times. */
export function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}
