// Finds the arguments by which a caller chooses where something goes, or passes a language or a request of its own through.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { eachSchema } from '#rules/schema-parts.ts';

export interface Choice {
  readonly pointer: string;
  /** Name of the part. */
  readonly name: string;
  /** The argument that it stands in, as `egress` would list it; null inside `$defs`. */
  readonly argument: string | null;
  readonly kind: 'address' | 'recipient' | 'passthrough';
}

/** Words of a name, as `callbackURL` → `callback_url`. */
const WORDS = /([a-z0-9])([A-Z])/g;
const ADDRESS =
  /(^|_)(urls?|uris?|hrefs?|links?|hosts?|hostnames?|endpoints?|webhooks?|callbacks?|domains?|websites?|(api|request|url)_path)$/;
const RECIPIENT = /^(to|cc|bcc|recipients?|addressees?|(send|mail|forward)_to|notify)$/;
const PASSTHROUGH =
  /(^|_)(sql|graphql|cypher|jql|soql|xpath|statements?|commands?|cmd|shell|scripts?|headers|http_method)$/;
/** Words to search for are short; what is longer may be a query in some language. */
const SEARCH_WORDS_MAX = 200;
const TIMES: readonly (Json | undefined)[] = ['date', 'date-time', 'time', 'duration'];

/** In the order of the schema; parts whose values are listed choose nothing. */
export function choicesOf(input: JsonObject): Choice[] {
  const found: Choice[] = [];
  eachSchema(input, (part, pointer) => {
    if (part.type !== 'string' || part.enum !== undefined || part.const !== undefined) return;
    const names = [...pointer.matchAll(/\/properties\/([^/]+)/g)].map((match) => match[1] ?? '');
    const name = names.at(-1);
    if (name === undefined) return;
    const kind = kindOf(part, name.replace(WORDS, '$1_$2').toLowerCase());
    if (kind === null) return;
    found.push({ pointer, name, argument: pointer.startsWith('/properties/') ? names[0]! : null, kind });
  });
  return found;
}

function kindOf(part: JsonObject, words: string): Choice['kind'] | null {
  const { format } = part;
  const pattern = typeof part.pattern === 'string' ? part.pattern : null;
  if (format === 'uri' || format === 'hostname') return hasFixedHost(pattern) ? null : 'address';
  if (pattern?.includes('://')) return hasFixedHost(pattern) ? null : 'address';
  if (ADDRESS.test(words)) return 'address';
  if (TIMES.includes(format)) return null;
  if (RECIPIENT.test(words)) return pattern === null || pattern.includes('@') ? 'recipient' : null;
  if (pattern !== null) return null;
  const query = /(^|_)query$/.test(words) && Number(part.maxLength ?? 0) > SEARCH_WORDS_MAX;
  return PASSTHROUGH.test(words) || query ? 'passthrough' : null;
}

/** `^https://api\.example\.com/…`: the caller chooses a page of a host that the author chose. */
function hasFixedHost(pattern: string | null): boolean {
  if (pattern === null || pattern.includes('|')) return false;
  return /^\^https?\??:\/\/[A-Za-z0-9-]+(\\\.[A-Za-z0-9-]+)+(:\d+)?\//.test(pattern.replaceAll('\\/', '/'));
}
