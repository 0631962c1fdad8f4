// Mutates JSON: the value as a tree, then its text. Knows which mutations a strict reader must refuse.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { Dice } from './dice.ts';

/** Text of a mutated value. `refused`: no strict reader may take it for JSON. `tree`: what it says, if it says something. */
export interface Written {
  readonly bytes: Buffer;
  readonly refused: boolean;
  readonly tree: Json | undefined;
}

type Tree = Json | { [key: string]: Tree } | Tree[];

const WORDS = [
  ...[
    'tool',
    'args',
    'name',
    'arguments',
    'context',
    'cursor',
    'uri',
    'level',
    'id',
    'method',
    'params',
    '_meta',
  ],
  ...[
    'toString',
    'hasOwnProperty',
    'then',
    'length',
    'valueOf',
    'get',
    '',
    ' ',
    '\u0000',
    '\u{1f4a5}',
    '\uffff',
    '\u202e',
  ],
  ...[
    "' or 1=1 --",
    '{{7*7}}',
    '../../etc/passwd',
    '%00',
    '=1+1',
    '<script>',
    '\r\nx: y',
    'N-1',
    'AC-1',
    'refund',
  ],
];
const NUMBERS = [
  0,
  -0,
  1,
  -1,
  0.1,
  1e308,
  -1e308,
  5e-324,
  2 ** 53 - 1,
  -(2 ** 53 - 1),
  1e-7,
  1e21,
  3.5,
  65_537,
];
/** Beyond what a double keeps: two readers would understand two numbers. */
const UNSAFE = ['9007199254740993', '-9007199254740993', '1e400', '-1e999', '123456789012345678901234567890'];

export function oddValue(dice: Dice, depth = 0): Json {
  switch (dice.below(depth > 3 ? 5 : 7)) {
    case 0:
      return dice.pick(NUMBERS);
    case 1:
      return dice.odds(0.5);
    case 2:
      return null;
    case 3:
      return dice.pick(WORDS);
    case 4:
      return dice.pick(WORDS).repeat(dice.pick([1, 2, 30, 400]));
    case 5:
      return Array.from({ length: dice.below(6) }, () => oddValue(dice, depth + 1));
    default:
      return Object.fromEntries(
        Array.from({ length: dice.below(6) }, () => [dice.pick(WORDS), oddValue(dice, depth + 1)]),
      ) as JsonObject;
  }
}

/** Changes one place of the tree: another value, a member gone, renamed or added, the whole in a list. */
export function mutateTree(dice: Dice, value: Json): Json {
  const tree = structuredClone(value) as Tree;
  if (dice.odds(0.04)) return [tree] as Json;
  if (dice.odds(0.03)) return oddValue(dice);
  const objects = objectsIn(tree);
  if (objects.length === 0) return oddValue(dice);
  const at = dice.pick(objects);
  const keys = Object.keys(at);
  const key = keys.length === 0 ? 'x' : dice.pick(keys);
  switch (dice.below(5)) {
    case 0:
      at[key] = oddValue(dice);
      break;
    case 1:
      delete at[key];
      break;
    case 2: {
      const kept = at[key] ?? null;
      delete at[key];
      at[dice.pick([`${key}_`, key.toUpperCase(), `${key}s`, dice.pick(WORDS)])] = kept;
      break;
    }
    case 3:
      at[dice.pick(WORDS)] = oddValue(dice);
      break;
    default:
      at[key] = dice.pick<Tree>([
        [at[key] ?? null],
        { [key]: at[key] ?? null },
        JSON.stringify(at[key] ?? null),
      ]);
  }
  return tree as Json;
}

function objectsIn(tree: Tree, found: { [key: string]: Tree }[] = []): { [key: string]: Tree }[] {
  if (typeof tree !== 'object' || tree === null) return found;
  if (!Array.isArray(tree)) found.push(tree as { [key: string]: Tree });
  for (const inner of Object.values(tree)) objectsIn(inner as Tree, found);
  return found;
}

