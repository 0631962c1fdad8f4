// A program to be isolated, after its paths were resolved, and what it may reach.

export interface ResolvedProgram {
  readonly command: string;
  readonly isNode: boolean;
  readonly args: readonly string[];
  /** Files and folders of the program's own code, to be readable. */
  readonly code: readonly string[];
}

export interface Reach {
  readonly read: readonly string[];
  readonly write: readonly string[];
}
