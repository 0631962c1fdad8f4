// Compiles the literals of Cedar's JSON policy format: values and `like` patterns.
import { callExtension, extensionFunctions } from './cedar-extension.ts';
import type { LikePattern } from './cedar-like.ts';
import { matchesLike } from './cedar-like.ts';
import { longOfBigint } from './cedar-long.ts';
import { CedarUnsupported, entityIn, fieldsOf, nameOf, soleKey } from './cedar-node.ts';
import type { Value } from './cedar-value.ts';
import { asString, EntityRef } from './cedar-value.ts';
import { UNKNOWN } from './decision.ts';

/**
 * The value of a literal. An integer that a double does not hold exactly was rounded when the engine printed
 * it, so it is refused here and the official engine judges the policy from its text; a bigint is exact.
 * @throws CedarUnsupported, or CedarError where an extension constructor refuses its text.
 */
export function compileLiteral(json: unknown): Value {
  if (typeof json === 'boolean' || typeof json === 'string') return json;
  if (typeof json === 'number' && Number.isSafeInteger(json)) return json + 0;
  if (typeof json === 'bigint') {
    const long = longOfBigint(json);
    if (long !== undefined) return long;
  }
  if (Array.isArray(json)) return json.map(compileLiteral);
  if (typeof json === 'object' && json !== null) return compileObject(json);
  throw new CedarUnsupported(`the literal ${String(json)}`);
}

function compileObject(json: object): Value {
  if (Object.hasOwn(json, '__entity')) {
    soleKey(json, 'an entity literal');
    const { type, id } = entityIn(json);
    return new EntityRef(type, id);
  }
  if (Object.hasOwn(json, '__extn')) {
    soleKey(json, 'an extension literal');
    const { fn, arg, args } = fieldsOf((json as { __extn: unknown }).__extn, ['fn'], ['arg', 'args']);
    const name = nameOf(fn);
    if (!extensionFunctions.has(name)) throw new CedarUnsupported(`the extension function \`${name}\``);
    if ((arg === undefined) === (args === undefined) || (args !== undefined && !Array.isArray(args))) {
      throw new CedarUnsupported('an extension literal without exactly one of arg and args');
    }
    return callExtension(name, (Array.isArray(args) ? args : [arg]).map(compileLiteral));
  }
  const record: Record<string, Value> = Object.create(null);
  for (const [name, value] of Object.entries(json)) record[name] = compileLiteral(value);
  return record;
}

/** Compiles a pattern to a test; errs like Cedar on what is no string. */
export function compileLike(json: unknown): (value: Value) => boolean | typeof UNKNOWN {
  if (!Array.isArray(json)) throw new CedarUnsupported('a pattern that is no list');
  const texts = [''];
  for (const element of json) {
    if (element === 'Wildcard') {
      texts.push('');
      continue;
    }
    const { Literal } = fieldsOf(element, ['Literal']);
    texts[texts.length - 1] += nameOf(Literal);
  }
  const pattern: LikePattern = texts;
  return (value) => (value === UNKNOWN ? UNKNOWN : matchesLike(asString(value), pattern));
}
