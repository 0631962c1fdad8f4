// Parses one YAML file into JSON with the place of every node; refuses what two readers could understand differently.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type Scalar } from 'yaml';
import { escapeStep } from '#rules/schema-parts.ts';
import type { Mistakes, Position } from './mistake.ts';

/** A parsed file: its value, and where each part of it stands. */
export interface Source {
  readonly file: string;
  readonly value: Json;
  /**
   * Place of the node at a JSON pointer, or of its nearest parent when there is none: its key, its value, or
   * `offset` characters into its text.
   */
  at(pointer: string, on?: 'key' | 'value', offset?: number): Position;
}

interface Place {
  readonly key: number | null;
  readonly value: number;
  /** Where the characters of a one-line scalar begin; null where offsets cannot be mapped. */
  readonly text: number | null;
}

const DEPTH_MAX = 48;
const NODES_MAX = 50_000;
const FORBIDDEN: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/** Answers null when the file has mistakes; they are in `mistakes`. */
export function parseYaml(file: string, text: string, mistakes: Mistakes): Source | null {
  const lines = new LineCounter();
  const position = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const document = parseDocument(text, {
    ...{ version: '1.2', schema: 'core', uniqueKeys: true, merge: false, strict: true },
    ...{ lineCounter: lines, prettyErrors: false, logLevel: 'error', stringKeys: false },
  });
  const problems = [...document.errors, ...document.warnings];
  for (const problem of problems) {
    mistakes.error(file, position(problem.pos[0]), sentenceOf(problem.code, problem.message));
  }
  if (problems.length > 0) return null;
  if (document.contents === null) {
    mistakes.error(file, { line: 1, column: 1 }, 'the file is empty');
    return null;
  }
  const reader = new Reader((offset, message, hint) => mistakes.error(file, position(offset), message, hint));
  const value = reader.read(document.contents as Node, '', null, 0);
  if (reader.failed) return null;
  return { file, value, at: locator(reader.places, position) };
}

function locator(places: ReadonlyMap<string, Place>, position: (offset: number) => Position): Source['at'] {
  return (pointer, on = 'value', offset) => {
    let at = pointer;
    let place = places.get(at);
    while (place === undefined && at !== '') {
      at = at.slice(0, at.lastIndexOf('/'));
      place = places.get(at);
    }
    if (place === undefined) return { line: 1, column: 1 };
    if (offset !== undefined && place.text !== null) return position(place.text + offset);
    return position(on === 'key' || at !== pointer ? (place.key ?? place.value) : place.value);
  };
}

function sentenceOf(code: string, message: string): string {
  if (code === 'MULTIPLE_DOCS') return 'expected one document, got several';
  if (code === 'DUPLICATE_KEY') return 'the key occurs twice';
  // The library appends the place in its own words; ours stands before the message already.
  return (message.split('\n')[0] ?? message).replace(/ at line \d+, column \d+:?$/, '').trim();
}

type Refuse = (offset: number, message: string, hint?: string) => void;

class Reader {
  readonly places = new Map<string, Place>();
  failed = false;
  readonly #refuse: Refuse;

  constructor(refuse: Refuse) {
    this.#refuse = (offset, message, hint) => {
      this.failed = true;
      refuse(offset, message, hint);
    };
  }

  read(node: Node | null, pointer: string, key: number | null, depth: number): Json {
    const start = node?.range?.[0] ?? key ?? 0;
    this.places.set(pointer, { key, value: start, text: textStart(node) });
    if (this.places.size > NODES_MAX || depth > DEPTH_MAX) {
      if (!this.failed) this.#refuse(start, 'the file has too many parts or is nested too deeply');
      return null;
    }
    if (node === null) return null;
    if (isAlias(node)) this.#refuse(start, 'aliases are not accepted', 'write the value out');
    else if ('anchor' in node && node.anchor)
      this.#refuse(start, 'anchors are not accepted', 'write the value out');
    else if (node.tag !== undefined && explicitTag(node)) this.#refuse(start, 'tags are not accepted');
    else if (isMap(node)) return this.#object(node.items as never, pointer, depth);
    else if (isSeq(node)) {
      return node.items.map((item, index) => this.read(item as Node, `${pointer}/${index}`, null, depth + 1));
    } else if (isScalar(node)) return this.#scalar(node, start);
    return null;
  }

  #object(pairs: readonly { key: Node; value: Node | null }[], pointer: string, depth: number): JsonObject {
    const out: Record<string, Json> = {};
    for (const { key, value } of pairs) {
      const at = key?.range?.[0] ?? 0;
      if (!isScalar(key) || typeof key.value !== 'string') {
        this.#refuse(at, 'a key must be text', 'put it in quotes');
      } else if (FORBIDDEN.has(key.value)) this.#refuse(at, `the key "${key.value}" is not accepted`);
      else out[key.value] = this.read(value, `${pointer}/${escapeStep(key.value)}`, at, depth + 1);
    }
    return out;
  }

  #scalar(node: Scalar, start: number): Json {
    const { value } = node;
    if (typeof value === 'number') {
      if (Number.isFinite(value) && Math.abs(value) <= Number.MAX_SAFE_INTEGER) return value;
      this.#refuse(start, 'the number is not finite or beyond 2^53');
    } else if (typeof value === 'string') {
      if (value.isWellFormed()) return value;
      this.#refuse(start, 'the text holds a lone surrogate');
    } else if (typeof value === 'boolean' || value === null) return value;
    else this.#refuse(start, 'the value is not JSON');
    return null;
  }
}

function explicitTag(node: Node): boolean {
  return !(isMap(node) || isSeq(node)) || !String(node.tag).startsWith('tag:yaml.org,2002:');
}

function textStart(node: Node | null): number | null {
  if (!isScalar(node) || node.range == null || typeof node.value !== 'string') return null;
  const [from, to] = node.range;
  const width = to - from;
  if (node.type === 'PLAIN' && width === node.value.length) return from;
  // Quotes without an escape: every character of the value is one of the file.
  if ((node.type === 'QUOTE_SINGLE' || node.type === 'QUOTE_DOUBLE') && width === node.value.length + 2)
    return from + 1;
  return null;
}
