// Reads a whole bundle before files of it are changed, and writes each change all or nothing.
import { renameSync, writeFileSync } from 'node:fs';
import { Mistakes } from '#bundle/mistake.ts';
import { readFiles } from '#bundle/read-files.ts';
import { CliFailure, EXIT } from './exit.ts';
import { mistakeLine } from './mistakes.ts';
import { judgeTexts } from './read-bundle.ts';

export interface WholeBundle {
  /** Real path of the folder. */
  readonly root: string;
  readonly texts: Map<string, string>;
}

/** Throws CliFailure where the bundle has mistakes: nobody should change what is broken already. `before`: what. */
export async function readWhole(dir: string, now_ms: number, before: string): Promise<WholeBundle> {
  const mistakes = new Mistakes();
  const read = await readFiles(dir, mistakes);
  const loaded = read === null ? null : judgeTexts(read.root, read.texts, now_ms);
  if (read !== null && loaded?.ok === true && !mistakes.hasErrors)
    return { root: read.root, texts: new Map(read.texts) };
  const all = [...mistakes.all(), ...(loaded?.ok === false ? loaded.mistakes : [])];
  throw new CliFailure(
    EXIT.no,
    `${all.map(mistakeLine).join('\n')}\nThe bundle has mistakes; mend them before ${before}.`,
  );
}

/** A file that was cut in half would be a broken bundle. */
export function replaceFile(path: string, text: string): void {
  const draft = `${path.slice(0, path.lastIndexOf('/'))}/.${path.slice(path.lastIndexOf('/') + 1)}.new`;
  writeFileSync(draft, text);
  renameSync(draft, path);
}
