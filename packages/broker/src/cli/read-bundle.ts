// Reads a bundle folder with everything that can be known before serving: also what each connector kind says.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Loaded } from '#bundle/bundle.ts';
import { type LoadOptions, loadBundle } from '#bundle/compile-bundle.ts';
import { checkSqlOperation, paramsOf } from '#connectors/sql/check-sql-operation.ts';

/** Loads the bundle in a folder. `now_ms` dates waivers. Used by every command and by the broker itself. */
export function readBundle(dir: string, now_ms: number): Promise<Loaded> {
  return loadBundle(dir, { now_ms, checkOperation });
}

const checkOperation: NonNullable<LoadOptions['checkOperation']> = (kind, operation, inputs) =>
  kind === 'sql' ? sqlMistakes(operation, inputs) : [];

/** `call` is always there: the connector fills it with the id of the call. */
function sqlMistakes(operation: JsonObject, inputs: readonly string[]): string[] {
  const mistakes = checkSqlOperation(operation);
  if (mistakes.length > 0) return mistakes;
  const params = paramsOf(operation);
  const missing = [...params].filter((name) => name !== 'call' && !inputs.includes(name));
  const unused = inputs.filter((name) => !params.has(name));
  return [
    ...missing.map((name) => `the SQL reads :${name}, which params does not give`),
    ...unused.map((name) => `params gives "${name}", which the SQL does not read`),
  ];
}
