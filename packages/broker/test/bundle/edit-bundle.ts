// The fixture bundle in memory, with edits: what the tests of this folder load.
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Loaded } from '../../src/bundle/bundle.ts';
import { compileBundle, type LoadOptions } from '../../src/bundle/compile-bundle.ts';
import { formatMistake, Mistakes } from '../../src/bundle/mistake.ts';
import { readFiles } from '../../src/bundle/read-files.ts';

export const FIXTURE = realpathSync(fileURLToPath(new URL('../fixtures/bundle', import.meta.url)));

/** A file's new text, null to remove it, or pairs of what to replace by what. */
export type Edit = string | null | readonly (readonly [from: string, to: string])[];

export async function fixtureTexts(): Promise<Map<string, string>> {
  const read = await readFiles(FIXTURE, new Mistakes());
  if (read === null) throw new Error('the fixture bundle cannot be read');
  return new Map(read.texts);
}

export function edited(
  texts: ReadonlyMap<string, string>,
  edits: Readonly<Record<string, Edit>>,
): Map<string, string> {
  const out = new Map(texts);
  for (const [file, edit] of Object.entries(edits)) {
    if (edit === null) out.delete(file);
    else if (typeof edit === 'string') out.set(file, edit);
    else {
      for (const [from, to] of edit) {
        const text = out.get(file) ?? '';
        if (!text.includes(from)) throw new Error(`${file} does not hold ${from}`);
        out.set(
          file,
          text.replace(from, () => to),
        );
      }
    }
  }
  return out;
}

export function loadTexts(texts: ReadonlyMap<string, string>, options: LoadOptions = {}): Loaded {
  return compileBundle(FIXTURE, texts, options);
}

/** Every mistake, or every warning of a bundle that loads, as people read them. */
export function toldBy(loaded: Loaded): string[] {
  return (loaded.ok ? loaded.warnings : loaded.mistakes).map(formatMistake);
}
