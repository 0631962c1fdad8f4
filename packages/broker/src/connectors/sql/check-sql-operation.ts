// Says what is wrong with an SQL operation of a manifest before it ever runs.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import { readPostgresText } from './postgres-text.ts';
import { readSqlText, type SqlText } from './sql-text.ts';

export type SqlEngine = 'sqlite' | 'postgres';

export interface SqlRead {
  /** PostgreSQL only: whose rights the statement has. */
  readonly role?: string;
  readonly statement: string;
  readonly rows: 'one' | 'optional' | 'many';
}

/** One statement of a write; with `changes`, the transaction is rolled back unless exactly that many rows changed. */
export type SqlStep = string | { readonly sql: string; readonly changes: number };

export interface SqlWrite {
  /** PostgreSQL only: whose rights the statements have. */
  readonly role?: string;
  readonly write: readonly SqlStep[];
  /** A read after the statements, in the same transaction; its one row is the response. */
  readonly returning?: string;
}

/** The table that makes a call happen once; only the connector touches it. */
export const CALLS_TABLE = 'countersign_calls';

interface Dialect {
  readonly read: (text: string) => SqlText;
  readonly writeVerbs: readonly string[];
  /** Keys beside those of the operation's shape. */
  readonly keys: readonly string[];
  /** Reach outside the database or into its settings; as names anywhere, since none is a plausible column. */
  readonly forbidden: RegExp;
}

const READ_VERBS = ['select', 'with', 'values'];
const DIALECTS: Readonly<Record<SqlEngine, Dialect>> = {
  sqlite: {
    read: readSqlText,
    writeVerbs: ['insert', 'update', 'delete', 'replace', 'with'],
    keys: [],
    forbidden:
      /^(attach|detach|pragma|pragma_.*|vacuum|load_extension|readfile|writefile|fts3_tokenizer|countersign_calls)$/,
  },
  // Functions that read or write files, run text as SQL, or reach settings, other sessions or other servers.
  postgres: {
    read: readPostgresText,
    writeVerbs: ['insert', 'update', 'delete', 'merge', 'with'],
    keys: ['role'],
    forbidden:
      /^(set_config|pg_read_.*|pg_ls_.*|pg_stat_file|pg_file_.*|lo_(import|export|get|put|open|creat|create|unlink|from_bytea)|loread|lowrite|dblink.*|pg_terminate_backend|pg_cancel_backend|pg_reload_conf|pg_rotate_logfile|pg_logical_.*|pg_notify|pg_export_snapshot|pg_(try_)?advisory_.*|(query|table|cursor|schema|database)_to_xml.*|ts_stat|countersign_calls)$/,
  },
};
/** A role as it may stand in a manifest; narrower than what PostgreSQL allows, so that it never needs quoting. */
const ROLE = /^[a-z_][a-z0-9_]{0,62}$/;
const MOST_STEPS = 20;

/** All mistakes, each a sentence; empty when the operation may run. */
export function checkSqlOperation(operation: JsonObject, engine: SqlEngine = 'sqlite'): string[] {
  const dialect = DIALECTS[engine];
  if ('statement' in operation === 'write' in operation)
    return ['expected either {statement, rows} (a read) or {write, returning} (a write)'];
  const mistakes = 'statement' in operation ? checkRead(operation, dialect) : checkWrite(operation, dialect);
  return engine === 'postgres' ? [...mistakes, ...checkRole(operation['role'])] : mistakes;
}

/** The login has no rights of its own, so without a role a statement could do nothing. */
function checkRole(role: Json | undefined): string[] {
  if (typeof role !== 'string' || !ROLE.test(role))
    return [
      `role must name the PostgreSQL role of the tool (${ROLE.source}), got ${JSON.stringify(role ?? null)}`,
    ];
  return role === 'none' || role.startsWith('pg_') ? [`role "${role}" is not a role of a tool`] : [];
}

