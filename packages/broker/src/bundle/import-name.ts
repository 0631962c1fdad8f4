// Names imported tools: a valid name for each, and no two that people or models could mistake for each other.
import { createHash } from 'node:crypto';
import { foldName } from './lint-tool.ts';

/** Where a tool comes from: the connector's name, and what the upstream calls it. */
export interface ForeignName {
  readonly connector: string;
  readonly tool: string;
}

const NAME = /^[a-z][a-z0-9_]{1,63}$/;
const NAME_MAX = 64;

// Letters of other scripts that look like ASCII ones, and what each is taken for. Not complete: what is not listed
// becomes no letter at all, and the name is then told apart by a digest.
const LOOK_ALIKES: ReadonlyMap<string, string> = new Map(
  [
    ['a', 'аαɑ'],
    ['b', 'Вв'],
    ['c', 'сϲ'],
    ['d', 'ԁ'],
    ['e', 'еєεᴇ℮'],
    ['g', 'ɡ'],
    ['h', 'һн'],
    ['i', 'іιıӏꓲ'],
    ['l', '|ǀ'],
    ['j', 'јϳ'],
    ['k', 'кκ'],
    ['m', 'мΜ'],
    ['n', 'пη'],
    ['o', 'оοσ'],
    ['p', 'рρ'],
    ['q', 'ԛ'],
    ['r', 'гʀ'],
    ['s', 'ѕ'],
    ['t', 'тτ'],
    ['u', 'υս'],
    ['v', 'ѵν'],
    ['w', 'ԝω'],
    ['x', 'хχ'],
    ['y', 'уү'],
    ['z', 'ᴢ'],
  ].flatMap(([ascii, others]) => [...others!].map((other) => [other.toLowerCase(), ascii!] as const)),
);

/** ASCII of a foreign name: width, accents and look-alikes folded, camelCase split; what is left over becomes `_`. */
export function asciiOf(text: string): {
  readonly ascii: string;
  readonly lost: boolean;
  /** As folded, with what ASCII has no letter for. */
  readonly letters: string;
} {
  const split = text
    .normalize('NFKD')
    .replace(/[\p{M}\p{Cf}\p{Default_Ignorable_Code_Point}]/gu, '')
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2');
  const letters = [...split.toLowerCase()].map((letter) => LOOK_ALIKES.get(letter) ?? letter).join('');
  const lost = /[^\x20-\x7e]/.test(letters);
  const ascii = letters.replace(/[^a-z0-9]+/g, '_').replace(/^_+|_+$/g, '');
  return { ascii, lost, letters };
}

/** `<connector>_<tool>` in the form that manifests ask for; the connector is not repeated where the tool begins with it. */
export function importedName({ connector, tool }: ForeignName): string {
  const prefix = asciiOf(connector).ascii;
  const { ascii, lost } = asciiOf(tool);
  const whole = ascii === prefix || ascii.startsWith(`${prefix}_`) ? ascii : `${prefix}_${ascii}`;
  const name = whole.replace(/_+$/, '');
  if (NAME.test(name) && !lost && ascii !== '') return name;
  // What the letters cannot tell apart, a digest of the true name does.
  const digest = createHash('sha256').update(`${connector}\n${tool}`).digest('hex').slice(0, 8);
  const start = /^[a-z]/.test(name) ? name : `tool_${name}`;
  return `${start.slice(0, NAME_MAX - digest.length - 1).replace(/_+$/, '')}_${digest}`;
}

interface Named<T> {
  readonly name: string;
  readonly tool: T;
}

export interface NamedTools<T> {
  readonly named: readonly Named<T>[];
  /** One sentence for each group of names that look alike; none of the group is imported. */
  readonly refused: readonly string[];
}

/** Gives every tool its name; tools whose names fold to the same are refused, all of them. */
export function nameApart<T extends ForeignName>(tools: readonly T[]): NamedTools<T> {
  const all = tools.map((tool) => ({ name: importedName(tool), tool }));
  const refused: string[] = [];
  const apart = (given: readonly Named<T>[], fold: (each: Named<T>) => string): readonly Named<T>[] => {
    const groups = [...Map.groupBy(given, fold).values()];
    refused.push(
      ...groups.filter((group) => group.length > 1).map((group) => alike(group.map((it) => it.tool))),
    );
    return groups.filter((group) => group.length === 1).flat();
  };
  // Once by the names that agents see, and once by the upstream's own: a digest must not tell look-alikes apart.
  const named = apart(
    apart(all, ({ name }) => foldName(name)),
    ({ tool }) => foldName(`${asciiOf(tool.connector).letters}_${asciiOf(tool.tool).letters}`),
  );
  return { named, refused };
}

function alike(tools: readonly ForeignName[]): string {
  const names = tools.map((it) => `${visible(it.tool)} of ${visible(it.connector)}`);
  const last = names.pop();
  return (
    `${names.join(', ')} and ${last} look alike: people and models could mistake one for the other, ` +
    'so none of them is imported; rename them, or import the servers into bundles of their own'
  );
}

/** Foreign text as it may stand in a sentence or a comment: quoted, and every character that is not ASCII escaped. */
export function visible(text: string): string {
  return JSON.stringify(text).replace(/[^\x20-\x7e]/gu, (it) => `\\u{${it.codePointAt(0)!.toString(16)}}`);
}
