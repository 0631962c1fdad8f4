// Says whether two paths touch, as the file system resolves them: links and missing folders included.
import { realpathSync } from 'node:fs';
import { basename, dirname, join, sep } from 'node:path';

/** The real path of a file or folder; of what does not exist yet, the real path of where it would be. */
export function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(realPath(parent), basename(path));
  }
}

/** True when one path is the other or lies in it. Both are real paths. */
export function overlaps(a: string, b: string): boolean {
  return a === b || a.startsWith(withSlash(b)) || b.startsWith(withSlash(a));
}

function withSlash(path: string): string {
  return path.endsWith(sep) ? path : path + sep;
}

/** A path that no connector may reach. */
export interface Protected {
  /** Real path. */
  readonly path: string;
  readonly what: string;
}