/** Names of the parameters that an operation reads, `call` included when used. Expects a checked operation. */
export function paramsOf(operation: JsonObject, engine: SqlEngine = 'sqlite'): ReadonlySet<string> {
  const texts = isRead(operation) ? [operation.statement] : textsOf(operation as unknown as SqlWrite);
  return new Set(texts.flatMap((text) => [...DIALECTS[engine].read(text).params]));
}

export function isRead(operation: JsonObject): operation is JsonObject & SqlRead {
  return 'statement' in operation;
}

function textsOf(operation: SqlWrite): string[] {
  const steps = operation.write.map((step) => (typeof step === 'string' ? step : step.sql));
  return operation.returning === undefined ? steps : [...steps, operation.returning];
}

function checkRead(operation: JsonObject, dialect: Dialect): string[] {
  const mistakes = unknownKeys(operation, ['statement', 'rows', ...dialect.keys]);
  const rows = operation['rows'];
  if (rows !== 'one' && rows !== 'optional' && rows !== 'many')
    mistakes.push(`rows must be one, optional or many, got ${JSON.stringify(rows ?? null)}`);
  return [...mistakes, ...checkReadText('statement', operation['statement'], dialect)];
}

function checkWrite(operation: JsonObject, dialect: Dialect): string[] {
  const mistakes = unknownKeys(operation, ['write', 'returning', ...dialect.keys]);
  const steps = operation['write'];
  if (!Array.isArray(steps) || steps.length === 0 || steps.length > MOST_STEPS)
    return [...mistakes, `write must be a list of 1 to ${MOST_STEPS} statements`];
  steps.forEach((step: Json, index) => {
    mistakes.push(...checkStep(`write[${index}]`, step, dialect));
  });
  if (operation['returning'] !== undefined)
    mistakes.push(...checkReadText('returning', operation['returning'], dialect));
  return mistakes;
}

function checkStep(place: string, step: Json, dialect: Dialect): string[] {
  const { writeVerbs } = dialect;
  if (!isJsonObject(step)) return checkText(place, step, writeVerbs, dialect);
  const mistakes = unknownKeys(step, ['sql', 'changes']).map((mistake) => `${place}: ${mistake}`);
  const changes = step['changes'];
  if (typeof changes !== 'number' || !Number.isInteger(changes) || changes < 0)
    mistakes.push(`${place}: changes must be a whole number of rows`);
  return [...mistakes, ...checkText(place, step['sql'], writeVerbs, dialect)];
}

function checkReadText(place: string, text: Json | undefined, dialect: Dialect): string[] {
  const mistakes = checkText(place, text, READ_VERBS, dialect);
  if (mistakes.length > 0 || typeof text !== 'string') return mistakes;
  const { verb, names } = dialect.read(text);
  // `with ... delete` is a write that begins like a read.
  const hidden =
    verb === 'with' ? ['insert', 'update', 'delete', 'merge'].find((word) => names.has(word)) : undefined;
  return hidden === undefined ? [] : [`${place}: a read must not ${hidden}`];
}

function checkText(
  place: string,
  text: Json | undefined,
  verbs: readonly string[],
  dialect: Dialect,
): string[] {
  if (typeof text !== 'string') return [`${place}: expected SQL text`];
  const sql = dialect.read(text);
  const mistakes = sql.mistakes.map((mistake) => `${place}: ${mistake}`);
  if (sql.statements !== 1) mistakes.push(`${place}: expected exactly one statement, got ${sql.statements}`);
  if (!verbs.includes(sql.verb))
    mistakes.push(`${place}: must begin with ${verbs.join(', ')}, got "${sql.verb}"`);
  for (const name of sql.names)
    if (dialect.forbidden.test(name)) mistakes.push(`${place}: "${name}" is not allowed`);
  return mistakes;
}

function unknownKeys(value: JsonObject, keys: readonly string[]): string[] {
  const unknown = Object.keys(value).filter((key) => !keys.includes(key));
  return unknown.map((key) => `unknown key "${key}"; expected ${keys.join(', ')}`);
}