/** The text as it stands. */
export function writeWell(tree: Json): Written {
  return { bytes: Buffer.from(JSON.stringify(tree)), refused: false, tree };
}

/** Tricks that no strict reader accepts; each takes well-formed text and gives text that must be refused. */
const REFUSED: readonly ((dice: Dice, text: string) => string | Buffer)[] = [
  // One key twice, in plain and in escaped writing; the second one may be far away.
  (_dice, text) => member(text, `"k":1,"k":2`),
  (_dice, text) => member(text, `"k":1,"\\u006b":2`),
  (_dice, text) => member(text, `"a":[{"x":[{"x":1}],"b":0,"x":{}}]`),
  (dice, text) =>
    member(
      text,
      `"${dice.pick(['__proto__', 'constructor', 'prototype', '\\u005f_proto__'])}":{"admin":true}`,
    ),
  (dice, text) => member(text, `"s":"${dice.pick(['\\ud800', '\\udc00', '\\udc00\\ud800', 'x\\uD83D'])}"`),
  (dice, text) => member(text, `"n":${dice.pick(UNSAFE)}`),
  (dice, text) => member(text, `"d":${'['.repeat(dice.pick([40, 200, 5_000]))}${']'.repeat(40)}`),
  (dice, text) => member(text, `"d":${nested(dice.pick([33, 64, 1_000, 9_000]))}`),
  (dice, text) =>
    member(
      text,
      dice.pick(['"x":01', '"x":.5', '"x":1.', '"x":+1', '"x":NaN', '"x":Infinity', '"x":undefined']),
    ),
  (dice, text) =>
    member(
      text,
      dice.pick(["'x':1", 'x:1', '"x":1,', '"x"', '"x":"\t"', '"x":"\\x41"', '/*x*/"x":1', '"x":tru']),
    ),
  (dice, text) => text.slice(0, 1 + dice.below(Math.max(1, text.length - 2))),
  (dice, text) => `${text}${dice.pick(['x', '{}', ',', ']', '\u0000'])}`,
  (_dice, text) => `\ufeff${text}`,
  (_dice, text) => Buffer.from(text, 'utf16le'),
  (dice, text) =>
    Buffer.from(
      member(text, `"u":"${dice.pick(['\u00ff', '\u00c0\u0080', '\u00ed\u00a0\u0080'])}"`),
      'latin1',
    ),
];

function member(text: string, written: string): string {
  const rest = text.slice(1);
  return `{${written}${rest.startsWith('}') ? '' : ','}${rest}`;
}

function nested(levels: number): string {
  return `${'{"d":'.repeat(levels)}0${'}'.repeat(levels)}`;
}

/** Writes an object in a way that a strict reader refuses. */
export function writeBroken(dice: Dice, tree: JsonObject): Written {
  const text = dice.pick(REFUSED)(dice, JSON.stringify(tree));
  return { bytes: typeof text === 'string' ? Buffer.from(text) : text, refused: true, tree: undefined };
}

/** Other bytes here and there: whether it is still JSON is for the reader to say. */
export function writeFlipped(dice: Dice, tree: Json): Written {
  const bytes = Buffer.from(JSON.stringify(tree));
  for (let i = 1 + dice.below(4); i > 0 && bytes.length > 0; i--)
    bytes[dice.below(bytes.length)] = dice.below(256);
  return { bytes, refused: false, tree: undefined };
}

/** The same JSON in unusual dress: spaces, escapes, line ends. A strict reader takes it. */
export function writeDressed(dice: Dice, tree: Json): Written {
  const text = JSON.stringify(tree, null, dice.pick([1, '\t', ' '.repeat(8)]));
  const dressed = dice.odds(0.5)
    ? text.replace(/"([a-z])/g, (_all, letter: string) => `"\\u00${letter.charCodeAt(0).toString(16)}`)
    : text;
  return { bytes: Buffer.from(`${dice.pick(['', '\r\n', ' \t'])}${dressed}\n`), refused: false, tree };
}
