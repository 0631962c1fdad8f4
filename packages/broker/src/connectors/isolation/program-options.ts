// Reads the parts that every connector file with a program of its own shares: environment, isolation, limits.
import { isJsonObject, type Json } from '@countersign/contract/json.ts';
import type { Isolation } from '../isolation.ts';

/** These make a program load code or options before its own: they would undo the isolation. */
const LOADER_VARIABLE = /^(NODE_OPTIONS|NODE_PATH|LD_.*|DYLD_.*|BASH_ENV|ENV)$/;

/** Literal variables, or what is wrong with them. */
export function readEnv(value: Json | undefined): Readonly<Record<string, string>> | string {
  if (value === undefined) return {};
  if (!isJsonObject(value)) return 'env must be an object';
  for (const [key, text] of Object.entries(value)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(key))
      return `env name ${JSON.stringify(key)} is not a variable name`;
    if (typeof text !== 'string' || text.includes('\0')) return `env ${key} must be a text`;
    if (LOADER_VARIABLE.test(key)) return `env ${key} is not allowed`;
  }
  return value as Readonly<Record<string, string>>;
}

/** `kinds`: those that this connector offers. */
export function readIsolationOf(
  value: Json | undefined,
  kinds: readonly Isolation['kind'][],
): Isolation | string {
  const isolation = value ?? { kind: kinds[0] ?? 'auto' };
  if (!isJsonObject(isolation)) return 'isolation must be an object';
  const { kind = kinds[0], read = [], write = [], reason, ...rest } = isolation;
  const unknown = Object.keys(rest)[0];
  if (unknown !== undefined)
    return `unknown key "${unknown}" in isolation; expected kind, read, write, reason`;
  if (!kinds.includes(kind as Isolation['kind'])) return `isolation kind must be ${kinds.join(', ')}`;
  if (kind === 'none')
    return typeof reason === 'string' && reason.trim() !== ''
      ? { kind, reason }
      : 'isolation none needs a reason';
  if (!isTexts(read) || !isTexts(write)) return 'isolation read and write must be lists of paths';
  return { kind: kind as 'bwrap' | 'node-permission' | 'auto', read, write };
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
