// What people call an operation of a connector; also what says which binds reach the same one.
import { canonicalize } from '@countersign/contract/canonical.ts';
import { sha256Hex } from '@countersign/contract/digest.ts';
import type { Json, JsonObject } from '@countersign/contract/json.ts';

/** What people call an operation: its id, its tool, its statement; of anything else a digest. */
export function operationName(operation: JsonObject): string {
  const { operation: id, tool, statement, write, module, export: exported = 'run' } = operation;
  if (typeof module === 'string') return `${module}#${String(exported)}`;
  const said = [id, tool, statement, firstStep(write)].find((each) => typeof each === 'string');
  if (said !== undefined) return said as string;
  const [kind] = ['resources', 'prompts', 'completions'].filter((each) => operation[each] !== undefined);
  return kind ?? `operation ${sha256Hex(canonicalize(operation)).slice(0, 12)}`;
}

function firstStep(write: Json | undefined): Json | undefined {
  const [first] = Array.isArray(write) ? (write as readonly Json[]) : [];
  return typeof first === 'object' && first !== null ? (first as JsonObject)['sql'] : first;
}
