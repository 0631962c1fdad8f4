// Reads what a tool's filled scope asks for, and refuses what the connector's file does not let tools ask for.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import { MintRefused } from './mint-refused.ts';
import { scopeList } from './oauth/scopes.ts';

/** The filled scope; one that is null, or left out, asks for nothing in particular. */
export function scopeObject(scope: Json): JsonObject {
  if (scope === null) return {};
  if (!isJsonObject(scope)) throw new MintRefused('the scope is not an object');
  return scope;
}

/** `most`: what a tool may name at all, and what is asked for where it names none. */
export function askedScopes({ scopes }: JsonObject, most: readonly string[] | undefined): readonly string[] {
  if (scopes === undefined) return most ?? [];
  const asked = scopeList(scopes);
  if (asked === null || asked.length === 0) throw new MintRefused('the scope names no list of scopes');
  if (most !== undefined && !asked.every((each) => most.includes(each)))
    throw new MintRefused('the scope names scopes that the connector’s file does not list');
  return asked;
}

/** A text of the scope; undefined where it names none. `among`: what it may be; undefined: anything. */
export function askedText(
  scope: JsonObject,
  key: string,
  among: readonly string[] | undefined,
): string | undefined {
  const value = scope[key];
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value === '' || value.length > 500)
    throw new MintRefused(`the scope names no ${key}`);
  if (among !== undefined && !among.includes(value))
    throw new MintRefused(`the scope names a ${key} that the connector’s file does not list`);
  return value;
}

/** RFC 6749 §3.3; undefined where nothing in particular is asked for. */
export function scopeParameter(scopes: readonly string[]): string | undefined {
  return scopes.length === 0 ? undefined : scopes.join(' ');
}
