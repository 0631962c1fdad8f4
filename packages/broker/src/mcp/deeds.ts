// What this door calls below it: the walk, and the views of tools and calls.
import type { showCall } from '#admin/calls.ts';
import type { passedReads } from '#admin/passed.ts';
import type { findTool, limitsOf, listTools } from '#admin/tools.ts';
import type { askCall, performCall } from '#call/perform-call.ts';

/** The functions of lower floors, as one value, so that the wire can be tested without a store. */
export interface Deeds {
  readonly askCall: typeof askCall;
  readonly performCall: typeof performCall;
  readonly showCall: typeof showCall;
  readonly listTools: typeof listTools;
  readonly findTool: typeof findTool;
  readonly limitsOf: typeof limitsOf;
  readonly passedReads: typeof passedReads;
}
