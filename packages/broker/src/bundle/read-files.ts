// Reads the files of a bundle folder, and only what lies in it: no links out of it, nothing beyond the limits.
import type { Stats } from 'node:fs';
import { lstat, readdir, readFile, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { hintFor, type Mistakes } from './mistake.ts';

export const FOLDERS = [
  'agents',
  'orchestrators',
  'people',
  'connectors',
  'tools',
  'policies',
  'tests',
  'keys',
  'specs',
  'handlers',
] as const;
/** Where files are not YAML. */
const ENDINGS: Readonly<Record<string, { readonly ending: RegExp; readonly kind: string }>> = {
  policies: { ending: /\.cedar$/, kind: '.cedar' },
  keys: { ending: /\.(jwk|json)$/, kind: '.jwk' },
  specs: { ending: /\.json$/, kind: '.json' },
  handlers: { ending: /\.ts$/, kind: '.ts' },
};
const FILE_BYTES_MAX = 1_048_576;
const FILES_MAX = 2_000;
const DEPTH_MAX = 6;
const TOP = { line: 1, column: 1 };

/** Path relative to the folder (with `/`) → text, for every file that is part of the bundle. */
export type FileTexts = ReadonlyMap<string, string>;

/** `root` is the real path of the folder; null when it cannot be read. */
export async function readFiles(
  dir: string,
  mistakes: Mistakes,
): Promise<{ readonly root: string; readonly texts: FileTexts } | null> {
  let root: string;
  try {
    root = await realpath(dir);
    if (!(await lstat(root)).isDirectory()) throw new Error('not a folder');
  } catch {
    mistakes.error('.', TOP, `the bundle folder ${dir} cannot be read`);
    return null;
  }
  const texts = new Map<string, string>();
  await readFolder(root, '', 0, texts, mistakes);
  return { root, texts };
}

async function readFolder(
  root: string,
  folder: string,
  depth: number,
  texts: Map<string, string>,
  mistakes: Mistakes,
): Promise<void> {
  const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(() => null);
  if (entries === null) {
    mistakes.error(folder === '' ? '.' : folder, TOP, 'the folder cannot be read');
    return;
  }
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.name.startsWith('.')) {
      if (/\.(ya?ml|cedar)$/.test(entry.name)) mistakes.error(path, TOP, 'hidden files are not read');
      continue;
    }
    if (entry.isSymbolicLink() && !(await staysInside(root, path))) {
      mistakes.error(
        path,
        TOP,
        'the link leads out of the bundle folder',
        'keep the file itself in the bundle',
      );
      continue;
    }
    const stat = await lstatOf(join(root, path));
    if (stat === null) mistakes.error(path, TOP, 'the file cannot be read');
    else if (stat.isDirectory()) {
      if (entry.isSymbolicLink()) mistakes.error(path, TOP, 'folders may not be links');
      else if (depth >= DEPTH_MAX) mistakes.error(path, TOP, `folders are deeper than ${DEPTH_MAX}`);
      else await readFolder(root, path, depth + 1, texts, mistakes);
    } else if (stat.isFile()) {
      if (!belongs(path, mistakes)) continue;
      if (stat.size > FILE_BYTES_MAX)
        mistakes.error(path, TOP, `the file is larger than ${FILE_BYTES_MAX} bytes`);
      else if (texts.size >= FILES_MAX)
        mistakes.error(path, TOP, `the bundle has more than ${FILES_MAX} files`);
      else await readText(root, path, texts, mistakes);
    } else mistakes.error(path, TOP, 'neither a file nor a folder');
  }
}

/** Of what a link leads to; null for what went away or may not be looked at. */
async function lstatOf(path: string): Promise<Stats | null> {
  try {
    return await lstat(await realpath(path));
  } catch {
    return null;
  }
}

async function staysInside(root: string, path: string): Promise<boolean> {
  try {
    return (await realpath(join(root, path))).startsWith(root + sep);
  } catch {
    return false;
  }
}

async function readText(
  root: string,
  path: string,
  texts: Map<string, string>,
  mistakes: Mistakes,
): Promise<void> {
  const bytes = await readFile(join(root, path)).catch(() => null);
  if (bytes === null) {
    mistakes.error(path, TOP, 'the file cannot be read');
    return;
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    texts.set(path, text.replaceAll('\r\n', '\n'));
  } catch {
    mistakes.error(path, TOP, 'the file is not UTF-8');
  }
}

// A file that nobody reads is a policy that somebody believes in: everything must have a place.
function belongs(path: string, mistakes: Mistakes): boolean {
  if (/\.(md|txt|cedarschema)$/.test(path)) return false;
  if (path === 'countersign.yaml') return true;
  const slash = path.indexOf('/');
  const folder = slash < 0 ? '' : path.slice(0, slash);
  if ((FOLDERS as readonly string[]).includes(folder)) {
    const { ending, kind } = ENDINGS[folder] ?? { ending: /\.yaml$/, kind: '.yaml' };
    if (ending.test(path)) return true;
    mistakes.error(path, TOP, `not a file of ${folder}/`, `files there end in ${kind}`);
    return false;
  }
  const hint = folder === '' ? hintFor(path, ['countersign.yaml']) : hintFor(folder, FOLDERS);
  mistakes.error(path, TOP, 'not a file of a bundle', hint);
  return false;
}
