// Says what is wrong with an SQL operation of a manifest before it ever runs.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import { readSqlText } from './sql-text.ts';

export interface SqlRead {
  readonly statement: string;
  readonly rows: 'one' | 'optional' | 'many';
}

/** One statement of a write; with `changes`, the transaction is rolled back unless exactly that many rows changed. */
export type SqlStep = string | { readonly sql: string; readonly changes: number };

export interface SqlWrite {
  readonly write: readonly SqlStep[];
  /** A read after the statements, in the same transaction; its one row is the response. */
  readonly returning?: string;
}

/** The table that makes a call happen once; only the connector touches it. */
export const CALLS_TABLE = 'countersign_calls';

const READ_VERBS = ['select', 'with', 'values'];
const WRITE_VERBS = ['insert', 'update', 'delete', 'replace', 'with'];
/** Reach outside the database or into its settings; as names anywhere, since none is a plausible column. */
const FORBIDDEN = [
  'attach',
  'detach',
  'pragma',
  'vacuum',
  'load_extension',
  'readfile',
  'writefile',
  'fts3_tokenizer',
  CALLS_TABLE,
];
const MOST_STEPS = 20;

/** All mistakes, each a sentence; empty when the operation may run. */
export function checkSqlOperation(operation: JsonObject): string[] {
  if ('statement' in operation === 'write' in operation)
    return ['expected either {statement, rows} (a read) or {write, returning} (a write)'];
  return 'statement' in operation ? checkRead(operation) : checkWrite(operation);
}

/** Names of the parameters that an operation reads, `call` included when used. Expects a checked operation. */
export function paramsOf(operation: JsonObject): ReadonlySet<string> {
  const texts = isRead(operation) ? [operation.statement] : textsOf(operation as unknown as SqlWrite);
  return new Set(texts.flatMap((text) => [...readSqlText(text).params]));
}

export function isRead(operation: JsonObject): operation is JsonObject & SqlRead {
  return 'statement' in operation;
}

function textsOf(operation: SqlWrite): string[] {
  const steps = operation.write.map((step) => (typeof step === 'string' ? step : step.sql));
  return operation.returning === undefined ? steps : [...steps, operation.returning];
}

function checkRead(operation: JsonObject): string[] {
  const mistakes = unknownKeys(operation, ['statement', 'rows']);
  const rows = operation['rows'];
  if (rows !== 'one' && rows !== 'optional' && rows !== 'many')
    mistakes.push(`rows must be one, optional or many, got ${JSON.stringify(rows ?? null)}`);
  return [...mistakes, ...checkReadText('statement', operation['statement'])];
}

function checkWrite(operation: JsonObject): string[] {
  const mistakes = unknownKeys(operation, ['write', 'returning']);
  const steps = operation['write'];
  if (!Array.isArray(steps) || steps.length === 0 || steps.length > MOST_STEPS)
    return [...mistakes, `write must be a list of 1 to ${MOST_STEPS} statements`];
  steps.forEach((step: Json, index) => {
    mistakes.push(...checkStep(`write[${index}]`, step));
  });
  if (operation['returning'] !== undefined)
    mistakes.push(...checkReadText('returning', operation['returning']));
  return mistakes;
}

function checkStep(place: string, step: Json): string[] {
  if (!isJsonObject(step)) return checkText(place, step, WRITE_VERBS);
  const mistakes = unknownKeys(step, ['sql', 'changes']).map((mistake) => `${place}: ${mistake}`);
  const changes = step['changes'];
  if (typeof changes !== 'number' || !Number.isInteger(changes) || changes < 0)
    mistakes.push(`${place}: changes must be a whole number of rows`);
  return [...mistakes, ...checkText(place, step['sql'], WRITE_VERBS)];
}

function checkReadText(place: string, text: Json | undefined): string[] {
  const mistakes = checkText(place, text, READ_VERBS);
  if (mistakes.length > 0 || typeof text !== 'string') return mistakes;
  const { verb, names } = readSqlText(text);
  // `with ... delete` is a write that begins like a read.
  const hidden = verb === 'with' ? ['insert', 'update', 'delete'].find((word) => names.has(word)) : undefined;
  return hidden === undefined ? [] : [`${place}: a read must not ${hidden}`];
}

function checkText(place: string, text: Json | undefined, verbs: readonly string[]): string[] {
  if (typeof text !== 'string') return [`${place}: expected SQL text`];
  const sql = readSqlText(text);
  const mistakes = sql.mistakes.map((mistake) => `${place}: ${mistake}`);
  if (sql.statements !== 1) mistakes.push(`${place}: expected exactly one statement, got ${sql.statements}`);
  if (!verbs.includes(sql.verb))
    mistakes.push(`${place}: must begin with ${verbs.join(', ')}, got "${sql.verb}"`);
  for (const name of sql.names)
    if (FORBIDDEN.includes(name) || name.startsWith('pragma_'))
      mistakes.push(`${place}: "${name}" is not allowed`);
  return mistakes;
}

function unknownKeys(value: JsonObject, keys: readonly string[]): string[] {
  const unknown = Object.keys(value).filter((key) => !keys.includes(key));
  return unknown.map((key) => `unknown key "${key}"; expected ${keys.join(', ')}`);
}
